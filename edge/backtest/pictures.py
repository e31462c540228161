"""A frame twice, side by side: as it was judged, and as the candidate judges it."""

from __future__ import annotations

import cv2
import numpy as np

from edge.backtest.cases import Decided
from edge.inspect import Inspection, draw_overlay
from edge.types import Frame, Image, State, Verdict

_SIDE_PX = 360  # of each half; larger ones are shrunk
_BETWEEN_PX = 6


def beside(new: Inspection, old: Inspection | None, was: Decided | None) -> bytes | None:
    """A JPEG; None of what was not seen. Where no old network looked, a rim says what it was."""
    if not isinstance(new.seen, Frame):
        return None
    image = new.seen.image
    left = (
        draw_overlay(image, old.mask, old.verdict)
        if old is not None
        else draw_overlay(image, None, _told(new, was))
    )
    halves = [_small(left), _small(draw_overlay(image, new.mask, new.verdict))]
    gap = np.full((halves[0].shape[0], _BETWEEN_PX, 3), 255, np.uint8)
    return cv2.imencode(".jpg", np.hstack([halves[0], gap, halves[1]]))[1].tobytes()


def _told(new: Inspection, was: Decided | None) -> Verdict:
    state = State.UNKNOWN if was is None else State(was.state)
    return Verdict(state, new.verdict.frame_index, new.verdict.stretch)


def _small(picture: Image) -> Image:
    scale = _SIDE_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    columns, rows = (max(1, round(side * scale)) for side in picture.shape[1::-1])
    shrunk = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)
