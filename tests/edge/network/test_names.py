"""What an engine's class logits come to, on a frame and in a part of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.engines import Answer
from edge.errors import FrameError
from edge.network import read_answer, read_shares, shares_in
from edge.types import Names
from stands.bundles import CLASSES, manifest

LOGITS = np.random.default_rng(3).normal(0, 4, (1, 3, 4, 6)).astype(np.float32)


def test_each_cell_is_shared_among_the_classes() -> None:
    shares = read_shares(
        LOGITS + 500, manifest(named=True)
    )  # a softmax of which alone would overflow
    np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(shares.argmax(axis=0), LOGITS[0].argmax(axis=0))


@given(st.integers(1, 90), st.integers(1, 90), st.data())
def test_a_part_of_a_frame_has_the_shares_that_it_has_of_the_whole(
    height: int, width: int, data: st.DataObject
) -> None:
    names = Names(read_shares(LOGITS, manifest(named=True)), CLASSES)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    whole = np.stack([cv2.resize(plane, (width, height)) for plane in names.shares])
    part = shares_in(names, np.s_[top:bottom, left:right], (height, width))
    np.testing.assert_allclose(part, whole[:, top:bottom, left:right], atol=1e-5)


def test_a_network_without_names_answers_with_a_mask_alone() -> None:
    logits = np.zeros((1, 1, 4, 6), np.float32)
    assert read_answer(Answer(logits), (8, 12), manifest()).names is None
    named = read_answer(Answer(logits, LOGITS), (8, 12), manifest(named=True)).names
    assert named is not None
    assert named.classes == CLASSES


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_names_that_are_no_numbers_are_refused_like_a_map_that_is_none(broken: float) -> None:
    logits = LOGITS.copy()
    logits[0, 1, 2, 3] = broken
    with pytest.raises(FrameError, match="NaN or infinity"):
        read_shares(logits, manifest(named=True))
