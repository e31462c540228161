"""The native engine beyond this CPU: on ARM, under sanitizers, and where there is no compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.types import Image
from quantize.targets.native_artefact import Program
from stands.native_model import run as model
from stands.native_programs import Programs
from stands.places import ROOT

SOURCES = ROOT / "edge" / "engines" / "native"
HEIGHT, WIDTH = 64, 96


def build(compiler: str, out: Path, *flags: str) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    sources = [path for path in SOURCES.glob("*.cpp") if path.name != "api.cpp"]
    command = [compiler, "-std=c++17", "-ffp-contract=off", "-pthread", *flags, *sources]
    subprocess.run([*command, ROOT / "tests" / "stands" / "native_main.cpp", "-o", out], check=True)
    return out


def flat(network: Program, image: Image) -> NDArray[np.float32]:
    """What the program writes: the map that decides, and then the classes'."""
    return np.concatenate([each.ravel() for each in model(network, image)])


@pytest.mark.parametrize("body", ["i8mm", "neon", "portable"])
def test_arm_gives_the_same_integers(
    body: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if shutil.which("qemu-aarch64") is None:
        pytest.skip("qemu-aarch64 (Debian: qemu-user) is not installed")
    program = tmp_path_factory.getbasetemp() / "native_arm"
    if not program.exists():
        build("aarch64-linux-gnu-g++", program, "-O2", "-static")
    for seed in range(3):
        network = Programs(seed).minet()
        image = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
        (tmp_path / "artefact").write_bytes(network.to_bytes())
        (tmp_path / "pixels").write_bytes(image.tobytes())
        arguments = ["run", "artefact", "pixels", str(HEIGHT), str(WIDTH), body, "1"]
        answer = subprocess.run(
            ["qemu-aarch64", "-cpu", "max", program, *arguments],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        ).stdout
        np.testing.assert_array_equal(np.frombuffer(answer, np.float32), flat(network, image))


def test_sanitizers_find_nothing_in_whole_files_nor_in_damaged_ones(tmp_path: Path) -> None:
    flags = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = build("g++", tmp_path / "native_sanitized", *flags)
    network = Programs(5).minet()
    image = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    (tmp_path / "artefact").write_bytes(network.to_bytes())
    (tmp_path / "pixels").write_bytes(image.tobytes())
    ran = []
    for body in ("amx", "avx512", "avxvnni", "avx2", "portable"):
        arguments = ["run", "artefact", "pixels", str(HEIGHT), str(WIDTH), body, "1"]
        answer = subprocess.run(
            [program, *arguments], cwd=tmp_path, capture_output=True, check=False
        )
        if answer.returncode == 0:
            answered = np.frombuffer(answer.stdout, np.float32)
            np.testing.assert_array_equal(answered, flat(network, image))
            ran.append(body)
        else:  # a CPU without it; a finding would print more
            assert answer.stderr.decode().strip() == f"no body {body} here"
    assert "portable" in ran
    (tmp_path / "artefact").write_bytes(Programs(5).separable(16, 32, (1, 2)).to_bytes())
    subprocess.run([program, "break", "artefact", "800", "1"], cwd=tmp_path, check=True)


def test_without_a_compiler_it_installs_and_the_engine_says_what_is_missing(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("*.so.1"))
    shutil.copy(ROOT / "setup.py", tmp_path)
    built = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=tmp_path,
        env=os.environ | {"CC": "no-such-compiler", "CXX": "no-such-compiler"},
        capture_output=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    asked = subprocess.run(
        [sys.executable, "-c", "from edge.engines.native_engine import bodies; bodies()"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "EngineUnavailable: the native engine was not built: install a C++17" in asked.stderr
