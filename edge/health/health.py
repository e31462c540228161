"""How a line is doing: stage times, missed deadlines, lost frames, drift. No clock, I/O or lock.

The main loop's thread alone calls `see`; any thread may ask how it is `at` any time, and never
holds the loop up by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import cv2

from edge.box import Box, BoxState
from edge.cameras import CameraCounts
from edge.health.drift import (
    Distribution,
    brightness_distribution,
    drift_from,
    score_distribution,
)
from edge.health.line_health import (
    Facts,
    Histogram,
    Keeping,
    Kind,
    LineHealth,
    Messages,
    Outputs,
    Rejects,
)
from edge.inspect import Baseline, Inspection
from edge.line_file import LineSettings
from edge.swap import SwapStatus
from edge.types import Frame, Image, LostFrame, State, Stretch, Verdict

# `capture` is from the light on the sensor until the loop has the frame, `actuate` from the verdict
# until every order is given.
STAGES = ("capture", "preprocess", "quality", "infer", "mask", "decide", "actuate")

_BOX = Box()
_ASK_NS = 1_000_000_000  # between two questions to the rejector


class Health:
    """Counts every inspection; what others count, they are asked for."""

    def __init__(
        self,
        deadline_ns: Callable[[Stretch], int],
        rejects: Callable[[], Rejects],
        baseline: Baseline | None = None,
        *,
        facts: Callable[[], Facts] = Facts,
        outputs: Callable[[], Outputs] = lambda: Outputs("as ordered"),
        keeping: Callable[[], Keeping] = Keeping,
        swap: Callable[[], SwapStatus | None] = lambda: None,
        camera: Callable[[], CameraCounts | None] = lambda: None,
        box: Callable[[], BoxState] = _BOX.state,
        messages: Callable[[], Messages | None] = lambda: None,
    ) -> None:
        self._deadline_ns = deadline_ns
        self._ask_rejects = rejects
        self._rejects = rejects()
        self._asked_ns: int | None = None
        self._baseline = baseline
        self._facts, self._outputs, self._keeping = facts, outputs, keeping
        self._swap, self._camera, self._box, self._messages = swap, camera, box, messages
        self._brightness, self._score = brightness_distribution(), score_distribution()
        self._frames = dict.fromkeys(State, 0)
        self._found = Counter[Kind]()  # there are few kinds: bundles have few classes
        self._known = frozenset[int]()  # numbers of what the frame before showed
        self._lost_frames = 0
        self._deadlines_missed = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._latency = Histogram()
        self._done_ns: int | None = None  # when the latest frame was done with
        self._bundle: str | None = None

    def see(self, inspection: Inspection, now_ns: int) -> None:
        """Count it, at the time when its orders have been given."""
        seen = inspection.seen
        self._frames[inspection.verdict.state] += 1
        self._count_found(inspection.verdict)
        self._lost_frames += isinstance(seen, LostFrame)
        latency_ns = inspection.latency_ns
        self._deadlines_missed += latency_ns > self._deadline_ns(seen.stretch)
        self._latency.add(latency_ns)
        for stage, ns in inspection.stage_ns.items():
            self._stages[stage].add(ns)
        self._stages["capture"].add(latency_ns - sum(inspection.stage_ns.values()))
        self._stages["actuate"].add(now_ns - inspection.decided_ns)
        self._bundle = inspection.bundle
        # The baseline's scores are of its own network: those of another cannot be compared.
        if self._baseline is not None and self._baseline.bundle == inspection.bundle:
            add_appearance(inspection, self._brightness, self._score)
        if self._asked_ns is None or now_ns - self._asked_ns >= _ASK_NS:
            # Only the loop asks: it shares a lock with the rejector anyhow, and whoever reads the
            # health must not hold the rejector up.
            self._rejects, self._asked_ns = self._ask_rejects(), now_ns
        self._done_ns = now_ns

    def _count_found(self, verdict: Verdict) -> None:
        """What goes on from the frame before is counted already."""
        now = set[int]()
        for is_reported, found in ((False, verdict.defects), (True, verdict.reported)):
            for each in found:
                now |= {each.number, *each.absorbed}
                if self._known.isdisjoint({each.number, *each.absorbed}):
                    self._found[Kind(each.label, is_reported)] += 1
        self._known = frozenset(now)

    def at(self, now_ns: int) -> LineHealth:
        """All of it at this moment."""
        drift: dict[str, float] = {}
        if self._baseline is not None and self._baseline.bundle == self._bundle:
            drift = drift_from(self._baseline, self._brightness.counts, self._score.counts)
        done_ns = self._done_ns
        return LineHealth(
            facts=self._facts(),
            frames=dict(self._frames),
            found=dict(self._found),
            lost_frames=self._lost_frames,
            deadlines_missed=self._deadlines_missed,
            # A frame may have been dealt with since whoever asks looked at the clock.
            last_frame_age_s=None if done_ns is None else max(0, now_ns - done_ns) / 1e9,
            stages={stage: times.counted() for stage, times in self._stages.items()},
            latency=self._latency.counted(),
            drift=drift,
            rejects=self._rejects,
            outputs=self._outputs(),
            bundle=self._bundle,
            keeping=self._keeping(),
            swap=self._swap(),
            camera=self._camera(),
            box=self._box(),
            messages=self._messages(),
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
