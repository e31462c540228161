"""A frame with what was found drawn over it."""

from __future__ import annotations

import cv2
import numpy as np

from edge.types import Defect, Image, Mask, State, Verdict

_COLOURS = {State.OK: (80, 175, 76), State.NG: (48, 59, 255), State.UNKNOWN: (0, 191, 255)}  # BGR
_REPORTED = (200, 160, 60)
_TEXT_PX = 16  # a line of it
_TINT = np.array((48, 59, 255), np.float32)


def draw_overlay(image: Image, mask: Mask | None, verdict: Verdict) -> Image:
    """The frame in colour, the mask as a red tint, a box round each thing, a rim for the state."""
    canvas: Image = np.ascontiguousarray(
        cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy(), np.uint8
    )
    if mask is not None:
        inside = mask.binary
        canvas[inside] = (0.55 * canvas[inside] + 0.45 * _TINT).astype(np.uint8)
    colour = _COLOURS[verdict.state]
    for each in verdict.reported:
        _frame(canvas, each, _REPORTED)
    for each in verdict.defects:
        _frame(canvas, each, colour)
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1] - 1, canvas.shape[0] - 1), colour, 2)
    return canvas


def _frame(canvas: Image, found: Defect, colour: tuple[int, int, int]) -> None:
    """A box round it, and its class above that, or below where there is no room."""
    x, y, width, height = found.box_px
    cv2.rectangle(canvas, (x - 3, y - 3), (x + width + 2, y + height + 2), colour, 1)
    if found.class_score is not None:
        line = y - 6 if y > _TEXT_PX else y + height + _TEXT_PX
        cv2.putText(canvas, found.label, (x - 3, line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour)
