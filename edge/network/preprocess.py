"""The one way an image becomes a tensor, in training as on the box."""

from __future__ import annotations

import cv2
import numpy as np

from edge.bundle import InputSpec
from edge.errors import FrameError
from edge.types import Image, Tensor


def to_tensor(image: Image, spec: InputSpec) -> Tensor:
    """H,W grey or H,W,3 BGR pixels to 1,C,H,W of (pixel - mean) * scale, contiguous.

    FrameError for what is no image.
    """
    image = _resized(image, spec)
    tensor = np.empty((1, spec.channels, spec.height, spec.width), np.float32)
    for plane, pixels, mean, scale in zip(
        tensor[0], _planes(image, spec.channels), spec.mean, spec.scale, strict=True
    ):
        np.subtract(pixels, mean, out=plane, dtype=np.float32)
        np.multiply(plane, scale, out=plane)
    return tensor


def to_pixels(image: Image, spec: InputSpec) -> Image:
    """The 1,C,H,W bytes that `to_tensor` normalises."""
    planes = _planes(_resized(image, spec), spec.channels)
    return planes[0][None, None] if spec.channels == 1 else np.stack(planes)[None]


def _resized(image: Image, spec: InputSpec) -> Image:
    """First of all, so that whatever follows costs the network's size and not the camera's."""
    refuse_what_is_no_image(image)
    if image.shape[:2] == (spec.height, spec.width):
        return image
    resized = cv2.resize(image, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.uint8)


def _planes(image: Image, channels: int) -> list[Image]:
    """One image a channel: colour is turned grey for one, grey replicated for three."""
    if image.ndim == 2:
        return [image] * channels
    if channels == 1:
        return [np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)]
    return [np.asarray(plane, np.uint8) for plane in cv2.split(image)]


def refuse_what_is_no_image(image: Image) -> None:
    """FrameError for pixels of another kind than bytes, and for what is neither grey nor BGR."""
    if image.dtype != np.uint8:
        raise FrameError(f"pixels are {image.dtype}, not uint8: have the camera deliver 8 bits")
    if image.ndim != 2 and image.shape[2:] != (3,):
        raise FrameError(
            f"an image of shape {image.shape} is neither H,W grey nor H,W,3 BGR: "
            "have the camera deliver one of them"
        )
    if image.size == 0:
        raise FrameError(f"an image of shape {image.shape} is empty: check the camera's crop")
