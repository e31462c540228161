"""A line that moves only while the main loop does; its silence means reject (see WIRING.md)."""

from __future__ import annotations

from firmware_bridge.lines import OutputLine
from firmware_bridge.types import Clock


class Heartbeat:
    """Toggles `line` once for each `beat` and at no other time.

    No thread and no timer drives it: a loop that hangs, dies or is killed leaves the line still at
    whichever level it had, and a relay that wants edges drops. So call `beat` when a frame has been
    dealt with, never from a timer. `beat` belongs to one thread; any thread may ask `is_silent`.
    """

    def __init__(self, line: OutputLine, timeout_ns: int, clock: Clock) -> None:
        if timeout_ns <= 0:
            raise ValueError(f"timeout_ns is {timeout_ns}: give the relay's time, above 0")
        self._line = line
        self._timeout_ns = timeout_ns
        self._clock = clock
        self._beat_ns: int | None = None

    def beat(self) -> None:
        self._line.set(not self._line.active)
        self._beat_ns = self._clock()

    def is_silent(self, now_ns: int) -> bool:
        """Whether the relay has dropped by now; true until the first beat."""
        beat_ns = self._beat_ns
        return beat_ns is None or now_ns - beat_ns > self._timeout_ns
