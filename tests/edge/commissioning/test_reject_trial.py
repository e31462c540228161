"""`trackside reject-test`, on a PLC whose coils and registers are the line's wires."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.commissioning import operator_for, try_rejects
from edge.commissioning.reject_trial import Nobody
from edge.errors import UsageError
from edge.line_file import EXAMPLES, HeartbeatSettings, LineSettings, OneHeartbeat, read_line
from stands.places import STEEL_LINE
from stands.plc import Plc

BEAT, VALVE, MARKER, STOP, BIN = range(5)  # coils
COUNTER = 10  # register
HELD_S = 0.15  # nobody needs to see it


def wired(plc: Plc, folder: Path, **changes: Any) -> Path:
    """The demo's line on the PLC: each sensor looks at the coil of its actuator."""

    def coil(address: int) -> dict[str, Any]:
        place = {"host": "127.0.0.1", "port": plc.port, "table": "coil"}
        return {"type": "modbus", **place, "address": address}

    line = yaml.safe_load(STEEL_LINE.read_text())
    line["encoder"] = {
        "type": "modbus",
        "host": "127.0.0.1",
        "port": plc.port,
        "table": "holding_register",
        "address": COUNTER,
        "um_per_count": 250,
        "speed_mm_s": 20_000,
        **changes.pop("encoder", {}),
    }
    line["heartbeat"] = {"output": coil(BEAT), "timeout_ms": 60}
    marker = {"name": "marker", "output": coil(MARKER), "offset_mm": 900, "delay_ms": 5}
    line["reject"] |= {
        "name": "valve",
        "output": coil(VALVE),
        "also": [marker | {"confirm": {"input": coil(MARKER), "within_ms": 200}}],
        "stop_line": coil(STOP),
        "ledger": "rejects.sqlite",
        "silence_ms": 5000,
        **changes,
    }
    line["inputs"] = [{"name": "bin full", "input": coil(BIN), "then": "reject_all"}]
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return path


@contextmanager
def moving(plc: Plc, counts: int) -> Iterator[None]:
    """The rail is moved, to and fro along the counter's roll-over."""
    stopping, count = threading.Event(), 65_000

    def move() -> None:
        nonlocal count
        while not stopping.wait(0.02):
            count = (count + counts) % 65_536
            plc.set_registers(COUNTER, [count])

    plc.set_registers(COUNTER, [count])
    thread = threading.Thread(target=move)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def tried(config: LineSettings) -> dict[str, tuple[bool, str]]:
    checks = try_rejects(config, Nobody(), HELD_S)
    return {check.name: (check.passed, check.detail) for check in checks}


def test_each_part_is_tried_and_the_result_is_recorded(plc: Plc, tmp_path: Path) -> None:
    line = wired(plc, tmp_path)
    with moving(plc, 10):
        command = [sys.executable, "-m", "edge.cli", "reject-test", line, "--yes", "--json"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    result = json.loads(answer.stdout)
    assert answer.returncode == 0, answer.stderr
    assert result["passed"]
    names = [step["name"] for step in result["steps"]]
    assert names == [
        "heartbeat",
        "silence",
        "valve",
        "marker",
        "reject all",
        "stop line",
        "encoder",
        "inputs",
    ]
    details = {step["name"]: step["detail"] for step in result["steps"]}
    assert "seen by its sensor" in details["marker"]
    assert "forward" in details["encoder"]
    assert details["inputs"] == "bin full is off"
    recorded = (tmp_path / "line.reject-tests.jsonl").read_text().splitlines()
    assert [json.loads(each) for each in recorded] == [result]
    assert [plc.coil(address) for address in (BEAT, VALVE, MARKER, STOP)] == [
        False,
        True,
        True,
        True,
    ]


def test_what_fails_is_named_with_its_remedy_and_the_rest_is_tried(
    plc: Plc, tmp_path: Path
) -> None:
    line = wired(plc, tmp_path)
    blind = line.read_text().replace(f"address: {MARKER}", "address: 50", 1)
    line.write_text(blind)
    with moving(plc, -10):
        found = tried(read_line(line))
    failed = {name: detail for name, (passed, detail) in found.items() if not passed}
    assert failed.keys() == {"marker", "encoder"}
    assert "check the sensor's wire, its aim and active_low" in failed["marker"]
    assert "exchange its channels" in failed["encoder"]


def test_a_line_whose_plc_is_gone_fails_throughout(tmp_path: Path) -> None:
    with Plc() as gone:
        line = wired(gone, tmp_path)
    found = tried(read_line(line))
    assert not any(passed for passed, _ in found.values())
    assert all("supply and the network cable" in detail for _, detail in found.values())


def test_a_rehearsal_needs_nobody_and_passes() -> None:
    config = read_line(STEEL_LINE)
    heartbeat = config.heartbeat.model_copy(update={"timeout_ms": 60})
    config = config.model_copy(update={"heartbeat": heartbeat})
    assert isinstance(operator_for(config, yes=False), Nobody)
    assert all(passed for passed, _ in tried(config).values())


def test_each_of_several_heartbeats_is_tried_alone() -> None:
    config = read_line(EXAMPLES / "two-rails.yaml")
    memory = config.heartbeat.output
    beats = [
        OneHeartbeat(output=memory, timeout_ms=60, cameras=(camera,)) for camera in config.cameras
    ]
    heartbeat = HeartbeatSettings(**beats[0].model_dump(), also=(beats[1],))
    found = tried(config.model_copy(update={"heartbeat": heartbeat}))
    assert list(found)[:3] == ["heartbeat 1 (left)", "heartbeat 2 (right)", "silence"]
    assert all(passed for passed, _ in found.values())


class Sceptic(Nobody):
    """Somebody who sees everything but the valve."""

    def saw(self, look: str) -> bool:
        return "valve rejects" not in look


def test_what_nobody_saw_has_not_passed(plc: Plc, tmp_path: Path) -> None:
    config = read_line(wired(plc, tmp_path, also=[], stop_line=None))
    with moving(plc, 10):
        checks = {check.name: check for check in try_rejects(config, Sceptic(), HELD_S)}
    assert not checks["valve"].passed
    assert checks["valve"].detail.endswith("not seen: check its wire, its supply and active_low")
    assert checks["reject all"].passed


def test_whoever_stands_at_the_line_is_asked(tmp_path: Path) -> None:
    line = yaml.safe_load(STEEL_LINE.read_text())
    pin = {"type": "gpiozero", "factory": "mock", "pin": "GPIO5"}
    line["heartbeat"] = {"output": pin, "timeout_ms": 60}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    at_the_line, terminal = os.openpty()
    command = [sys.executable, "-m", "edge.cli", "reject-test", tmp_path / "line.yaml"]
    with subprocess.Popen(command, stdin=terminal, stdout=-1, stderr=-1, text=True) as process:
        for answer in "yynyy":
            os.write(at_the_line, f"\n{answer}\n".encode())
        said, asked = process.communicate(timeout=60)
    os.close(at_the_line)
    os.close(terminal)
    assert process.returncode == 1
    assert [each.strip()[0] for each in said.splitlines()] == ["✓", "✓", "✗", "✓", "✓"]
    assert "did you see that the heartbeat relay has dropped?" in asked


def test_a_wired_line_wants_somebody_at_a_terminal(plc: Plc, tmp_path: Path) -> None:
    config = read_line(wired(plc, tmp_path))
    assert isinstance(operator_for(config, yes=True), Nobody)
    with pytest.raises(UsageError, match="--yes"):
        operator_for(config, yes=False)
