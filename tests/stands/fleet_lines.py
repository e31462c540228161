"""A line of a fleet, run as systemd runs it: in a process, and started again whenever it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from stands.places import TESTS_PATH
from stands.waiting import PATIENCE_S

START_AGAIN = 75


def unhurried(path: Path) -> dict[str, Any]:
    """A fleet line's file, changed so that a busy machine has time for all; what it says now."""
    line: dict[str, Any] = yaml.safe_load(path.read_text())
    line["encoder"]["speed_mm_s"] = 80  # slow enough for `check`
    line["fleet"] |= {"well_within_s": 300, "well_frames": 10}
    path.write_text(yaml.safe_dump(line))
    return line


class Service:
    """`trackside run`, started again whenever it ends."""

    def __init__(self, path: Path) -> None:
        self.codes: list[int] = []
        self._pid = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stands.fleet_service", str(path)],
            env={**os.environ, "PYTHONPATH": TESTS_PATH},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._thread = Thread(target=self._listen, daemon=True)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            what, number = line.split()
            if what == "runs":
                self._pid = int(number)
            else:
                self.codes.append(int(number))

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._thread.join(PATIENCE_S)
        self._process.kill()
        self._process.wait()
