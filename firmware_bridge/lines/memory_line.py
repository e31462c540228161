"""An output and an input that exist in memory, for simulated lines and for tests."""

from __future__ import annotations

from firmware_bridge.errors import LineError
from firmware_bridge.lines.line import InputLine, OutputLine
from firmware_bridge.lines.shared_memory import SharedHistory
from firmware_bridge.types import Clock

History = list[tuple[int, bool]] | SharedHistory  # (at_ns, active)


class MemoryLine(OutputLine):
    """The output of a simulated line: every change of its level, with its time.

    `history` holds the level it was claimed at and then each change; setting a level it already has
    is no change. Where no level is the safe one, it is found inactive. Any thread may read it, and
    any process if it is a SharedHistory.
    """

    def __init__(
        self, clock: Clock, *, safe_active: bool | None, history: History | None = None
    ) -> None:
        self.history: History = [] if history is None else history
        self.history.append((clock(), bool(safe_active)))
        self._clock = clock
        self._safe_active = safe_active
        self._closed = False

    @property
    def active(self) -> bool:
        return self.history[-1][1]

    @property
    def states(self) -> list[bool]:
        return [active for _, active in self.history]

    def set(self, active: bool) -> None:
        if self._closed:
            raise LineError("the memory line is closed: claim a new one")
        if active != self.active:
            self.history.append((self._clock(), active))

    def close(self) -> None:
        if not self._closed:
            if self._safe_active is not None:
                self.set(self._safe_active)
            self._closed = True


class MemoryInput(InputLine):
    """The input of a simulated line: it reads as `active` says, which any thread may change."""

    def __init__(self, *, active: bool = False) -> None:
        self.active = active
        self._closed = False

    def read(self) -> bool:
        if self._closed:
            raise LineError("the memory input is closed: claim a new one")
        return self.active

    def close(self) -> None:
        self._closed = True
