"""What a line rejects, frame by frame and as fast as it can, and what it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np

from edge.inspect import Inspection, Inspector, grey
from edge.types import Defect, Frame, Image, LostFrame, State, Stretch, Verdict, unite

_NEAR_UM = 2_000  # a call this near to a true defect is no false one: edges are soft
_CROP_PX = 96


@dataclass(frozen=True, slots=True)
class Box:
    """A place on the surface."""

    stretch: Stretch
    left_um: int
    right_um: int

    def touches(self, other: Box, within_um: int = 0) -> bool:
        return (
            self.stretch.widened(within_um).overlaps(other.stretch)
            and self.left_um - within_um < other.right_um
            and other.left_um - within_um < self.right_um
        )


@dataclass(frozen=True, slots=True)
class Call(Box):
    """What was rejected there, and what it was called; None of a network that names nothing."""

    named: str | None
    area_mm2: float


@dataclass
class Sight:
    """What one pass over the surface came to."""

    calls: dict[int, Call] = field(default_factory=dict)  # by the defect's number
    unknown: list[Stretch] = field(default_factory=list)
    looked_um: int = 0

    def see(self, verdict: Verdict) -> None:
        """One more, in order along the rail."""
        if verdict.state is State.UNKNOWN:
            self.unknown.append(verdict.stretch)
            return
        self.looked_um += verdict.stretch.end_um - verdict.stretch.start_um
        for defect in verdict.defects:
            for number in defect.absorbed:
                self.calls.pop(number, None)
            self.calls[defect.number] = _call(defect)

    def found(self, true: Box) -> bool:
        """Something was rejected that touches it."""
        return any(call.touches(true) for call in self.calls.values())

    def named(self, true: Box) -> str | None:
        """What the largest of what touches it is called."""
        touching = (call for call in self.calls.values() if call.touches(true))
        largest = max(touching, key=lambda call: call.area_mm2, default=None)
        return None if largest is None else largest.named

    def was_seen(self, true: Box) -> bool:
        """None of it lies where nobody could look."""
        return not any(stretch.overlaps(true.stretch) for stretch in unite(self.unknown))

    def false_calls(self, truth: Iterable[Box]) -> list[Call]:
        """What was rejected, and no true defect is near."""
        true = list(truth)
        return [
            call
            for call in self.calls.values()
            if not any(call.touches(each, _NEAR_UM) for each in true)
        ]


def look(
    inspector: Inspector,
    frames: Iterable[Frame | LostFrame],
    watch: Callable[[Inspection], None] = lambda _: None,
) -> Sight:
    """Show the frames in order."""
    sight = Sight()
    for frame in frames:
        inspection = inspector.inspect(frame)
        sight.see(inspection.verdict)
        watch(inspection)
    return sight


class Signals:
    """How strongly the network answered to each true defect, whatever became of it: the greatest
    logit over it, in any frame.
    """

    def __init__(self, truth: list[Box]) -> None:
        self._truth = truth
        self.of: list[float | None] = [None] * len(truth)

    def watch(self, inspection: Inspection) -> None:
        frame, mask = inspection.seen, inspection.mask
        if mask is None or not isinstance(frame, Frame):
            return
        for at, true in enumerate(self._truth):
            if not frame.stretch.overlaps(true.stretch):
                continue
            answered = mask.logits[_window(frame, true)]
            if answered.size:
                now, before = float(answered.max()), self.of[at]
                self.of[at] = now if before is None else max(now, before)


def isolated(boxes: list[Box], within_um: int) -> list[bool]:
    """Which have no other so near: of two that are one to the eye nobody can say which is found."""
    return [
        not any(one.touches(two, within_um) for at, two in enumerate(boxes) if at != number)
        for number, one in enumerate(boxes)
    ]


def cut_out(frame: Frame, box: Box) -> bytes:
    """A picture of the place, as a PNG."""
    return cut_round(frame.image, *_window(frame, box))


def cut_round(image: Image, rows: slice, columns: slice) -> bytes:
    """A picture of a place in an image, as a PNG."""
    middle = (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2
    height, width = image.shape[:2]
    top = max(0, min(middle[0] - _CROP_PX // 2, height - _CROP_PX))
    left = max(0, min(middle[1] - _CROP_PX // 2, width - _CROP_PX))
    return png_of(image[top : top + _CROP_PX, left : left + _CROP_PX])


def png_of(image: Image) -> bytes:
    """Grey, without loss."""
    _, data = cv2.imencode(".png", grey(image))
    return data.tobytes()


def _call(defect: Defect) -> Call:
    named = None if defect.class_score is None else defect.label
    return Call(defect.stretch, defect.left_um, defect.right_um, named, defect.area_mm2)


def _window(frame: Frame, box: Box) -> tuple[slice, slice]:
    """The frame's rows and columns that show some of it."""
    height, width = frame.image.shape[:2]
    start_um = frame.stretch.start_um
    top = int(np.clip((box.stretch.start_um - start_um) / frame.along_um, 0, height))
    bottom = int(np.clip(np.ceil((box.stretch.end_um - start_um) / frame.along_um), 0, height))
    left = int(np.clip(box.left_um / frame.across_um, 0, width))
    right = int(np.clip(np.ceil(box.right_um / frame.across_um), 0, width))
    return slice(top, bottom), slice(left, right)
