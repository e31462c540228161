"""The wheels of a release: of both processors, run where they say, and the same when built again.

`make test-wheels` builds them first, by Zig's compiler, which takes minutes the first time; it says
where they are in TRACKSIDE_WHEELS. Without that, all of this is skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edge.bundle import open_bundle
from edge.engines import native_engine
from edge.engines.native_engine import NativeNetwork
from edge.network import SHIPPED
from edge.network.golden import golden_input
from edge.types import Image
from stands.places import ROOT

FOLDER = os.environ.get("TRACKSIDE_WHEELS")
LIBRARY = "edge/engines/libtrackside.so.1"

if FOLDER is None:
    pytest.skip("make test-wheels builds the wheels first", allow_module_level=True)
assert FOLDER is not None


def wheel(processor: str) -> Path:
    (found,) = Path(FOLDER or "").glob(f"trackside-*-py3-none-manylinux_2_17_{processor}.whl")
    return found


def library(processor: str, folder: Path) -> Path:
    with zipfile.ZipFile(wheel(processor)) as archive:
        return Path(archive.extract(LIBRARY, folder))


def golden() -> tuple[bytes, Image]:
    """The artefact of the shipped network, and the picture that its bundle is held by."""
    bundle = open_bundle(SHIPPED["strip"])
    (artefact,) = (each for each in bundle.manifest.artefacts if each.engine == "native")
    return bundle.read(artefact.path), golden_input(bundle)


@pytest.mark.parametrize("body", ["i8mm", "neon", "portable"])
def test_the_aarch64_wheel_answers_the_golden_picture_as_this_machine_does(
    body: str, tmp_path: Path
) -> None:
    compiler, emulator = "aarch64-linux-gnu-gcc", "qemu-aarch64"
    for program, package in ((compiler, "gcc-aarch64-linux-gnu"), (emulator, "qemu-user")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: {package})")
    artefact, pixels = golden()
    (tmp_path / "artefact").write_bytes(artefact)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    source = ROOT / "tests" / "stands" / "wheel_main.c"
    subprocess.run([compiler, "-O1", source, "-o", tmp_path / "main", "-ldl"], check=True)
    height, width = pixels.shape
    answer = subprocess.run(
        [
            emulator,
            "-cpu",
            "max",
            "-L",
            "/usr/aarch64-linux-gnu",
            tmp_path / "main",
            library("aarch64", tmp_path),
            "artefact",
            "pixels",
            str(height),
            str(width),
            body,
        ],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    ).stdout
    here = NativeNetwork(artefact, height, width, "portable").run(pixels)
    assert answer == b"".join(each.tobytes() for each in here)


def test_every_body_of_the_x86_wheel_gives_the_numbers_of_the_one_built_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artefact, pixels = golden()

    def answers() -> dict[str, list[bytes]]:
        return {
            body: [
                each.tobytes() for each in NativeNetwork(artefact, *pixels.shape, body).run(pixels)
            ]
            for body in native_engine.bodies()
        }

    here = answers()
    monkeypatch.setattr(native_engine, "LIBRARY", library("x86_64", tmp_path))
    native_engine._library.cache_clear()
    try:
        assert answers() == here
    finally:
        native_engine._library.cache_clear()


@pytest.mark.parametrize("python", ["python3.10", "python3.13"])
def test_one_wheel_serves_the_oldest_and_the_newest_python(python: str, tmp_path: Path) -> None:
    found = shutil.which(python)
    if found is None or subprocess.run([found, "--version"], check=False).returncode:
        pytest.skip(f"{python} is not installed, or its name stands for none")
    subprocess.run([found, "-m", "venv", tmp_path / "box"], check=True)
    pip = [tmp_path / "box" / "bin" / "pip", "install", "--quiet"]
    subprocess.run([*pip, wheel("x86_64")], check=True)
    verify = [tmp_path / "box" / "bin" / "trackside", "bundle", "verify", "strip"]
    said = subprocess.run(verify, capture_output=True, text=True, check=True).stdout
    assert "native" in said


def test_two_builds_of_one_commit_are_the_same_bytes(tmp_path: Path) -> None:
    again = [sys.executable, ROOT / ".ci" / "wheels.py", "--out", tmp_path / "again"]
    caches = {"ZIG_LOCAL_CACHE_DIR": str(tmp_path / "cache")}
    subprocess.run(again, env={**os.environ, **caches}, check=True)
    built = {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert built == {name: (Path(FOLDER or "") / name).read_bytes() for name in built}
    assert len(built) == 3
