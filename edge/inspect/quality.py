"""Whether a frame could have shown a defect at all: a dark, burnt-out or stale one cannot."""

from __future__ import annotations

import cv2
import numpy as np

from edge.line_file import Quality
from edge.types import Frame, Image

_AROUND = np.ones((3, 3), np.uint8)  # the pixels that an edge is told by


def faults(
    frame: Frame, limits: Quality, now_ns: int, inside: Image | None = None
) -> tuple[str, ...]:
    """Every reason why nothing can be said about a frame; empty for a good one.

    Only what is `inside` is looked at: H,W, and not 0 there.
    """
    age_ms = (now_ns - frame.captured_ns) / 1e6
    image = _grey(frame.image)
    # The region's own edge may be one in the image, and as sharp in a blurred one.
    within = None if inside is None else np.asarray(cv2.erode(inside, _AROUND), np.uint8)
    edges = cv2.Laplacian(image, cv2.CV_16S)
    sharpness = float(cv2.meanStdDev(edges, mask=within)[1][0, 0]) ** 2
    stale = (age_ms > limits.stale_after_ms, f"stale: {age_ms:.0f} ms old")
    blurred = (sharpness < limits.min_sharpness, f"blurred: sharpness {sharpness:.1f}")
    return _failed(stale) + exposure_faults(image, limits, inside) + _failed(blurred)


def exposure_faults(image: Image, limits: Quality, inside: Image | None = None) -> tuple[str, ...]:
    """Why light and exposure left nothing to be seen in a picture; empty if something is."""
    image = _grey(image)
    if inside is None:
        mean, burnt, pixels = float(image.mean()), image == 255, image.size
    else:
        mean, pixels = cv2.mean(image, inside)[0], cv2.countNonZero(inside)
        burnt = np.bitwise_and(image, inside) == 255
    saturated = float(np.count_nonzero(burnt)) / pixels
    return _failed(
        (mean < limits.dark_below, f"dark: mean grey {mean:.0f}"),
        (mean > limits.bright_above, f"bright: mean grey {mean:.0f}"),
        (saturated > limits.max_saturated_share, f"saturated: {saturated:.0%} of the pixels"),
    )


def _failed(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(reason for failed, reason in checks if failed)


def _grey(image: Image) -> Image:
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
