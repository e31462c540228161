"""A PLC on a rail that moves, in a process of its own.

    python -m benchmarks.soak.rail_plc PORT LOG MM_S

It has the coils of a line (heartbeat, reject, stop; a coil of 1 lets the rail by), counts the
rail's encoder in two input registers, and writes down every change of a coil with its time: that
log is all a judge may read. It knows nothing of Trackside. Whoever holds the trial tells it, in
holding registers, of each start of the line and of what it is to do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TextIO

from pymodbus.constants import ExcCodes
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

BEAT, VALVE, STOP = range(3)  # coils
# Holding registers. HANG: the valve's coil is never answered. RESTART: the PLC loses its supply for
# a moment, its coils fall and it counts from 0 again.
RUN, DOWN, HANG, SPEED, RESTART = range(5)
UM_PER_COUNT = 50
FIRST_COUNT = 1_000_000
_READ_COILS, _READ_INPUTS, _WRITE_COIL, _WRITE_REGISTER = 1, 4, 5, 6
_HOUR_S = 3600


class RailPlc:
    """Coils, a counter on a rail that moves by the clock, and the log."""

    def __init__(self, log: TextIO, speed_mm_s: int) -> None:
        self._log = log
        self._coils = [False] * 3
        self._since_ns = time.monotonic_ns()
        self._since_um = 0
        self._speed_mm_s = speed_mm_s
        self._awaits_zero = False
        self._hangs = False
        self._first_count = FIRST_COUNT  # where the rail is at 0
        self._say("speed", speed_mm_s, 0)

    async def act(  # noqa: PLR0917 - the server calls it so
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        given: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Called for each request, before it is answered."""
        if function == _READ_INPUTS:
            self._count(current, address - start)
        elif function == _WRITE_COIL and given is not None:
            if address == VALVE and self._hangs:
                await asyncio.sleep(_HOUR_S)
            self._write(address, bool(given[0]))
        elif function == _WRITE_REGISTER and given is not None:
            self._obey(address, int(given[0]))
        return None

    def _position_um(self, now_ns: int) -> int:
        return self._since_um + self._speed_mm_s * (now_ns - self._since_ns) // 1_000_000

    def _count(self, current: list[int], at: int) -> None:
        now_ns = time.monotonic_ns()
        counted = self._position_um(now_ns) // UM_PER_COUNT
        count = self._first_count + counted & 0xFFFFFFFF
        current[at : at + 2] = [count >> 16 & 0xFFFF, count & 0xFFFF]
        if self._awaits_zero:  # the line's first look at its encoder: where its rail begins
            self._awaits_zero = False
            self._say("zero", counted * UM_PER_COUNT)

    def _write(self, address: int, level: bool) -> None:
        if self._coils[address] is not level:
            self._coils[address] = level
            self._say("coil", address, int(level))

    def _obey(self, address: int, value: int) -> None:
        if address == RUN:
            self._awaits_zero = True
            self._say("run", value)
        elif address == DOWN:
            self._say("down", value)
        elif address == RESTART:
            self._first_count = -self._position_um(time.monotonic_ns()) // UM_PER_COUNT
            for coil in range(len(self._coils)):
                self._write(coil, False)
        elif address == HANG:
            self._hangs = bool(value)
            self._say("hang", value)
        elif address == SPEED:
            now_ns = time.monotonic_ns()
            self._since_um, self._since_ns = self._position_um(now_ns), now_ns
            self._speed_mm_s = value
            self._say("speed", value, self._since_um)

    def _say(self, *words: int | str) -> None:
        print(time.monotonic_ns(), *words, file=self._log, flush=True)


async def serve(port: int, log: Path, speed_mm_s: int) -> None:
    with log.open("a", encoding="utf-8") as lines:
        plc = RailPlc(lines, speed_mm_s)
        coils = [SimData(0, count=8, values=False, datatype=DataType.BITS)]
        inputs = [SimData(0, count=8, values=False, datatype=DataType.BITS)]
        holding = [SimData(0, count=8, values=0, datatype=DataType.REGISTERS)]
        counter = [SimData(0, count=8, values=0, datatype=DataType.REGISTERS)]
        device = SimDevice(0, simdata=(coils, inputs, holding, counter), action=plc.act)
        await StartAsyncTcpServer(device, address=("127.0.0.1", port))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
