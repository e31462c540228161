"""An image becomes the same tensor everywhere, and logits the same mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from edge.bundle import InputSpec
from edge.errors import FrameError
from edge.network import read_mask, to_tensor

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(1, 1, 16, 24)).astype(np.float32)
GREY = InputSpec(
    height=32, width=48, channels=1, mean=[128], scale=[1 / 64], resize="linear", um_per_px=250
)
COLOUR = GREY.model_copy(
    update={"channels": 3, "mean": [100.0, 110.0, 120.0], "scale": [1 / 50, 1 / 60, 1 / 70]}
)


def test_an_image_at_network_size_is_only_normalised() -> None:
    image = rng.integers(0, 256, (32, 48), np.uint8)
    tensor = to_tensor(image, GREY)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    np.testing.assert_allclose(tensor, (image[None, None].astype(float) - 128) / 64, rtol=1e-6)


def test_colour_keeps_its_order_and_each_channel_its_own_mean_and_scale() -> None:
    image = rng.integers(0, 256, (32, 48, 3), np.uint8)
    wanted = (image.astype(float) - COLOUR.mean) * COLOUR.scale
    np.testing.assert_allclose(to_tensor(image, COLOUR)[0], wanted.transpose(2, 0, 1), rtol=1e-5)


def test_colour_turns_grey_and_grey_is_replicated() -> None:
    colour = np.zeros((32, 48, 3), np.uint8)
    colour[...] = (10, 100, 200)
    luma = round(0.114 * 10 + 0.587 * 100 + 0.299 * 200)
    np.testing.assert_array_equal(
        to_tensor(colour, GREY), to_tensor(np.full((32, 48), luma, np.uint8), GREY)
    )
    grey = rng.integers(0, 256, (32, 48), np.uint8)
    np.testing.assert_array_equal(
        to_tensor(grey, COLOUR), to_tensor(np.stack([grey] * 3, axis=2), COLOUR)
    )


def test_another_size_is_stretched_linearly() -> None:
    image = rng.integers(0, 256, (50, 100), np.uint8)
    pixels = to_tensor(image, GREY)[0, 0] * 64 + 128
    np.testing.assert_allclose(pixels, _stretched(image.astype(float), 32, 48), atol=1)


@pytest.mark.parametrize("short", ["mean", "scale"])
def test_a_mean_or_scale_that_some_channel_lacks_is_refused(short: str) -> None:
    with pytest.raises(ValidationError, match="must each have 3 values"):
        InputSpec.model_validate(COLOUR.model_dump() | {short: [1.0]})


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8), np.float32), "float32, not uint8"),
        (np.zeros((8, 8), np.uint16), "uint16, not uint8"),
        (np.zeros((8, 8, 4), np.uint8), "neither H,W grey nor H,W,3 BGR"),
        (np.zeros((8, 8, 1), np.uint8), "neither H,W grey nor H,W,3 BGR"),
        (np.zeros((8,), np.uint8), "neither H,W grey nor H,W,3 BGR"),
        (np.zeros((1, 8, 8, 3), np.uint8), "neither H,W grey nor H,W,3 BGR"),
        (np.zeros((0, 8), np.uint8), "empty"),
        (np.zeros((8, 0, 3), np.uint8), "empty"),
    ],
)
def test_what_is_no_image_is_refused_with_a_remedy(image: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        to_tensor(image, GREY)


@given(st.integers(1, 90), st.integers(1, 90))
def test_a_mask_is_the_logits_stretched_with_half_pixel_centres(height: int, width: int) -> None:
    mask = read_mask(LOGITS, (height, width), 0.5)
    assert mask.logits.dtype == np.float32
    np.testing.assert_allclose(mask.logits, _stretched(LOGITS[0, 0], height, width), atol=1e-4)


def test_a_mask_is_true_where_the_probability_is_above_the_threshold() -> None:
    logits = np.array([[[[-3, 0.84], [0.86, 3]]]], np.float32)  # 0.7 is a logit of 0.847
    assert read_mask(logits, (2, 2), 0.7).binary.tolist() == [[False, False], [True, True]]


def test_a_clip_ends_what_is_nearly_sure_and_moves_no_decision_at_a_half() -> None:
    own = np.float32([0.01, 0.05, 0.275, 0.4999, 0.5001, 0.725, 0.95, 0.99])
    logits = np.log(own / (1 - own))[None, None, None]
    plain, mask = (read_mask(logits, (1, own.size), 0.5, clip) for clip in (0.0, 0.05))
    wanted = [0, 0, 0.25, 0.4999, 0.5001, 0.75, 1, 1]
    np.testing.assert_allclose(mask.probability[0], wanted, atol=1e-4)
    assert (mask.probability[0] == 0).tolist() == [True] * 2 + [False] * 6, "not only nearly"
    assert mask.binary.tolist() == plain.binary.tolist()


@given(st.floats(0.02, 0.98), st.floats(0, 0.4))
def test_what_is_found_is_what_the_clipped_probability_shows(threshold: float, clip: float) -> None:
    mask = read_mask(LOGITS, LOGITS.shape[2:], threshold, clip)
    clear = np.abs(mask.probability - threshold) > 1e-5
    assert ((mask.probability > threshold) == mask.binary)[clear].all()


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_broken_network_does_not_find_the_rail_clean(broken: float) -> None:
    logits = LOGITS.copy()
    logits[0, 0, 7, 7] = broken
    with pytest.raises(FrameError, match="NaN or infinity"):
        read_mask(logits, (32, 48), 0.5)


def _stretched(plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """What `align_corners=False` means, one axis after the other."""
    return _along(_along(plane, height).T, width).T


def _along(plane: NDArray[Any], length: int) -> NDArray[Any]:
    rows = plane.shape[0]
    at = np.clip((np.arange(length) + 0.5) * rows / length - 0.5, 0, rows - 1)
    below = np.minimum(at.astype(int), max(rows - 2, 0))
    part = (at - below)[:, None]
    return np.asarray(plane[below] * (1 - part) + plane[below + 1] * part)
