"""How the rail moves, from the last readings: its speed, where it was, when it will be there."""

from __future__ import annotations

from collections import deque

from firmware_bridge.types import SECOND_NS, Reading

SPEED_WINDOW_NS = 10_000_000  # long enough for coarse counts, short enough for a line that brakes


class Motion:
    """The readings of the speed window, and one before it."""

    def __init__(self) -> None:
        self._recent: deque[Reading] = deque()
        self._speed_um_s = 0

    @property
    def last(self) -> Reading | None:
        return self._recent[-1] if self._recent else None

    def take(self, reading: Reading) -> None:
        """Measure the speed anew. Readings come in the order of their times."""
        recent = self._recent
        if recent and reading.at_ns < recent[-1].at_ns:
            raise ValueError(
                f"a reading at {reading.at_ns} ns came after one at {recent[-1].at_ns} ns: "
                "give readings in order, on one monotonic clock"
            )
        recent.append(reading)
        while len(recent) > 1 and reading.at_ns - recent[1].at_ns >= SPEED_WINDOW_NS:
            recent.popleft()
        # at the start of a run: a count just after it is no speed yet
        elapsed_ns = max(reading.at_ns - recent[0].at_ns, SPEED_WINDOW_NS)
        travelled_um = reading.position_um - recent[0].position_um
        self._speed_um_s = travelled_um * SECOND_NS // elapsed_ns

    def way_um(self, duration_ns: int) -> int:
        """How far the rail goes meanwhile; nothing comes nearer while it backs up."""
        return max(0, self._speed_um_s) * duration_ns // SECOND_NS

    def position_at_um(self, at_ns: int) -> int:
        """The position at a time between the last two readings."""
        before, after = self._recent[-2], self._recent[-1]
        elapsed_ns = after.at_ns - before.at_ns
        if elapsed_ns == 0:
            return after.position_um
        travelled_um = after.position_um - before.position_um
        return before.position_um + travelled_um * (at_ns - before.at_ns) // elapsed_ns

    def reached_ns(self, distance_um: int) -> int | None:
        """When the rail has gone so much further at its present speed; None if it never has."""
        now_ns = self._recent[-1].at_ns
        if distance_um <= 0:
            return now_ns
        if self._speed_um_s <= 0:
            return None
        return now_ns - (-distance_um * SECOND_NS // self._speed_um_s)  # rounded up
