"""The co-processor on the rail: its firmware as a process of this machine, and the serial cable.

Its wheel turns evenly for ever, by the machine's monotonic clock, and every change of its output is
written down with its time. The cable notes when a session is opened: there a run's rail begins.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
import tty
from pathlib import Path

from benchmarks.soak.rail_judge import VALVE

FIRMWARE = Path(__file__).parents[2] / "firmware_bridge" / "firmware"
NS_PER_COUNT = 50_000  # of the wheel
UM_PER_COUNT = 25  # at 500 mm/s
_OPEN = 2  # the type of the request that opens a session


class RailBoard:
    """The board, which outlives the line, and the port where the line finds it."""

    def __init__(self, folder: Path) -> None:
        build = folder / "firmware"
        subprocess.run(["make", "-s", "-C", FIRMWARE, f"BUILD={build}", "host"], check=True)
        self._output = folder / "board.log"
        self._zeros: list[str] = []
        link, board_end = socket.socketpair()
        self._link = link
        with self._output.open("ab") as output, board_end:
            self._process = subprocess.Popen(
                [build / "host"], stdin=board_end.fileno(), stdout=board_end.fileno(), stderr=output
            )
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def lines(self) -> list[str]:
        """What a PLC would have written of valve and encoder."""
        changes = [line.split() for line in self._output.read_text().splitlines() if " " in line]
        valve = [f"{at_ns} coil {VALVE} {1 - int(rejects)}" for at_ns, rejects in changes]
        mm_s = UM_PER_COUNT * 1_000_000 // NS_PER_COUNT
        return [f"0 speed {mm_s} 0", *valve, *self._zeros]

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._process.kill()
        self._process.wait()
        self._link.close()
        os.close(self._master)
        os.close(self._slave)

    def _carry(self) -> None:
        tail, link = b"", self._link.fileno()
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._master, link], [], [], 0.02)
            if self._master in ready:
                asked = os.read(self._master, 4096)
                *frames, tail = (tail + asked).split(b"\0")
                if any(len(frame) > 1 and frame[1] == _OPEN for frame in frames):
                    now_ns = time.monotonic_ns()
                    self._zeros.append(f"{now_ns} zero {now_ns // NS_PER_COUNT * UM_PER_COUNT}")
                self._link.sendall(asked)
            if link in ready:
                os.write(self._master, self._link.recv(4096))
