"""Which images a recipe trains on and which choose its best: the layout's, none, or some drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edge.errors import ConfigurationError
from reference.data import Pair
from reference.datasets import Split
from reference.recipe import resplit
from reference.recipe.sections import DataSection

SIDES: dict[Split, int] = {"train": 40, "validation": 10, "test": 50}


def pairs() -> list[Pair]:
    """A hundred images, two in three of them patches."""
    image = np.zeros((4, 4), np.uint8)
    sides = [side for side, count in SIDES.items() for _ in range(count)]
    classes = ("patches", "inclusion", "patches")
    return [Pair(str(n), image, image, classes[n % 3], side) for n, side in enumerate(sides)]


def sides_by(hold_out: object) -> Counter[str]:
    section = DataSection.model_validate(
        {"layout": "sd900", "path": "x", "share": 1, "hold_out": hold_out}
    )
    return Counter(pair.split for pair in resplit(pairs(), section))


def test_every_image_goes_to_the_side_that_a_recipe_says() -> None:
    assert sides_by("runs") == SIDES
    assert sides_by("none") == {"train": 50, "test": 50}
    assert sides_by("test") == {"train": 50, "validation": 50}
    assert sides_by(7) == {"train": 43, "validation": 7, "test": 50}
    assert sides_by({"images": 24, "of": "all"}) == {"train": 76, "validation": 24}
    with pytest.raises(ConfigurationError, match="has 50 images to draw from: hold out fewer"):
        sides_by(50)


def test_a_draw_takes_of_every_class_its_part_and_the_same_for_one_seed() -> None:
    def drawn(seed: int) -> list[Pair]:
        hold_out = {"images": 24, "of": "all", "seed": seed}
        section = DataSection.model_validate(
            {"layout": "sd900", "path": "x", "share": 1, "hold_out": hold_out}
        )
        return [pair for pair in resplit(pairs(), section) if pair.split == "validation"]

    assert Counter(pair.class_name for pair in drawn(0)) == {"patches": 16, "inclusion": 8}
    names = [[pair.name for pair in drawn(seed)] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
