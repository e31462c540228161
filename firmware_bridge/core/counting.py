"""From the edges of an encoder's channels to counts: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

from firmware_bridge.errors import EncoderError
from firmware_bridge.types import SECOND_NS, Reading


@dataclass(frozen=True, slots=True)
class Edge:
    """One change of a channel's level; `number` goes up by one from edge to edge."""

    channel: int  # 0 is A, 1 is B
    rising: bool
    number: int


class EdgeCounter:
    """Counts the edges of one channel, or of two a quarter of a period apart.

    `levels` are those of the channels before the first edge. Of one channel each edge counts one,
    and edges that were dropped on the way are counted by the gap in their numbers. Of two channels
    each edge goes forward or back as the other's level says, so that after a dropped one nobody
    knows the count.
    """

    def __init__(self, levels: Sequence[bool]) -> None:
        self._count = 0
        self._levels = list(levels)
        self._moved = [False for _ in levels]
        self._is_quadrature = len(self._levels) == 2
        self._early: list[Edge] = []  # edges that came before one that should precede them
        self._number: int | None = None
        self._lost = ""

    @property
    def count(self) -> int:
        """How far the edges have come; EncoderError, for good, once that is not known."""
        if self._lost:
            raise EncoderError(
                f"{self._lost}: the place of the rail is unknown; choose an encoder with fewer "
                "counts, free the machine of other work, or give the encoder to a co-processor"
            )
        return self._count

    def take(self, edges: Sequence[Edge]) -> None:
        """Those that were read at once. Two channels may give them a little out of order, so one
        that seems lost is waited for until the next time.
        """
        waited = bool(self._early)
        edges = sorted([*self._early, *edges], key=attrgetter("number"))
        self._early = []
        for i, edge in enumerate(edges):
            gap = 0 if self._number is None else edge.number - self._number - 1
            if gap and self._is_quadrature and not waited:
                self._early = edges[i:]
                return
            self._number = edge.number
            if self._is_quadrature:
                self._turn(edge, gap)
            else:
                self._count += 1 + gap

    def _turn(self, edge: Edge, gap: int) -> None:
        """Forward, an edge of A makes it differ from B, and an edge of B makes it equal A."""
        if gap:
            self._lose(f"edges dropped because nobody read them in time: {gap}")
        repeated = self._levels[edge.channel] is edge.rising
        if repeated and self._moved[edge.channel]:
            self._lose("two edges were too near to each other to be told apart")
        self._moved[edge.channel] = True
        self._levels[edge.channel] = edge.rising
        if not repeated:  # a first edge may be the one that led to the level it started from
            a, b = self._levels
            self._count += 1 if (a is b) == (edge.channel == 1) else -1

    def _lose(self, why: str) -> None:
        self._lost = self._lost or why


def absolute_count(raw: int, near: int, bits: int) -> int:
    """The count nearest to `near` that a counter of `bits` bits shows as `raw`."""
    half = 1 << (bits - 1)
    return near + (raw - near + half) % (2 * half) - half


class CountedPosition:
    """Turns what a counter shows into micrometres since the first count it was given.

    The counter may roll over as often as it likes, as long as the rail moves by less than half its
    range from one count to the next. A negative `nm_per_count` turns the direction round.
    """

    def __init__(self, *, bits: int, nm_per_count: int) -> None:
        if bits < 1 or nm_per_count == 0:
            raise ValueError(
                f"a counter of {bits} bits and {nm_per_count} nm a count: "
                "give at least 1 bit, and the nanometres of rail one count stands for"
            )
        self._bits = bits
        self._nm_per_count = nm_per_count
        self._first: int | None = None
        self._count = 0

    def position_um(self, raw: int) -> int:
        if self._first is None:
            self._first = self._count = raw
        self._count = absolute_count(raw, self._count, self._bits)
        return (self._count - self._first) * self._nm_per_count // 1000


class SpeedLimit:
    """Finds a leap that no rail makes: a counter that was reset, a bit that flipped.

    `slack_um` is what one reading may be off by.
    """

    def __init__(self, fastest_um_s: int, *, slack_um: int) -> None:
        self._fastest_um_s = fastest_um_s
        self._slack_um = slack_um
        self._last: Reading | None = None

    def check(self, reading: Reading) -> None:
        """Raise EncoderError if the rail cannot have come here from the last reading."""
        last, self._last = self._last, reading
        if last is None:
            return
        leapt_um = abs(reading.position_um - last.position_um)
        reach_um = self._fastest_um_s * (reading.at_ns - last.at_ns) // SECOND_NS
        if leapt_um > reach_um + self._slack_um:
            raise EncoderError(
                f"the position leapt by {leapt_um / 1000:g} mm, further than "
                f"{self._fastest_um_s / 1000:g} mm/s: see whether the counter was reset, or "
                "the fastest speed of the line is set too low"
            )
