"""A line that moves only while the main loop does; its silence means reject (see WIRING.md)."""

from __future__ import annotations

from firmware_bridge.lines import OutputLine


class Heartbeat:
    """Toggles `line` once for each `beat` and at no other time.

    No thread and no timer drives it: a loop that hangs, dies or is killed leaves the line still at
    whichever level it had, and a relay that wants edges drops. So call `beat` when a frame has been
    dealt with, never from a timer. It belongs to one thread.
    """

    def __init__(self, line: OutputLine) -> None:
        self._line = line

    def beat(self) -> None:
        self._line.set(not self._line.active)
