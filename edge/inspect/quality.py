"""Whether a frame could have shown a defect at all: a dark, stale or noisy one cannot."""

from __future__ import annotations

import cv2
import numpy as np

from edge.inspect.appearance import Familiar, bounded, look_at
from edge.line_file import Quality
from edge.types import Frame, Image


def faults(
    frame: Frame,
    limits: Quality,
    now_ns: int,
    inside: Image | None = None,
    familiar: Familiar | None = None,
    *,
    lit: Image | None = None,
) -> tuple[str, ...]:
    """Every reason why nothing can be said about a frame; empty for a good one.

    Only what is `inside` is looked at: H,W, and not 0 there; its light is measured where it is
    `lit`, if that is less. Without a baseline there is nothing that it could be `familiar` to.
    """
    age_ms = (now_ns - frame.captured_ns) / 1e6
    image = grey(frame.image)
    look = look_at(image, inside)
    stale = (age_ms > limits.stale_after_ms, f"stale: {age_ms:.0f} ms old")
    sharpness, share = look.edges**2, look.texture_share
    blurred = (sharpness < limits.min_sharpness, f"blurred: sharpness {sharpness:.1f}")
    noisy = (share < limits.min_texture_share, f"noise: {share:.0%} of what varies is texture")
    light = exposure_faults(image, limits, inside if lit is None else lit)
    found = _failed(stale) + light + _failed(blurred, noisy)
    return found if found or familiar is None else familiar.faults(look)


def exposure_faults(image: Image, limits: Quality, inside: Image | None = None) -> tuple[str, ...]:
    """Why light and exposure left nothing to be seen in a picture; empty if something is."""
    image, inside = bounded(grey(image), inside)
    mean = cv2.mean(image, inside)[0]
    pixels = image.size if inside is None else cv2.countNonZero(inside)
    shown = image if inside is None else np.bitwise_and(image, inside)
    burnt = np.count_nonzero(shown == 255) if shown.max() == 255 else 0
    saturated = burnt / pixels
    return _failed(
        (mean < limits.dark_below, f"dark: mean grey {mean:.0f}"),
        (mean > limits.bright_above, f"bright: mean grey {mean:.0f}"),
        (saturated > limits.max_saturated_share, f"saturated: {saturated:.0%} of the pixels"),
    )


def _failed(*checks: tuple[bool, str]) -> tuple[str, ...]:
    return tuple(reason for failed, reason in checks if failed)


def grey(image: Image) -> Image:
    """H,W of any frame's."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
