"""A line on a PLC is killed, hung, crashed and starved for real: the heartbeat must fall silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from stands.line_files import CAMERA
from stands.places import STEEL_LINE
from stands.plc import Plc
from stands.waiting import eventually

BEAT, VALVE, STOP = range(3)  # coils

# A line whose own code goes wrong after a few frames, in the way that the first argument names.
WRONG = """
import sys, time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from edge.assembly import open_line
from edge.line_file import read_line

fault, path = sys.argv[1:]

class Stalls:
    def __init__(self, camera):
        self._camera = camera
    def frames(self):
        yield from islice(self._camera.frames(), 10)
        time.sleep(3600)  # the cable is out, and the driver waits
    def close(self):
        self._camera.close()

def record(inspection):
    if inspection.verdict.frame_index == 10 and fault == "hang":
        time.sleep(3600)
    if inspection.verdict.frame_index == 10 and fault == "crash":
        raise ZeroDivisionError("a fault of our own")

with open_line(read_line(Path(path))) as line:
    [watch] = line.watches
    stalling = replace(watch, camera=Stalls(watch.camera))
    replace(line, watches=(stalling if fault == "stall" else watch,)).run(record)
"""


def wired(plc: Plc, folder: Path, **changes: Any) -> Path:
    """The demo's line, whose heartbeat and outputs are coils; a coil of 1 lets the rail by."""

    def coil(address: int) -> dict[str, Any]:
        place = {"host": "127.0.0.1", "port": plc.port, "table": "coil", "timeout_ms": 2000}
        return {"type": "modbus", **place, "address": address}

    line = yaml.safe_load(STEEL_LINE.read_text())
    line["encoder"]["speed_mm_s"] = 1000
    line["cameras"][CAMERA]["quality"] = {"stale_after_ms": 10_000}  # of a machine that is busy
    line["heartbeat"]["output"] = coil(BEAT)
    line["reject"] |= {
        "output": coil(VALVE) | {"active_low": True},
        "stop_line": coil(STOP) | {"active_low": True},
        "silence_ms": 5000,
        "offset_mm": 3000,  # a verdict may come three seconds late
        **changes,
    }
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return path


@contextmanager
def started(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def edges(plc: Plc, seconds: float, *, enough: int | None = None) -> int:
    """How often the heartbeat's coil changes in this time, or until it is enough."""
    count, level, end_s = 0, plc.coil(BEAT), time.monotonic() + seconds
    while time.monotonic() < end_s and count != enough:
        before, level = level, plc.coil(BEAT)
        count += level is not before
        time.sleep(0.005)
    return count


def beats(plc: Plc) -> bool:
    """Whether the heartbeat runs; a busy machine may take a while to start."""
    return edges(plc, 40, enough=5) == 5


def falls_silent(plc: Plc) -> None:
    """There comes a second without an edge, where a healthy line has eleven."""
    eventually(lambda: edges(plc, 1) == 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_hangs_falls_silent(
    plc: Plc, tmp_path: Path, number: signal.Signals
) -> None:
    with started("-m", "edge.cli", "run", wired(plc, tmp_path)) as process:
        assert beats(plc)
        process.send_signal(number)
        falls_silent(plc)


@pytest.mark.parametrize("fault", ["hang", "crash", "stall"])
def test_a_loop_that_makes_no_progress_falls_silent(plc: Plc, tmp_path: Path, fault: str) -> None:
    with started("-c", WRONG, fault, wired(plc, tmp_path)) as process:
        assert beats(plc)
        falls_silent(plc)
        if fault == "crash":
            assert process.wait(timeout=30) == 1
            assert not plc.coil(VALVE)
            assert not plc.coil(STOP)


def test_when_the_inspection_is_killed_the_reject_process_rejects_by_itself(
    plc: Plc, tmp_path: Path
) -> None:
    with started("-m", "edge.cli", "run", wired(plc, tmp_path, isolation="process")) as process:
        assert beats(plc)
        eventually(lambda: plc.coil(VALVE))
        process.kill()
        eventually(lambda: not plc.coil(VALVE) and not plc.coil(STOP))
        falls_silent(plc)


def test_when_the_reject_process_is_killed_the_inspection_ends_and_says_so(
    plc: Plc, tmp_path: Path
) -> None:
    with started("-m", "edge.cli", "run", wired(plc, tmp_path, isolation="process")) as process:
        assert beats(plc)
        (child,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)
        falls_silent(plc)
        assert process.wait(timeout=30) == 1
        assert process.stderr is not None
        assert "the reject process stopped" in process.stderr.read()


def test_a_plc_that_goes_ends_the_inspection(tmp_path: Path) -> None:
    with (
        Plc() as plc,
        started("-m", "edge.cli", "run", wired(plc, tmp_path)) as process,
    ):
        assert beats(plc)
        plc.kill()
        assert process.wait(timeout=30) == 1
        assert process.stderr is not None
        assert "supply and the network cable" in process.stderr.read()


def test_told_to_stop_it_leaves_every_output_safe(plc: Plc, tmp_path: Path) -> None:
    with started("-m", "edge.cli", "run", wired(plc, tmp_path)) as process:
        assert beats(plc)
        process.terminate()
        assert process.wait(timeout=30) == 0
        assert [plc.coil(coil) for coil in (VALVE, STOP)] == [False, False]
        assert edges(plc, 1) == 0  # the heartbeat stays where it was: to lower it would be a beat
