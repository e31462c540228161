"""A frame with what was found drawn over it."""

from __future__ import annotations

import cv2
import numpy as np

from edge.types import Image, Mask, State, Verdict

_COLOURS = {State.OK: (80, 175, 76), State.NG: (48, 59, 255), State.UNKNOWN: (0, 191, 255)}  # BGR
_TINT = np.array((48, 59, 255), np.float32)


def draw_overlay(image: Image, mask: Mask | None, verdict: Verdict) -> Image:
    """The frame in colour, the mask as a red tint, a box round each defect, a rim for the state."""
    canvas = np.ascontiguousarray(
        cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image.copy()
    )
    if mask is not None:
        inside = mask.binary
        canvas[inside] = (0.55 * canvas[inside] + 0.45 * _TINT).astype(np.uint8)
    colour = _COLOURS[verdict.state]
    for x, y, width, height in (defect.box_px for defect in verdict.defects):
        cv2.rectangle(canvas, (x - 3, y - 3), (x + width + 2, y + height + 2), colour, 1)
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1] - 1, canvas.shape[0] - 1), colour, 2)
    return np.asarray(canvas, np.uint8)
