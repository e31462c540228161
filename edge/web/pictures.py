"""JPEGs for the page: the frame with its overlay, and what a reject was for, cut out of its frame.

Whatever is large is made small first, so that drawing costs the page's size and not the camera's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edge.inspect import Inspection, draw_overlay
from edge.types import Defect, Frame, Image, Mask, Verdict

FRAME_PX, CUTTING_PX = 640, 320  # the longer side of a picture on the page, at most
_LEAST_CUTTING_PX = 128  # a cutting shows at least so many pixels of the frame
_AROUND = 0.6  # times a defect's size is shown on each side of it
_REST = 40  # after a frame, times as long as it took to draw, before the next is drawn
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 80]


@dataclass(frozen=True, eq=False)
class Shot:
    """Pixels with what was found in them."""

    image: Image
    mask: Mask | None
    verdict: Verdict


def shot_of(inspection: Inspection) -> Shot | None:
    """The whole frame; None where there is nothing that could be shown."""
    seen = inspection.seen
    if not isinstance(seen, Frame) or not _is_image(seen.image):
        return None
    return Shot(seen.image, inspection.mask, inspection.verdict)


def cutting_of(inspection: Inspection) -> Shot | None:
    """Round its largest defect, or all of the frame; a small copy that holds no frame in memory."""
    shot = shot_of(inspection)
    if shot is None:
        return None
    if defects := shot.verdict.defects:
        shot = _cut(shot, _round(max(defects, key=lambda d: d.area_mm2), shot.image))
    return _scaled(shot, min(1, _fitting(shot, CUTTING_PX)))


def frame_jpeg(shot: Shot) -> bytes:
    """Not larger than it is."""
    return _jpeg(_scaled(shot, min(1, _fitting(shot, FRAME_PX))))


def cutting_jpeg(cutting: Shot) -> bytes:
    """A small one is grown first, so that the lines drawn over it stay thin."""
    return _jpeg(_scaled(cutting, _fitting(cutting, CUTTING_PX)))


def _jpeg(shot: Shot) -> bytes:
    drawn = draw_overlay(shot.image, shot.mask, shot.verdict)
    return cv2.imencode(".jpg", drawn, _QUALITY)[1].tobytes()


class LiveFrame:
    """The newest frame's JPEG, made when it is asked for and not more often than is bearable: so
    seldom that one of many megapixels takes no more of the processor than a small one.
    """

    def __init__(self, least_ns: int, clock_ns: Callable[[], int]) -> None:
        self._least_ns = least_ns  # between two
        self._clock_ns = clock_ns
        self._due_ns = 0
        self._shown: Inspection | None = None
        self._jpeg = b""

    def of(self, newest: Inspection) -> tuple[int, bytes]:
        """The number of the frame that is shown, and its JPEG: empty where there is no image."""
        now_ns = self._clock_ns()
        if self._shown is None or (now_ns >= self._due_ns and newest is not self._shown):
            shot = shot_of(newest)
            self._jpeg = b"" if shot is None else frame_jpeg(shot)
            took_ns = self._clock_ns() - now_ns
            self._shown, self._due_ns = newest, now_ns + max(self._least_ns, _REST * took_ns)
        return self._shown.verdict.frame_index, self._jpeg


def _is_image(image: Image) -> bool:
    """What is none is UNKNOWN for just that."""
    shape = image.shape
    flat = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    return bool(image.dtype == np.uint8 and flat and image.size)


def _round(defect: Defect, image: Image) -> tuple[int, int, int, int]:
    """x, y, width, height of a square that holds the defect and some of what is round it."""
    x, y, width, height = defect.box_px
    rows, columns = image.shape[:2]
    side = max(_LEAST_CUTTING_PX, round(max(width, height) * (1 + 2 * _AROUND)))
    across, along = min(side, columns), min(side, rows)
    left = min(max(0, x + width // 2 - across // 2), columns - across)
    top = min(max(0, y + height // 2 - along // 2), rows - along)
    return left, top, across, along


def _cut(shot: Shot, window: tuple[int, int, int, int]) -> Shot:
    left, top, width, height = window
    inside = np.s_[top : top + height, left : left + width]
    mask = shot.mask
    return Shot(
        shot.image[inside].copy(),
        None if mask is None else replace(mask, logits=mask.logits[inside].copy()),
        _moved(shot.verdict, left, top, 1),
    )


def _fitting(shot: Shot, longest_px: int) -> float:
    rows, columns = shot.image.shape[:2]
    return longest_px / max(int(rows), int(columns))


def _scaled(shot: Shot, scale: float) -> Shot:
    if scale == 1:
        return shot
    rows, columns = shot.image.shape[:2]
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    mask = shot.mask
    if mask is not None:
        logits = cv2.resize(mask.logits, size, interpolation=how)
        mask = replace(mask, logits=np.asarray(logits, np.float32))
    image = np.asarray(cv2.resize(shot.image, size, interpolation=how), np.uint8)
    return Shot(image, mask, _moved(shot.verdict, 0, 0, scale))


def _moved(verdict: Verdict, left: int, top: int, scale: float) -> Verdict:
    """Its boxes where they are in another picture of the same rail."""
    defects, reported = (
        tuple(_moved_one(each, left, top, scale) for each in found)
        for found in (verdict.defects, verdict.reported)
    )
    return replace(verdict, defects=defects, reported=reported)


def _moved_one(defect: Defect, left: int, top: int, scale: float) -> Defect:
    x, y, width, height = defect.box_px
    moved_px = (
        round((x - left) * scale),
        round((y - top) * scale),
        round(width * scale),
        round(height * scale),
    )
    return replace(defect, box_px=moved_px)
