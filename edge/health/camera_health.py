"""What is counted of one camera's frames, and how that camera is doing at one moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import cv2

from edge.cameras import CameraCounts
from edge.health.drift import (
    Distribution,
    brightness_distribution,
    drift_from,
    score_distribution,
    unfamiliar_distribution,
)
from edge.health.times import Counted, Histogram
from edge.inspect import Baseline, Inspection
from edge.types import Frame, Image, LostFrame, State, Verdict

# `capture` is from the light on the sensor until the loop has the frame, `actuate` from the verdict
# until every order is given.
STAGES = ("capture", "preprocess", "quality", "infer", "mask", "decide", "actuate")


class Kind(NamedTuple):
    """Of what is found."""

    name: str  # its class, or a word in place of it
    is_reported: bool


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How one camera is doing. What is counted is counted from the start of the run."""

    frames: Mapping[State, int]
    found: Mapping[Kind, int]  # defects that count, and things that are only reported
    lost_frames: int  # it gave no image for their rail
    deadlines_missed: int
    last_frame_age_s: float | None  # since it was done with; None before the first one
    stages: Mapping[str, Counted]
    latency: Counted  # from the light on the sensor to the verdict
    drift: Mapping[str, float]  # empty without a baseline, and before enough frames
    bundle: str | None  # digest of the one that its latest frame was judged with
    source: CameraCounts | None  # None of a camera that does not run freely


class CameraAccount:
    """Counts every inspection of one camera. The loop's thread alone calls `see`."""

    def __init__(self, baseline: Baseline | None) -> None:
        self._baseline = baseline
        self._brightness, self._score = brightness_distribution(), score_distribution()
        self._unfamiliar = unfamiliar_distribution()
        self._frames = dict.fromkeys(State, 0)
        self._found = Counter[Kind]()  # there are few kinds: bundles have few classes
        # By whether it is reported: the numbers of what is counted and goes on.
        self._known: dict[bool, set[int]] = {False: set(), True: set()}
        self._lost_frames = 0
        self._deadlines_missed = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._latency = Histogram()
        self._done_ns: int | None = None  # when the latest frame was done with
        self._bundle: str | None = None

    def see(self, inspection: Inspection, deadline_ns: int, now_ns: int) -> None:
        """Count it, at the time when its orders have been given."""
        self._frames[inspection.verdict.state] += 1
        self._count_found(inspection.verdict)
        self._lost_frames += isinstance(inspection.seen, LostFrame)
        latency_ns = inspection.latency_ns
        self._deadlines_missed += latency_ns > deadline_ns
        self._latency.add(latency_ns)
        for stage, ns in inspection.stage_ns.items():
            self._stages[stage].add(ns)
        self._stages["capture"].add(latency_ns - sum(inspection.stage_ns.values()))
        self._stages["actuate"].add(now_ns - inspection.decided_ns)
        self._bundle = inspection.bundle
        # The baseline's scores are of its own network: those of another cannot be compared.
        if self._baseline is not None and self._baseline.bundle == inspection.bundle:
            add_appearance(inspection, self._brightness, self._score)
            if inspection.unfamiliar is not None:
                self._unfamiliar.add(inspection.unfamiliar)
        self._done_ns = now_ns

    def _count_found(self, verdict: Verdict) -> None:
        """What goes on from the frame before is counted already, by what it was called first; what
        was only reported and turns out to be a defect is counted as that too.
        """
        now = set[int]()
        for is_reported, found in ((False, verdict.defects), (True, verdict.reported)):
            known = self._known[is_reported]
            for each in found:
                numbers = {each.number, *each.absorbed}
                now |= numbers
                if known.isdisjoint(numbers):
                    self._found[Kind(each.label, is_reported)] += 1
                known |= numbers
        for known in self._known.values():
            known.intersection_update(now)

    def at(self, now_ns: int, source: CameraCounts | None) -> CameraHealth:
        """All of it at this moment, for any thread."""
        drift: dict[str, float] = {}
        if self._baseline is not None and self._baseline.bundle == self._bundle:
            seen = {
                "brightness": self._brightness.counts,
                "score": self._score.counts,
                "unfamiliar": self._unfamiliar.counts,
            }
            drift = drift_from(self._baseline, seen)
        done_ns = self._done_ns
        return CameraHealth(
            frames=dict(self._frames),
            found=dict(self._found),
            lost_frames=self._lost_frames,
            deadlines_missed=self._deadlines_missed,
            # A frame may have been dealt with since whoever asks looked at the clock.
            last_frame_age_s=None if done_ns is None else max(0, now_ns - done_ns) / 1e9,
            stages={stage: times.counted() for stage, times in self._stages.items()},
            latency=self._latency.counted(),
            drift=drift,
            bundle=self._bundle,
            source=source,
        )


def add_appearance(inspection: Inspection, brightness: Distribution, score: Distribution) -> None:
    """Count how bright a frame was, and what the network made of it."""
    if isinstance(inspection.seen, Frame) and inspection.mask is not None:
        brightness.add(_mean_grey(inspection.seen.image))
        score.add(float(inspection.mask.logits.max()))


def _mean_grey(image: Image) -> float:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return sum(cv2.mean(image)[:channels]) / channels
