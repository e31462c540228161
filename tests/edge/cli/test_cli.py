"""The command line: quick to answer, clear about mistakes, light on imports."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from edge.network import SHIPPED
from stands.places import EXAMPLES
from stands.small_disk import a_small_disk

HEAVY = ("torch", "openvino", "onnxruntime", "ai_edge_litert", "cv2")


def trackside(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_help_imports_nothing_that_the_configuration_may_not_use() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "edge.cli", "--help"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in answer.stderr.splitlines()}
    assert "typer" in imported
    assert imported.isdisjoint(HEAVY)


def test_the_device_side_imports_where_torch_cannot() -> None:
    script = """
import importlib, pkgutil, sys
sys.modules["torch"] = None  # any import of it now fails
import edge, firmware_bridge
from edge.errors import CameraUnavailable
for package in (edge, firmware_bridge):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        try:
            importlib.import_module(module.name)
        except CameraUnavailable:
            pass  # picamera2 is at home on a Raspberry Pi alone
        except ModuleNotFoundError as error:
            if error.name != "ray":  # too large for those who only run the tests
                raise
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("demo", "--seconds", "nine"), 2, "--seconds"),
        (("dmo",), 2, "No such command"),
        (("check", "no-such.yaml"), 78, "no-such.yaml"),
        (("run", "no-such.yaml"), 78, "no-such.yaml"),
        (("predict", "no-such.bundle", __file__, "--out", "x"), 78, "no-such.bundle"),
        (("predict", "strip", "no-such.png", "--out", "x"), 2, "neither a file nor a folder"),
        (("predict", "strip", __file__, "--out", "x", "--engine", "tea"), 2, "tea"),
        (("evaluate", "minet.safetensr", "--data", "."), 2, "give a checkpoint (*.safetensors)"),
        (("events", "list", "no-such-store"), 2, "give a store's folder, or a line file"),
        (("events", "list", ".", "--from-m", "1e400"), 2, "--from-m"),
        (("calibrate", "a.png", "--out", "x", "--board", "9x6", "--square-mm", "inf"), 2, "less"),
    ],
)
def test_a_mistake_is_named_and_has_its_exit_code(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = trackside(*arguments)
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


def test_a_mistake_in_a_line_file_names_file_line_and_key(tmp_path: Path) -> None:
    example = EXAMPLES / "steel.yaml"
    line = tmp_path / "line.yaml"
    line.write_text(example.read_text().replace("speed_mm_s:", "speed_mm:"))
    answer = trackside("check", line)
    texts = line.read_text().splitlines()
    (number,) = (n for n, text in enumerate(texts, start=1) if "speed_mm:" in text)
    assert answer.returncode == 78
    assert f"{line}:{number}: encoder.speed_mm" in answer.stderr
    assert "speed_mm_s" in answer.stderr


def test_the_schema_is_json_and_describes_every_key_of_a_line() -> None:
    schema = json.loads(trackside("config", "schema").stdout)
    assert set(schema["required"]) <= set(schema["properties"])
    assert {"cameras", "engine", "encoder", "reject", "rules"} <= set(schema["properties"])


def test_a_place_that_cannot_be_written_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    answer = trackside("simulate", "--out", tmp_path / "taken", "--frames", "1", "--size", "64")
    assert answer.returncode == 1
    assert str(tmp_path / "taken") in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_version_is_said() -> None:
    answer = trackside("--version")
    assert (answer.returncode, answer.stdout) == (0, f"trackside {version('trackside')}\n")


def test_a_full_disk_is_named_with_the_file_that_it_has_no_room_for(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    assert trackside("bundle", "keygen", "--out", tmp_path / "key.pem").returncode == 0
    command = ("dd", "if=/dev/zero", f"of={disk}/filler", "bs=1k", "count=4090", "status=none")
    sign = (sys.executable, "-m", "edge.cli", "bundle", "sign", SHIPPED["strip"], "--version", "7")
    rest = ("--key", tmp_path / "key.pem", "--out", disk / "signed.bundle")
    script = 'eval "$0"; exec "$@"'
    wrapped = (*a_small_disk(disk), "sh", "-c", script, " ".join(command), *sign, *rest)
    answer = subprocess.run(
        list(map(str, wrapped)), capture_output=True, text=True, timeout=300, check=False
    )
    assert answer.returncode == 1
    assert answer.stderr == (
        f"trackside: {disk / 'signed.bundle'}: No space left on device: make room on its disk\n"
    )


def test_simulate_writes_what_it_says(tmp_path: Path) -> None:
    answer = trackside("simulate", "--out", tmp_path, "--frames", "3", "--size", "64")
    assert answer.returncode == 0
    assert len(list((tmp_path / "images").iterdir())) == 3
    assert len(list((tmp_path / "masks").iterdir())) == 3


def test_where_the_log_is_json_so_is_the_reason_for_the_end(tmp_path: Path) -> None:
    wrong = tmp_path / "line.yaml"
    wrong.write_text("nmae: rail\n")
    answer = trackside("run", wrong, "--log-json")
    assert answer.returncode == 78
    [line] = answer.stderr.splitlines()
    told = json.loads(line)
    assert (told["level"], told["exit_code"]) == ("critical", 78)
    assert "nmae" in told["message"]
