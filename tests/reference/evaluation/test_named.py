"""The matrix of classes: what pixels are said to be, against what they are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from reference.datasets.labels import NAMELESS
from reference.evaluation.named import NamedPixels, tabulate

CLASSES = ("crush", "dirt")


def counts(said: list[int], truth: list[int]) -> NDArray[np.int64]:
    """Of pixels that are said to be of these classes, or sound."""
    likeliest, true = np.array([said], np.uint8), np.array([truth], np.uint8)
    return NamedPixels(np.maximum(likeliest, 1), true, CLASSES).counts(likeliest > 0)


def test_each_class_has_its_iou_and_their_mean_is_over_those_that_are_there() -> None:
    one = counts([0, 1, 1, 2, 1, 0], [0, 1, 1, 1, 0, 1])
    table = tabulate(CLASSES, [one, None, counts([2], [0])])
    assert table is not None
    assert table.counts.tolist() == [[1, 1, 1], [1, 2, 1], [0, 0, 0]]
    assert table.ious == {"crush": 2 / 5, "dirt": 0}
    assert table.miou == 2 / 5  # there is no dirt
    assert table.shares == {
        "sound": pytest.approx([100 / 3] * 3),
        "crush": [25, 50, 25],
    }
    assert table.record()["confusion"]["crush"] == {"sound": 1, "crush": 2, "dirt": 1}


def test_what_has_no_known_class_is_not_counted() -> None:
    unknown = counts([1, 2, 0], [NAMELESS, 1, 0])
    assert unknown.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0]]


def test_where_nothing_is_named_there_is_no_table() -> None:
    assert tabulate(CLASSES, [None]) is None
    assert tabulate(CLASSES, [counts([0, 1], [0, 0])]) is None
