"""How well odd surface is told from good, measured on a few frames."""

from __future__ import annotations

import pytest

from benchmarks.unfamiliar import auc, simulated
from edge.line_file import NativeSettings
from edge.network import load_network


def test_the_area_under_the_curve_is_how_often_odd_is_above_good() -> None:
    assert auc([1, 2], [3, 4]) == 1
    assert auc([3, 4], [1, 2]) == 0
    assert auc([1, 3], [2, 2]) == auc([2], [2]) == 0.5
    assert auc([1, 2, 3, 4], [2]) == pytest.approx((1 + 0.5) / 4)


def test_another_surface_is_told_by_how_unfamiliar_it_is_and_not_by_its_score() -> None:
    found = {
        each.odd: each
        for each in simulated(load_network(NativeSettings(), "rail"), "track", "strip", 60)
    }
    assert set(found) == {"another surface", "paint", "defect"}
    other = found["another surface"]
    assert other.unfamiliar_auc > 0.95
    assert other.score_auc < 0.5
    assert other.frames == (90, 90)
    assert all(each.unfamiliar_auc > 0.9 for each in found.values())
