"""Which images of a data set a recipe trains on, and which it holds out to choose by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edge.errors import ConfigurationError
from reference.data import Pair
from reference.datasets import Split
from reference.recipe.sections import DataSection, HoldOut, HoldOutList


def resplit(pairs: Sequence[Pair], section: DataSection) -> list[Pair]:
    """The pairs of a section on the sides that it puts them on."""
    if section.hold_out == "runs":
        return list(pairs)
    if section.hold_out == "none":
        return [_on(pair, "train") if pair.split == "validation" else pair for pair in pairs]
    if section.hold_out == "test":
        sides: dict[Split, Split] = {"validation": "train", "test": "validation"}
        return [_on(pair, sides.get(pair.split, "train")) for pair in pairs]
    drawn = section.hold_out
    if isinstance(drawn, HoldOutList):
        return _listed(pairs, drawn, section.path)
    how = drawn if isinstance(drawn, HoldOut) else HoldOut(images=drawn)
    pool = [n for n, pair in enumerate(pairs) if how.of == "all" or pair.split != "test"]
    if how.images >= len(pool):
        raise ConfigurationError(
            f"hold_out: {how.images} of {section.path}, which has {len(pool)} images to draw "
            "from: hold out fewer"
        )
    chosen = _drawn([pairs[n].class_name for n in pool], how.images, how.seed)
    held = {pool[place] for place in chosen}
    return [
        pair
        if n not in held and how.of == "train" and pair.split == "test"
        else _on(pair, "validation" if n in held else "train")
        for n, pair in enumerate(pairs)
    ]


def _listed(pairs: Sequence[Pair], drawn: HoldOutList, folder: str) -> list[Pair]:
    """What a list names is held out; all else is to train on."""
    named = set(drawn.images)
    if unknown := named - {pair.file for pair in pairs}:
        raise ConfigurationError(
            f"{drawn.list} names {min(unknown)}, and {folder} has no such image: write its path "
            "from there, or take the line out"
        )
    return [_on(pair, "validation" if pair.file in named else "train") for pair in pairs]


def _drawn(classes: Sequence[str], count: int, seed: int) -> list[int]:
    """Every so many-th place of a shuffled order that keeps each class together."""
    shuffled = np.random.default_rng(seed).permutation(len(classes)).tolist()
    ordered = sorted(shuffled, key=lambda place: classes[place])
    return [ordered[(2 * n + 1) * len(ordered) // (2 * count)] for n in range(count)]


def _on(pair: Pair, side: Split) -> Pair:
    return replace(pair, split=side)
