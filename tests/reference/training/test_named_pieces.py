"""Validation by names counts what a line would name, by its own pixels."""

from __future__ import annotations

import numpy as np
import pytest

from edge.errors import ConfigurationError
from reference.data import Pair
from reference.evaluation import Said
from reference.recipe import LineSection, Recipe
from reference.recipe.sections import ValidationSection
from reference.training.named_pieces import NamedPieces
from reference.training.rehearsal import rehearse
from reference.training.run import begin
from stands.tiny_recipe import CPU, recipe_with

SIDE = 64
RECIPE = Recipe.model_validate(
    {
        "network": {"name": "minet", "class_maps": 2},
        "names": ["patches", "crack"],
        "data": [{"layout": "simulated", "path": "here", "rename": {"patch": "patches"}}],
        "line": LineSection(um_per_px=1000, min_area_mm2=20),
    }
)
LEFT, RIGHT, SPECK = np.s_[8:24, 8:24], np.s_[30:60, 40:60], np.s_[2:5, 2:5]


def a_pair(classes: tuple[str, ...] = ("patch", "crack", "spall")) -> Pair:
    """A patch on the left, a crack on the right, a speck of a crack in the corner."""
    labels = np.zeros((SIDE, SIDE), np.uint8)
    labels[LEFT], labels[RIGHT], labels[SPECK] = 1, 2, 2
    mask = (labels > 0).astype(np.uint8)
    return Pair("frame", np.zeros((SIDE, SIDE), np.uint8), mask, labels=labels, classes=classes)


def said(of_left: float, of_right: float) -> Said:
    """All three found; how surely each half is a patch."""
    found = np.zeros((SIDE, SIDE), np.float32)
    for part in (LEFT, RIGHT, SPECK):
        found[part] = 0.9
    patches = np.repeat(np.float32([[of_left] * 2 + [of_right] * 2]), 4, axis=0)
    return Said(found, shares=np.stack([patches, 1 - patches]))


@pytest.mark.parametrize(
    ("of_left", "of_right", "right"), [(0.9, 0.1, 2), (0.9, 0.9, 1), (0.2, 0.8, 0)]
)
def test_a_piece_is_right_by_the_name_that_the_recipe_gives_its_class(
    of_left: float, of_right: float, right: int
) -> None:
    pieces = NamedPieces([a_pair()], RECIPE)
    (through,) = pieces.look([said(of_left, of_right)])
    assert through.shares is not None
    assert (pieces.found, pieces.right) == (2, right), "the speck is too small to count"


def test_what_the_network_has_no_name_for_is_no_mistake_of_its() -> None:
    pieces = NamedPieces([a_pair(classes=("spall", "crack"))], RECIPE)
    list(pieces.look([said(0.9, 0.1)]))
    assert (pieces.found, pieces.share) == (1, 1.0)


def test_a_network_that_names_nothing_is_not_chosen_by_its_names() -> None:
    by_names = recipe_with(validation=ValidationSection(best="named_right", size=SIDE))
    with pytest.raises(ConfigurationError, match=r"validation.best: named_right needs"):
        rehearse(begin(by_names, [], CPU), [])
