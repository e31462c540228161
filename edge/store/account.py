"""What a line has looked at, by camera and minute: kept in the store beside the events, of which
there are none for rail in good order.

Rail counts once: of a frame that shows some of the one before, only what lies beyond that one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from edge.inspect import Inspection
from edge.types import State

_LEAST_NS = 100_000  # a latency below this is as good as this
_RATIO = 1.05  # of a bound of latencies to the one before: what a figure may be off by
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Part:
    """What one camera of a run looked at in a minute, with one bundle; `run` is the store's."""

    began: str  # when the run did: its name here and in the ledger
    camera: str
    part: int  # counted through the run
    utc: str  # of the first frame
    bundle: str
    ok: int
    ng: int
    unknown: int
    start_um: int  # where the part before ended
    end_um: int
    inspected_um: int
    unknown_um: int
    latency: Mapping[int, int]  # how many frames lie in each step; see `latency_ns`
    latency_most_ns: int
    run: int = 0

    @property
    def frames(self) -> int:
        return self.ok + self.ng + self.unknown

    @property
    def run_um(self) -> int:
        """Of rail that went by."""
        return self.end_um - self.start_um

    @property
    def unseen_um(self) -> int:
        """Of rail between frames, of which there is no verdict at all."""
        return self.run_um - self.inspected_um - self.unknown_um


def latency_ns(steps: Mapping[int, int], share: float) -> int | None:
    """What this share of the frames stayed below, to one part in twenty; None of no frames."""
    left = math.ceil(share * sum(steps.values()))
    for step, count in sorted(steps.items()):
        left -= count
        if left <= 0:
            return round(_LEAST_NS * _RATIO**step)
    return None


def steps_together(some: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The frames of several."""
    total = Counter[int]()
    for each in some:
        total.update(each)
    return dict(sorted(total.items()))


@dataclass
class _Sums:
    """Of a part that is under way."""

    part: int
    minute: int
    utc: str
    bundle: str
    start_um: int
    end_um: int
    states: Counter[State] = field(default_factory=Counter)
    inspected_um: int = 0
    unknown_um: int = 0
    latency: Counter[int] = field(default_factory=Counter)
    latency_most_ns: int = 0

    def add(self, inspection: Inspection) -> None:
        state, stretch = inspection.verdict.state, inspection.verdict.stretch
        fresh_um = max(0, stretch.end_um - max(stretch.start_um, self.end_um))
        if state is State.UNKNOWN:
            self.unknown_um += fresh_um
        else:
            self.inspected_um += fresh_um
        self.end_um = max(self.end_um, stretch.end_um)
        self.states[state] += 1
        self.latency[_step(inspection.latency_ns)] += 1
        self.latency_most_ns = max(self.latency_most_ns, inspection.latency_ns)

    def as_part(self, began: str, camera: str) -> Part:
        return Part(
            began=began,
            camera=camera,
            part=self.part,
            utc=self.utc,
            bundle=self.bundle,
            ok=self.states[State.OK],
            ng=self.states[State.NG],
            unknown=self.states[State.UNKNOWN],
            start_um=self.start_um,
            end_um=self.end_um,
            inspected_um=self.inspected_um,
            unknown_um=self.unknown_um,
            latency=dict(self.latency),
            latency_most_ns=self.latency_most_ns,
        )


class Account:
    """Of one run; belongs to the main loop's thread."""

    def __init__(self, began: str) -> None:
        self._began = began
        self._open: dict[str, _Sums] = {}  # by camera
        self._untold: dict[tuple[str, int], Part] = {}
        self._changed: set[str] = set()  # cameras

    def add(self, inspection: Inspection, now: datetime) -> None:
        camera, minute = inspection.camera, int(now.timestamp() // _MINUTE_S)
        sums = self._open.get(camera)
        if sums is None or (sums.minute, sums.bundle) != (minute, inspection.bundle):
            sums = self._next(camera, sums, minute, now, inspection)
        sums.add(inspection)
        self._changed.add(camera)

    def take(self) -> list[Part]:
        """Those that have come or grown since."""
        for camera in self._changed:
            sums = self._open[camera]
            self._untold[camera, sums.part] = sums.as_part(self._began, camera)
        parts = list(self._untold.values())
        self._untold.clear()
        self._changed.clear()
        return parts

    def _next(
        self, camera: str, last: _Sums | None, minute: int, now: datetime, first: Inspection
    ) -> _Sums:
        part, from_um = 0, first.verdict.stretch.start_um
        if last is not None:
            self._untold[camera, last.part] = last.as_part(self._began, camera)
            part, from_um = last.part + 1, last.end_um
        utc = now.isoformat(timespec="milliseconds")
        sums = _Sums(part, minute, utc, first.bundle, from_um, from_um)
        self._open[camera] = sums
        return sums


def _step(ns: int) -> int:
    """The first step at or above it."""
    return max(0, math.ceil(math.log(max(ns, _LEAST_NS) / _LEAST_NS, _RATIO) - 1e-9))
