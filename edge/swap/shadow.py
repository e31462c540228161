"""The shadow period: two networks over the same frames, and what their answers have in common.

The main loop leaves each camera's latest frame in a slot and goes on; whoever shadows takes them
from there, one camera's after another's. A frame that was not taken in time is replaced by the next
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Condition

import numpy as np

from edge.errors import TracksideError
from edge.inspect import Inspection, Inspector, Judge, as_ruled, find, gate, naming_of
from edge.line_file import SwapSettings
from edge.network import read_answer
from edge.network.golden import golden_input
from edge.swap.difference import Differences, Judged
from edge.swap.folder import Comparison
from edge.types import Frame, State, Stretch


class Slot:
    """Holds the latest frame that was put of each camera; one thread puts, another takes."""

    def __init__(self) -> None:
        self._filled = Condition()
        self._latest: dict[str, Frame] = {}
        self._taken: dict[str, int] = {}  # how many of each camera

    def put(self, camera: str, frame: Frame) -> None:
        with self._filled:  # held for these two lines only, on either side
            self._latest[camera] = frame
            self._filled.notify()

    def take(self, timeout_s: float) -> tuple[str, Frame] | None:
        """Of the camera that fewest were taken of."""
        with self._filled:
            if not self._filled.wait_for(lambda: self._latest, timeout_s):
                return None
            camera = min(self._latest, key=lambda name: self._taken.get(name, 0))
            self._taken[camera] = self._taken.get(camera, 0) + 1
            return camera, self._latest.pop(camera)


@dataclass
class Shadow:
    """Has two networks look at the same frames in the same thread, and compares.

    The old one is there a second time: in the loop's thread its times would be another thing. Each
    has an inspector for each camera.
    """

    old: Mapping[str, Inspector]
    new: Mapping[str, Inspector]
    _agreed: int = 0
    _rejected: int = 0
    _rejected_too: int = 0
    _shared_px: int = 0
    _marked_px: int = 0
    differences: Differences = field(default_factory=Differences)
    _old_ns: list[int] = field(default_factory=list)
    _new_ns: list[int] = field(default_factory=list)

    @property
    def frames(self) -> int:
        return len(self._new_ns)

    def look(self, camera: str, frame: Frame) -> None:
        """Count one frame; one that the old network cannot judge says nothing."""
        first, second = self.old[camera], self.new[camera]
        if self.frames % 2:  # whoever is second finds the frame in the cache
            old, new = _inspect(first, frame), _inspect(second, frame)
        else:
            new, old = _inspect(second, frame), _inspect(first, frame)
        if old.mask is None:
            return
        if new.mask is None:
            reasons = "; ".join(new.verdict.reasons)
            raise TracksideError(f"it cannot judge frame {frame.index} of {camera} ({reasons})")
        self._agreed += new.verdict.state is old.verdict.state
        if old.verdict.state is State.NG:
            self._rejected += 1
            self._rejected_too += new.verdict.state is State.NG
        was, now = old.mask.binary, new.mask.binary
        self._shared_px += int(np.count_nonzero(was & now))
        self._marked_px += int(np.count_nonzero(was | now))
        seen = Judged(old.verdict, old.mask), Judged(new.verdict, new.mask)
        self.differences.see(camera, frame, *seen)
        self._old_ns.append(sum(old.stage_ns.values()))
        self._new_ns.append(sum(new.stage_ns.values()))

    def comparison(self) -> Comparison:
        old_p50, old_p99 = np.percentile(self._old_ns, [50, 99]) / 1e6
        new_p50, new_p99 = np.percentile(self._new_ns, [50, 99]) / 1e6
        return Comparison(
            frames=self.frames,
            agreement=self._agreed / self.frames,
            rejected=self._rejected,
            rejected_too=self._rejected_too,
            golden_missed=any(self._misses_golden(camera) for camera in self.old),
            overlap=self._shared_px / self._marked_px if self._marked_px else None,
            old_p50_ms=round(float(old_p50), 3),
            old_p99_ms=round(float(old_p99), 3),
            new_p50_ms=round(float(new_p50), 3),
            new_p99_ms=round(float(new_p99), 3),
        )

    def _misses_golden(self, camera: str) -> bool:
        """Whether the new one lets pass what the old one rejects in its own golden pair.

        Sound rail shows no defect for hours, and this one is always there.
        """
        bundle = self.old[camera].network.bundle
        spec, image = bundle.manifest.input, golden_input(bundle)
        stretch = Stretch(0, round(spec.height * spec.um_per_px))
        frame = Frame(0, image, 0, stretch, spec.um_per_px)
        old, new = _judged(self.old[camera], frame), _judged(self.new[camera], frame)
        missed = old.verdict.state is State.NG and new.verdict.state is not State.NG
        if missed:
            self.differences.see_golden(image, old, new)
        return missed


def _inspect(inspector: Inspector, frame: Frame) -> Inspection:
    """As if it had just been taken: what matters is what is seen in it."""
    return inspector.inspect(replace(frame, captured_ns=inspector.clock_ns()))


def _judged(inspector: Inspector, frame: Frame) -> Judged:
    """By limits and rules; a golden pair is of no camera, so neither its view nor its quality."""
    network, rules = inspector.network, inspector.rules
    manifest = as_ruled(network.bundle.manifest, rules)
    answer = network.engine.infer(network.prepare(frame.image))
    (answer,), _ = gate([answer], manifest, rules.sound_above)
    mask = read_answer(answer, frame.image.shape[:2], manifest)
    found = find(frame, mask, manifest.limits, naming_of(rules, manifest))
    return Judged(Judge(rules).judge(frame, *found), mask)


def too_slow(comparison: Comparison, settings: SwapSettings) -> list[str]:
    """Why the new network must not take over, whoever accepts how it judges; none if it may."""
    slowdown = comparison.new_p99_ms / comparison.old_p99_ms
    if slowdown <= settings.max_slowdown:
        return []
    return [
        f"its p99 is {comparison.new_p99_ms:.1f} ms, {slowdown:.2f} times the old one's, and "
        f"swap.max_slowdown is {settings.max_slowdown:g}"
    ]


def judges_otherwise(comparison: Comparison, settings: SwapSettings) -> list[str]:
    """In what the new network differs from the old one by more than it may; none if it does not."""
    found = []
    if comparison.agreement < settings.min_agreement:
        found.append(
            f"it agrees on {comparison.agreement:.1%} of {comparison.frames} frames, and "
            f"swap.min_agreement is {settings.min_agreement:.1%}"
        )
    rejected, rejected_too = comparison.rejected, comparison.rejected_too
    if rejected_too < settings.min_ng_agreement * rejected:
        found.append(
            f"of {rejected} frames that the old one rejects it rejects {rejected_too}, and "
            f"swap.min_ng_agreement is {settings.min_ng_agreement:.1%}"
        )
    if comparison.golden_missed and settings.min_ng_agreement > 0:
        found.append("it lets pass the defect of the old one's golden pair, which is rejected now")
    if comparison.overlap is not None and comparison.overlap < settings.min_overlap:
        found.append(
            f"its masks overlap by {comparison.overlap:.2f}, and swap.min_overlap is "
            f"{settings.min_overlap:g}"
        )
    return found
