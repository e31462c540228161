"""A line on the rail's PLC, which is killed and started again, for the judge to look at."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pymodbus.client import ModbusTcpClient

from benchmarks.ports import free_port
from benchmarks.soak import rail_plc
from benchmarks.soak.rail_board import UM_PER_COUNT, RailBoard
from benchmarks.soak.rail_judge import Findings, Shown, judge

RECORDING = Path(__file__).parents[2] / "tests" / "recordings" / "simulated_line"
LEFT_OUT = (
    5,
    9,
    10,
)  # of the recording's frames: one is dark, one cut short, one has a defect more
ROWS = 64  # of a frame, a millimetre each
OFFSET_MM = 800
SPEED_MM_S = 500
_PATIENCE_S = 90
_ENDED = re.compile(r" (\d+) frames: ")  # what the line says when it ends by itself


class Stand:
    """The PLC, and the line that is started on it again and again."""

    def __init__(
        self, folder: Path, *, minutes: float = 1, board: RailBoard | None = None, **reject: Any
    ) -> None:
        self.runs = 0
        self._board = board
        self.line: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._log = folder / "plc.log"
        self._shown = show(folder / "shown", round(minutes * 60 * SPEED_MM_S / ROWS) + 1)
        self._path = folder / "line.yaml"
        port = free_port()
        settings = line_settings(folder, port, reject)
        if board is not None:
            settings |= on_board(board, settings)
        self._path.write_text(yaml.safe_dump(settings))
        command = [sys.executable, "-m", "benchmarks.soak.rail_plc", str(port)]
        command += [str(self._log), str(SPEED_MM_S)]
        self._plc = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._client = ModbusTcpClient("127.0.0.1", port=port, timeout=5)
        self._eventually(lambda: not socket.socket().connect_ex(("127.0.0.1", port)))

    def start(self) -> None:
        """Start the line, and do not wait for it."""
        self.runs += 1
        self.tell(rail_plc.RUN, self.runs)
        with self._said().open("wb") as said:
            self.line = subprocess.Popen(
                [sys.executable, "-m", "edge.cli", "run", str(self._path)],
                stdout=said,
                stderr=said,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def kill(self, *, whole: bool = True) -> None:
        """Kill the inspection, and all that it started if `whole`; wait for its end."""
        assert self.line is not None
        victims = self.children() if whole and self.line.poll() is None else []
        self.tell(rail_plc.DOWN, self.runs)  # before, as a busy machine takes long to say it after
        self.line.kill()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        self.await_end()

    def await_end(self) -> None:
        """Until the inspection has ended, by itself if nobody kills it."""
        assert self.line is not None
        self.line.wait(_PATIENCE_S)

    def children(self) -> list[int]:
        """What the line has started: its reject process, where it has one."""
        assert self.line is not None
        listed = Path(f"/proc/{self.line.pid}/task/{self.line.pid}/children").read_text()
        return [int(pid) for pid in listed.split()]

    def move(self, mm_s: int) -> None:
        """Have the rail go on at this speed."""
        self.tell(rail_plc.SPEED, mm_s)

    def come_to_rest(self) -> None:
        """Stop the rail, and wait until the heartbeat says that the line has nothing left to do."""
        self.move(0)
        edges = -1
        while edges != (edges := self.judge().edges[self.runs]):
            time.sleep(1)

    def tell(self, register: int, value: int) -> None:
        assert not self._client.write_register(register, value).isError()

    def await_beats(self, count: int) -> None:
        """Until the heartbeat has had so many edges since the line's latest start."""
        self._eventually(lambda: self.judge().edges.get(self.runs, 0) >= count)

    def await_claim(self) -> None:
        """Until the line has looked at its encoder."""
        self._eventually(self._has_claimed)

    def claims(self) -> bool:
        """Whether it comes to look at its encoder; else it has ended by itself."""
        assert self.line is not None
        while self.line.poll() is None:
            if self._has_claimed():
                return True
            time.sleep(0.02)
        return False

    def judge(self) -> Findings:
        """What has gone by so far."""
        return judge(self._lines(), self._shown, time.monotonic_ns(), self._dealt())

    def last_words(self) -> str:
        return "\n".join(self._said().read_text().splitlines()[-5:])

    def close(self) -> None:
        if self.line is not None and self.line.poll() is None:
            self.kill()
        self._client.close()  # type: ignore[no-untyped-call]
        self._plc.kill()
        self._plc.wait()

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _has_claimed(self) -> bool:
        lines = sorted(self._lines(), key=lambda line: int(line.split()[0]))
        told = [line.split()[1:] for line in lines]
        return ["zero"] in [words[:1] for words in told[told.index(["run", str(self.runs)]) :]]

    def _lines(self) -> list[str]:
        """The PLC's log; of a rail that a board counts and drives, its own beside it."""
        lines = self._log.read_text(encoding="utf-8").splitlines()
        if self._board is None:
            return lines
        told = [line for line in lines if line.split()[1] not in {"speed", "zero"}]
        return [*told, *self._board.lines()]

    def _said(self) -> Path:
        return self._folder / f"line{self.runs}.log"

    def _dealt(self) -> dict[int, int]:
        """How many frames the latest run had dealt with, if it ended by itself."""
        if self.line is None or self.line.poll() is None:
            return {}
        said = _ENDED.search(self._said().read_text())
        return {} if said is None else {self.runs: int(said[1])}

    def _eventually(self, holds: Callable[[], bool]) -> None:
        give_up_s = time.monotonic() + _PATIENCE_S
        while not holds():
            assert self.line is None or self.line.poll() is None, self.last_words()
            assert time.monotonic() < give_up_s, "it never came about"
            time.sleep(0.02)


def show(folder: Path, frames: int) -> Shown:
    """The recording's good frames, over and over, and where their defects are."""
    expected = json.loads((RECORDING / "expected.json").read_text())["outcome"]["frames"]
    good = [frame for frame in expected if frame["index"] not in LEFT_OUT]
    folder.mkdir()
    defects = []
    for number in range(frames):
        frame = good[number % len(good)]
        picture = RECORDING / "frames" / "top" / f"{frame['index']:06d}.png"
        (folder / f"{number:06d}.png").symlink_to(picture)
        from_um = number * ROWS * 1000 - frame["start_um"]
        defects += [(from_um + start, from_um + end) for start, end in frame["defects"]]
    return Shown(ROWS * 1000, OFFSET_MM * 1000, defects)


def line_settings(folder: Path, port: int, reject: Mapping[str, Any]) -> dict[str, Any]:
    """A line whose every wire is in the PLC."""

    def place(table: str, address: int, **more: Any) -> dict[str, Any]:
        at = {"type": "modbus", "host": "127.0.0.1", "port": port, "table": table}
        return {**at, "address": address, **more}

    return {
        "name": "rail",
        "bundle": str(RECORDING / "line.bundle"),
        "cameras": {
            "top": {
                "type": "folder",
                "path": str(folder / "shown"),
                "along_um": 1000,
                "across_um": 1000,
                "quality": {"stale_after_ms": 60_000},
            }
        },
        "engine": {"type": "onnxruntime"},
        "encoder": {
            **place("input_register", 0, bits=32, timeout_ms=2000),
            "um_per_count": rail_plc.UM_PER_COUNT,
            "speed_mm_s": SPEED_MM_S,
        },
        "reject": {
            "output": place("coil", rail_plc.VALVE, active_low=True, timeout_ms=2000),
            "stop_line": place("coil", rail_plc.STOP, active_low=True, timeout_ms=2000),
            "offset_mm": OFFSET_MM,
            "delay_ms": 0,
            "margin_mm": 80,  # a busy machine may be late by 160 ms
            "min_pulse_ms": 20,
            "ledger": "ledger.db",
            **reject,
        },
        "heartbeat": {"output": place("coil", rail_plc.BEAT, timeout_ms=2000)},
        "rules": {"reject_if": {"min_area_mm2": 20}},
    }


def on_board(board: RailBoard, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same line with valve and encoder on a co-processor."""
    encoder = {"type": "serial", "port": board.port, "um_per_count": UM_PER_COUNT}
    return {
        "encoder": {**encoder, "speed_mm_s": SPEED_MM_S},
        "reject": {**settings["reject"], "output": {"type": "serial"}},
    }
