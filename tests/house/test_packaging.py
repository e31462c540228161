"""What is built installs into an empty environment and runs the demo from there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from stands.places import ROOT

ROOMS = ("benchmarks", "edge", "firmware_bridge", "quantize", "reference")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheel and sdist, built from the files that git tracks."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    archive = subprocess.run(
        ["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    return out


def test_the_wheel_holds_the_rooms_and_what_they_ship_but_no_tests(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == set(ROOMS)
    assert {"edge/bundles/strip.bundle", "edge/bundles/rail.bundle"} <= set(names)
    assert "edge/examples/demo.yaml" in names
    assert "edge/web/static/index.html" in names
    assert any(name.startswith("reference/recipes/") for name in names)
    if shutil.which("g++"):
        assert "edge/engines/libtrackside.so.1" in names


def test_the_sdist_can_be_built_from(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"} <= names
    assert {f"edge/engines/native/{name}" for name in ("network.cpp", "network.hpp")} <= names


def test_the_wheel_runs_the_demo_from_an_empty_environment(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    home = tmp_path / "box"
    venv.create(home, with_pip=True)
    install = [home / "bin" / "pip", "install", "--quiet", f"{wheel}[onnxruntime]"]
    subprocess.run(install, check=True, timeout=600)
    patient = (ROOT / "edge" / "examples" / "demo.yaml").read_text()  # of a machine that is busy
    for key in ("margin_mm", "tolerance_mm"):
        patient = patient.replace(f"{key}: 20", f"{key}: 40")
    (tmp_path / "line.yaml").write_text(patient)
    demo = [home / "bin" / "trackside", "demo", "--line", "line.yaml", "--seconds", "3", "--json"]
    answer = subprocess.run(
        demo, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["passed"] is True
    assert (tmp_path / "demo-report.html").is_file()
    installed = subprocess.run(
        [home / "bin" / "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert "torch" not in installed
