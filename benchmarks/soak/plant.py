"""What stands around the line: its small disk, its broker, its clock, and the line's process."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak.broker import TOPIC, Broker
from edge.errors import TracksideError

CAMERAS = ("left", "right")  # of two rails; of one the only camera is `top`
DISK_MB = 96
_NS = 1_000_000_000
_CLOCK_SOURCE = Path(__file__).with_name("clock.c")


def line_settings(
    folder: Path,
    *,
    seed: int,
    broker: Broker | None = None,
    metrics_port: int = 0,
    page_port: int | None = None,
    rails: int = 1,
) -> dict[str, Any]:
    """What the line's file says: all that a line can keep and tell, on the small disk.

    Each rail has a camera, an actuator and a heartbeat of its own.
    """
    disk = folder / "disk"
    names = CAMERAS[:rails] if rails > 1 else ("top",)
    valves, beats = [_valve(name) for name in names], [_beat(name) for name in names]
    line: dict[str, Any] = {
        "name": "soak",
        "bundle": "strip",
        "cameras": {name: _camera(name, seed + number) for number, name in enumerate(names)},
        "encoder": {"type": "simulated", "speed_mm_s": 500},
        "reject": {
            **valves[0],
            "also": valves[1:],
            "tolerance_mm": 20,
            "silence_ms": 1000,
            "ledger": str(disk / "ledger.sqlite"),
        },
        "heartbeat": {**beats[0], "also": beats[1:]},
        "rules": {"reject_if": {"min_area_mm2": 0}},
        "metrics": {"port": metrics_port},
        "swap": {"folder": str(folder / "swap"), "shadow_frames": 40, "max_slowdown": 4},
        "store": {
            "path": str(disk / "events"),
            "unsure_below": 0.6,
            "ok_every": 500,
            "max_size_mb": DISK_MB / 2,
            "keep_free_mb": DISK_MB / 8,
        },
    }
    if broker is not None:
        spool = str(disk / "spool.sqlite")
        where = {"host": "127.0.0.1", "port": broker.port, "topic": TOPIC}
        line["mqtt"] = {**where, "spool": spool, "health_every_s": 2}
    if page_port is not None:
        line["web"] = {"port": page_port}
    return line


def _camera(name: str, seed: int) -> dict[str, Any]:
    return {
        "type": "synthetic",
        "seed": seed,
        "height_px": 368,
        "width_px": 368,
        "defects_per_metre": 2.0,
        "distractors_per_metre": 2.0,
        "fps": 30,
        "overlap_mm": 40,
        "rejects": [f"{name} valve"],
    }


def _valve(name: str) -> dict[str, Any]:
    return {
        "name": f"{name} valve",
        "output": {"type": "memory"},
        "offset_mm": 1000,
        "delay_ms": 20,
        "margin_mm": 50,
        "min_pulse_ms": 20,
    }


def _beat(name: str) -> dict[str, Any]:
    return {"output": {"type": "memory"}, "timeout_ms": 500, "cameras": [name]}


class Clock:
    """The line's wall clock: the system's, and as much ahead as is wanted."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise TracksideError(
                "the line's clock is stepped by a library that `cc` builds: "
                "install a C compiler, or add --without clock"
            )
        self._library, self._ahead = folder / "clock.so", folder / "clock"
        flags = ["-O2", "-shared", "-fPIC", "-o", str(self._library)]
        subprocess.run([compiler, *flags, str(_CLOCK_SOURCE)], check=True)
        self.set(0)

    def set(self, ahead_s: float) -> None:
        with self._ahead.open("r+b" if self._ahead.exists() else "wb") as file:
            file.write(struct.pack("q", round(ahead_s * _NS)))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self._library), "CLOCK_AHEAD": str(self._ahead)}


class LineProcess:
    """The line under test, and the pipes to and from its probe."""

    def __init__(self, path: Path, log: Path, environment: Mapping[str, str]) -> None:
        mine, theirs = os.pipe()
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.soak.line", str(path), str(theirs)],
                stdin=subprocess.PIPE,
                stderr=errors,
                pass_fds=[theirs],
                text=True,
                env={**os.environ, **environment},
            )
        os.close(theirs)
        self.report = os.fdopen(mine)
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def say(self, word: str) -> None:
        """A camera's name and its fault, or `mend`."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def stop(self, patience_s: float = 30) -> int:
        """Have it end in good order; its exit code."""
        self._process.terminate()
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@dataclass(frozen=True)
class Plant:
    """All of it, running."""

    folder: Path
    line_file: Path
    metrics_port: int
    cameras: tuple[str, ...]
    broker: Broker | None
    clock: Clock | None
    line: LineProcess
    changes: list[subprocess.Popen[str]]  # of the bundle, by the command

    @property
    def disk(self) -> Path:
        return self.folder / "disk"
