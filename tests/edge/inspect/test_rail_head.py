"""The head is found in the dark, followed where it sways, and windows leave no row out."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import FrameError
from edge.inspect.rail_head import head_centre, head_centres, windows
from edge.types import Image

HEAD = 280


def swaying(middles: list[int], *, height: int = 250, width: int = 2048) -> Image:
    """Dark ballast, and a head that each block of rows has elsewhere."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 8, (height * len(middles), width)).astype(np.uint8)
    for block, middle in enumerate(middles):
        picture[block * height :, middle - HEAD // 2 : middle + HEAD // 2] = 60
        picture[block * height :, : middle - HEAD // 2] = 3
        picture[block * height :, middle + HEAD // 2 :] = 3
    return picture


def test_the_head_is_followed_block_by_block() -> None:
    middles = [900, 905, 915, 930, 938]
    found = head_centres(swaying(middles), HEAD)
    assert found == pytest.approx(middles, abs=2)


def test_a_block_without_a_head_keeps_to_where_the_picture_has_it() -> None:
    picture = swaying([1000, 1000, 1000, 1000])
    picture[250:500] = 0
    picture[250:500, 100:400] = 90  # a sleeper in the sun beside a dark joint
    assert head_centres(picture, HEAD)[1] == pytest.approx(1000, abs=HEAD // 4 + 2)
    assert head_centre(picture[250:500], HEAD) == pytest.approx(250, abs=11)
    assert head_centre(picture[:250], HEAD, near=980, reach_px=5) == 985


def test_windows_follow_the_head_and_every_row_counts_once() -> None:
    middles = [900, 910, 930, 940, 1900]
    picture = swaying(middles, height=250)
    laid = list(windows(picture, head_px=HEAD, width_px=352, rows=352, overlap_rows=64))
    counted = np.zeros(len(picture), int)
    for window, own in laid:
        assert window.bottom - window.top == 352 and window.right - window.left == 352
        assert window.top <= own.top < own.bottom <= window.bottom
        assert window.left >= 0 and window.right <= 2048
        counted[own.top : own.bottom] += 1
    assert (counted == 1).all()
    assert laid[0][0].left == pytest.approx(900 - 176, abs=2)


def test_what_is_too_small_says_what_to_do() -> None:
    small = np.zeros((400, 200), np.uint8)
    with pytest.raises(FrameError, match="less than a head of 280: give the picture's own scale"):
        head_centre(small, HEAD)
    with pytest.raises(FrameError, match="less than a window of 352 x 352: pad it"):
        list(windows(small, head_px=100, width_px=352, rows=352, overlap_rows=64))
