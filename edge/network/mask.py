"""The one way an engine's logits become a mask, the same for every engine."""

from __future__ import annotations

import cv2
import numpy as np

from edge.errors import FrameError
from edge.types import Mask, Tensor

SURELY_SOUND = np.float32(-30)  # a logit far below any threshold, for what is put aside as sound


def read_mask(logits: Tensor, shape: tuple[int, int], threshold: float, clip: float = 0.0) -> Mask:
    """1,1,h,w logits to a mask of the frame's `shape` H,W; FrameError where they are no numbers.

    Logits are resized, not probabilities: linear with half-pixel centres, which is what training
    calls bilinear with `align_corners=False`.
    """
    refuse_no_number(logits)
    height, width = shape
    resized = cv2.resize(logits[0, 0], (width, height), interpolation=cv2.INTER_LINEAR)
    return Mask(np.asarray(resized, np.float32), threshold, clip=clip)


def refuse_no_number(logits: Tensor) -> None:
    """FrameError for logits with NaN or infinity among them."""
    if not np.isfinite(logits).all():
        # NaN is never above a threshold: without this a broken network would find the rail clean.
        raise FrameError("the engine answered with NaN or infinity: check it with its golden pair")
