"""How a line is doing: stage times, missed deadlines, lost frames, drift. No clock, I/O or lock.

The main loop's thread alone calls `see`; any thread may take a `snapshot` at any time, and never
holds the loop up by it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import cv2

from edge.cameras import CameraCounts
from edge.health.drift import (
    Distribution,
    brightness_distribution,
    drift_from,
    score_distribution,
)
from edge.inspect import Baseline, Inspection
from edge.line_file import LineSettings
from edge.swap import SwapStatus
from edge.types import Frame, Image, LostFrame, State, Stretch

# `capture` is from the light on the sensor until the loop has the frame, `actuate` from the verdict
# until every order is given.
STAGES = ("capture", "preprocess", "quality", "infer", "mask", "decide", "actuate")

_MS = 1_000_000
BOUNDS_NS = tuple(
    round(ms * _MS) for ms in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
)
_ASK_NS = 1_000_000_000  # between two questions to the rejector


@dataclass(frozen=True, slots=True)
class Counted:
    """A histogram at one moment: how many values lie above each bound and not above the next."""

    counts: tuple[int, ...]  # one more than there are bounds
    total_ns: int

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_ms(self) -> float:
        return self.total_ns / self.count / _MS if self.count else 0.0


@dataclass
class Histogram:
    """Times, counted between `BOUNDS_NS`."""

    _counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_NS) + 1))
    _total_ns: int = 0

    def add(self, ns: int) -> None:
        self._counts[bisect_left(BOUNDS_NS, ns)] += 1
        self._total_ns += ns

    def counted(self) -> Counted:
        return Counted(tuple(self._counts), self._total_ns)


@dataclass(frozen=True, slots=True)
class Rejects:
    """What became of the orders so far, and what the outputs are at."""

    ordered: int
    fired: int
    missed: int
    pending: int
    mode: str


@dataclass(frozen=True, slots=True)
class Keeping:
    """How it is with what is to be kept on disk."""

    troubles: Mapping[str, str]  # what is wrong now, of `store` and `ledger`
    pictures_dropped: int  # of the store: events that went without
    events_lost: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How the line is doing at one moment."""

    frames: Mapping[State, int]
    lost_frames: int  # the camera gave no image for their rail
    deadlines_missed: int
    stages: Mapping[str, Counted]
    latency: Counted  # from the light on the sensor to the verdict
    drift: Mapping[str, float]  # empty without a baseline, and before enough frames
    rejects: Rejects
    seen_ns: int | None  # when the latest frame was done with
    bundle: str | None  # digest of the one that the latest frame was judged with
    keeping: Keeping
    swap: SwapStatus | None  # None where the bundle cannot be changed
    camera: CameraCounts | None  # None of a camera that does not run freely


class Health:
    """Counts every inspection."""

    def __init__(
        self,
        deadline_ns: Callable[[Stretch], int],
        rejects: Callable[[], Rejects],
        baseline: Baseline | None = None,
        *,
        keeping: Callable[[], Keeping] = lambda: Keeping({}, 0, 0),
        swap: Callable[[], SwapStatus | None] = lambda: None,
        camera: Callable[[], CameraCounts | None] = lambda: None,
    ) -> None:
        self._deadline_ns = deadline_ns
        self._ask_rejects = rejects
        self._rejects = rejects()
        self._asked_ns: int | None = None
        self._baseline = baseline
        self._keeping, self._swap, self._camera = keeping, swap, camera
        self._brightness, self._score = brightness_distribution(), score_distribution()
        self._frames = dict.fromkeys(State, 0)
        self._lost_frames = 0
        self._deadlines_missed = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._latency = Histogram()
        self._seen_ns: int | None = None
        self._bundle: str | None = None

    def see(self, inspection: Inspection, now_ns: int) -> None:
        """Count it, at the time when its orders have been given."""
        seen = inspection.seen
        self._frames[inspection.verdict.state] += 1
        self._lost_frames += isinstance(seen, LostFrame)
        latency_ns = inspection.latency_ns
        self._deadlines_missed += latency_ns > self._deadline_ns(seen.stretch)
        self._latency.add(latency_ns)
        for stage, ns in inspection.stage_ns.items():
            self._stages[stage].add(ns)
        self._stages["capture"].add(latency_ns - sum(inspection.stage_ns.values()))
        self._stages["actuate"].add(now_ns - inspection.decided_ns)
        self._bundle = inspection.bundle
        # The scores of another network say nothing.
        if self._baseline is not None and self._baseline.bundle == inspection.bundle:
            add_appearance(inspection, self._brightness, self._score)
        if self._asked_ns is None or now_ns - self._asked_ns >= _ASK_NS:
            # Asked by the loop, which shares a lock with the rejector anyhow, and by nobody else.
            self._rejects, self._asked_ns = self._ask_rejects(), now_ns
        self._seen_ns = now_ns

    def snapshot(self) -> Snapshot:
        drift: dict[str, float] = {}
        if self._baseline is not None and self._baseline.bundle == self._bundle:
            drift = drift_from(self._baseline, self._brightness.counts, self._score.counts)
        return Snapshot(
            frames=dict(self._frames),
            lost_frames=self._lost_frames,
            deadlines_missed=self._deadlines_missed,
            stages={stage: times.counted() for stage, times in self._stages.items()},
            latency=self._latency.counted(),
            drift=drift,
            rejects=self._rejects,
            seen_ns=self._seen_ns,
            bundle=self._bundle,
            keeping=self._keeping(),
            swap=self._swap(),
            camera=self._camera(),
        )


def add_appearance(inspection: Inspection, brightness: Distribution, score: Distribution) -> None:
    """Count how bright a frame was, and what the network made of it."""
    if isinstance(inspection.seen, Frame) and inspection.mask is not None:
        brightness.add(_mean_grey(inspection.seen.image))
        score.add(float(inspection.mask.logits.max()))


def _mean_grey(image: Image) -> float:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return sum(cv2.mean(image)[:channels]) / channels


def deadline_of(config: LineSettings) -> Callable[[Stretch], int]:
    """The greatest latency with which a frame's first row is still rejected, at full speed."""
    speed_mm_s = config.encoder.speed_mm_s

    def deadline_ns(stretch: Stretch) -> int:
        return min(
            round(each.room_mm(stretch.length_mm, speed_mm_s) / speed_mm_s * 1e9)
            for each in config.reject.actuators
        )

    return deadline_ns
