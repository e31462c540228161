"""The judge of a rail: by the PLC's log and the pictures that were shown, and by nothing else.

It knows where the rail was, when K1 had power (a relay that drops when no edge came for 500 ms),
when the valve let the rail by, and how many frames a run of the line had dealt with: one for each
edge of the heartbeat, and never one whose rail had not yet gone by the camera. What it asks is how
much rail went by the open valve that nobody had looked at, whether a defect went by that had been
looked at, and for how long K1 had power by an edge that no frame stood for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter

BEAT, VALVE = 0, 1  # coils; 1 lets the rail by
RELAY_NS = 500_000_000
_SLICE_NS = 2_000_000  # the rail is looked at in pieces of so long

Piece = tuple[int, int]  # from um, to um, along the rail
Cases = list[tuple[int, Piece]]  # each in which run


@dataclass(frozen=True, slots=True)
class Shown:
    """What each run was shown: frames of one length end to end, and the defects in them, from its
    zero on. `offset_um` is from the last row of a frame, as it is taken, to the valve.
    """

    frame_um: int
    offset_um: int
    defects: Sequence[Piece]  # in order, none over another


@dataclass
class Findings:
    """What went by the open valve."""

    passed_um: int = 0  # that had been looked at
    carried_um: int = 0  # of it, by an earlier run than the one that has the outputs
    unseen: Cases = field(default_factory=list)  # that nobody had looked at
    defects: Cases = field(default_factory=list)  # seen, while a run had the outputs
    defects_down: Cases = field(default_factory=list)  # seen, while none had them
    unearned_ns: int = 0  # while K1 had power by an edge that no frame stood for
    unearned_um: int = 0
    edges: dict[int, int] = field(default_factory=dict)  # of the heartbeat, by run

    @property
    def unseen_mm(self) -> float:
        return length_mm(self.unseen)


def length_mm(cases: Cases) -> float:
    """Of rail, in all."""
    return sum(end - start for _, (start, end) in cases) / 1000


def judge(
    log: Sequence[str],
    shown: Shown,
    until_ns: int | None = None,
    dealt: Mapping[int, int] | None = None,
) -> Findings:
    """Go through the log from its first line to its last, or to a moment after it.

    `dealt`: how many frames a run of the line dealt with, where that is known for certain.
    """
    lines = sorted(map(_line, log), key=itemgetter(0))
    court = _Court(shown, Rail(lines), dealt or {})
    times = [at_ns for at_ns, _, _ in lines]
    for line, (_, next_ns) in zip(lines, pairwise([*times, until_ns or times[-1]]), strict=True):
        court.hear(*line)
        court.watch(line[0], next_ns)
    return court.findings()


class Rail:
    """Where the rail was, by the speeds in the log."""

    def __init__(self, lines: Sequence[_Line]) -> None:
        speeds = [(at_ns, *numbers) for at_ns, what, numbers in lines if what == "speed"]
        self._times = [speed[0] for speed in speeds]
        self._speeds = speeds

    def position_um(self, at_ns: int) -> int:
        since_ns, mm_s, um = self._speeds[max(0, bisect_right(self._times, at_ns) - 1)]
        return um + mm_s * (at_ns - since_ns) // 1_000_000


_Line = tuple[int, str, list[int]]


def _line(text: str) -> _Line:
    at_ns, what, *numbers = text.split()
    return int(at_ns), what, [int(number) for number in numbers]


@dataclass
class _Run:
    """One start of the line."""

    number: int
    zero_um: int | None = None
    beats: int = 0

    def seen(self, shown: Shown, position_um: int) -> Piece | None:
        """The rail of the frames that were dealt with by now."""
        if self.zero_um is None:
            return None
        frames = min(self.beats, (position_um - self.zero_um) // shown.frame_um)
        return (self.zero_um, self.zero_um + frames * shown.frame_um) if frames > 0 else None


class _Court:
    def __init__(self, shown: Shown, rail: Rail, dealt: Mapping[int, int]) -> None:
        self._shown = shown
        self._rail = rail
        self._dealt = dealt
        self._found = Findings()
        self._runs: list[_Run] = []
        self._is_open = False  # the valve
        self._is_down = True  # no run has the outputs
        self._edge_ns = self._earned_ns = -RELAY_NS  # the last, and the last that a frame earned
        self._starts = [start for start, _ in shown.defects]

    def hear(self, at_ns: int, what: str, numbers: list[int]) -> None:
        """One line of the log."""
        if what == "run":
            self._runs.append(_Run(numbers[0]))
            self._is_down = True
        elif what == "zero" and self._runs[-1].zero_um is None:
            self._runs[-1].zero_um, self._is_down = numbers[0], False
        elif what == "down":
            self._is_down = True
        elif what == "coil" and numbers[0] == VALVE:
            self._is_open = bool(numbers[1])
        elif what == "coil" and numbers[0] == BEAT:
            self._edge_ns = at_ns
            if self._runs and self._is_earned(self._runs[-1], at_ns):
                self._earned_ns = at_ns

    def _is_earned(self, run: _Run, at_ns: int) -> bool:
        self._found.edges[run.number] = self._found.edges.get(run.number, 0) + 1
        if run.zero_um is None:
            return False
        gone_by = (self._rail.position_um(at_ns) - run.zero_um) // self._shown.frame_um
        earned = run.beats < min(gone_by, self._dealt.get(run.number, gone_by))
        run.beats += earned
        return earned

    def watch(self, from_ns: int, to_ns: int) -> None:
        """The rail under the valve, until the log says more."""
        end_ns = min(to_ns, self._edge_ns + RELAY_NS)  # K1 has dropped
        if not self._is_open or not self._runs:
            return
        for begin_ns in range(from_ns, end_ns, _SLICE_NS):
            until_ns = min(begin_ns + _SLICE_NS, end_ns)
            begin_um, until_um = (self._rail.position_um(ns) for ns in (begin_ns, until_ns))
            self._look(begin_um, until_um)
            if begin_ns - self._earned_ns >= RELAY_NS:
                self._found.unearned_ns += until_ns - begin_ns
                self._found.unearned_um += until_um - begin_um

    def _look(self, begin_um: int, until_um: int) -> None:
        """Was it looked at by now, and is it whole?"""
        piece = (begin_um - self._shown.offset_um, until_um - self._shown.offset_um)
        found, run = self._found, self._runs[-1].number
        seen = [
            (each, stretch)
            for each in self._runs
            if (stretch := each.seen(self._shown, begin_um)) is not None
            and stretch[0] < piece[1]
            and piece[0] < stretch[1]
        ]
        unseen = list(_without(piece, [stretch for _, stretch in seen]))
        found.unseen += [(run, each) for each in unseen]
        bare_um = sum(end - start for start, end in unseen)
        found.passed_um += piece[1] - piece[0] - bare_um
        if not self._is_down:
            own = [stretch for each, stretch in seen if each is self._runs[-1]]
            not_own = _without(piece, own)
            found.carried_um += sum(end - start for start, end in not_own) - bare_um
        defects = found.defects_down if self._is_down else found.defects
        for each, stretch in seen:
            defects += [(run, bad) for bad in self._bad(each, stretch, piece)]

    def _bad(self, run: _Run, stretch: Piece, piece: Piece) -> Iterator[Piece]:
        assert run.zero_um is not None
        first = max(0, bisect_left(self._starts, piece[0] - run.zero_um) - 1)
        for start_um, end_um in self._shown.defects[first:]:
            start, end = run.zero_um + start_um, run.zero_um + end_um
            if start >= piece[1]:
                return
            if piece[0] < end <= stretch[1]:
                yield max(start, piece[0]), min(end, piece[1])

    def findings(self) -> Findings:
        found = self._found
        found.unseen, found.defects = _joined(found.unseen), _joined(found.defects)
        found.defects_down = _joined(found.defects_down)
        return found


def _without(piece: Piece, others: Sequence[Piece]) -> Iterator[Piece]:
    start, end = piece
    for one, two in sorted(others):
        if start < one:
            yield start, min(one, end)
        start = max(start, two)
    if start < end:
        yield start, end


def _joined(cases: Cases) -> Cases:
    """Of one run, what touches is one."""
    joined: Cases = []
    for run, (start, end) in sorted(set(cases)):
        if joined and joined[-1][0] == run and start <= joined[-1][1][1]:
            before = joined[-1][1]
            joined[-1] = (run, (before[0], max(end, before[1])))
        else:
            joined.append((run, (start, end)))
    return joined
