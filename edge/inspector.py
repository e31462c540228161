"""One frame through the network to a verdict, with the time each stage took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from edge.errors import FrameError
from edge.mask import read_mask
from edge.network import Network
from edge.preprocess import to_pixels, to_tensor
from edge.quality import faults
from edge.rules import Quality, Rules
from edge.seams import Seams
from edge.types import Frame, LostFrame, Mask, State, Verdict
from edge.verdict import Judge, unknown


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that is known of one stretch of rail after it was looked at."""

    seen: Frame | LostFrame
    verdict: Verdict
    mask: Mask | None  # None where the network never ran
    stage_ns: dict[str, int]
    decided_ns: int
    bundle: str  # the digest of the one it was judged with

    @property
    def latency_ns(self) -> int:
        """From the light on the sensor to the verdict."""
        return self.decided_ns - self.seen.captured_ns


@dataclass
class Inspector:
    """The network, the rules and the limits of one line."""

    network: Network
    rules: Rules
    quality: Quality
    clock_ns: Callable[[], int]
    _seams: Seams = field(default_factory=Seams, init=False)
    _judge: Judge = field(init=False)

    def __post_init__(self) -> None:
        self._judge = Judge(self.rules)

    def inspect(self, seen: Frame | LostFrame) -> Inspection:
        """A verdict for whatever the camera gave; one that cannot be reached is UNKNOWN."""
        marks = [("start", self.clock_ns())]
        mask = None
        if isinstance(seen, LostFrame):
            verdict = unknown(seen, (seen.reason,))
        else:
            try:
                verdict, mask = self._look(seen, marks)
            except FrameError as error:
                verdict = unknown(seen, (str(error),))
        if verdict.state is State.UNKNOWN:
            self._seams.forget()
        marks.append(("decide", self.clock_ns()))
        digest = self.network.bundle.digest
        return Inspection(seen, verdict, mask, _durations(marks), marks[-1][1], digest)

    def _look(self, frame: Frame, marks: list[tuple[str, int]]) -> tuple[Verdict, Mask | None]:
        bundle, engine = self.network
        manifest = bundle.manifest
        # First of all, because it refuses what is no image.
        prepare = to_pixels if engine.takes_pixels else to_tensor
        tensor = prepare(frame.image, manifest.input)
        marks.append(("preprocess", self.clock_ns()))
        if reasons := faults(frame, self.quality, marks[-1][1]):
            return unknown(frame, reasons), None
        marks.append(("quality", self.clock_ns()))
        logits = engine.infer(tensor)
        marks.append(("infer", self.clock_ns()))
        mask = read_mask(logits, frame.image.shape[:2], manifest.threshold)
        marks.append(("mask", self.clock_ns()))
        defects = self._seams.follow(frame, mask, manifest.limits)
        return self._judge.judge(frame, defects), mask


def _durations(marks: list[tuple[str, int]]) -> dict[str, int]:
    return {name: at - before for (_, before), (name, at) in pairwise(marks)}
