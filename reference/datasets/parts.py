"""Machined parts: magnetic tiles, and KolektorSDD's commutators."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

from edge.types import Image
from reference.datasets.masks import DataError, GreyMask
from reference.datasets.sample import (
    FREE,
    Layout,
    Listing,
    Region,
    Sample,
    Split,
    number_in,
    pair_up,
    pictures,
)

WINDOW_PX = 500  # of KolektorSDD, as wide as its pictures
# DMS's test side: of each class what comes last by exposure and then number, from this one on.
_TEST_FROM = {
    "blowhole": (6, 9594),
    "break": (6, 26244),
    "crack": (5, 116575),
    "fray": (5, 136716),
    "free": (6, 5892),
    "uneven": (5, 274174),
}
# A tile is photographed at up to six exposures, numbered a few dozen apart, and some again later.
# Stretches of numbers are held out that hold every photograph of their tiles.
_HELD_OUT = range(103_000, 122_500)  # of every 150,000


def _magnetic_tile(root: Path) -> Listing:
    def describe(image: Path, mask: Path) -> Sample:
        kind = image.parent.parent.name.removeprefix("MT_").lower()
        split = _magnetic_tile_split(kind, image.stem)
        return Sample(image.stem, image, GreyMask(mask), kind, split)

    listing = Listing(())
    for folder in sorted(root.glob("MT_*/Imgs")):
        listing += pair_up(pictures(folder, ".jpg"), pictures(folder, ".png"), describe)
    return listing


def _magnetic_tile_split(kind: str, name: str) -> Split:
    """DMS's test side shares tiles with its training side; the held-out stretches share none."""
    match = re.fullmatch(r"exp(\d+)_num_(\d+)", name)
    if match is None or kind not in _TEST_FROM:
        raise DataError(f"MT_{kind}: {name} is no published name: restore exp<E>_num_<N>")
    exposure, number = int(match[1]), int(match[2])
    if (exposure, number) >= _TEST_FROM[kind]:
        return "test"
    return "validation" if number % 150_000 in _HELD_OUT else "train"


def _kolektor(root: Path) -> Listing:
    """No list of its three folds is at hand: every fifth item is held out whole."""

    def describe(image: Path, mask: Path) -> Sample:
        item = image.parent.name
        split: Split = "validation" if number_in(item) % 5 == 0 else "train"
        return Sample(f"{item}/{image.stem}", image, GreyMask(mask, at_least=1), None, split)

    listing = Listing(())
    for folder in sorted(root.glob("kos*/")):
        listing += pair_up(pictures(folder, ".jpg"), pictures(folder, ".bmp"), describe)
    return listing


def _kolektor_windows(root: Path) -> Listing:
    """What LSA-Net is trained on: the pictures with a defect, cut along into squares.

    A picture is 500 pixels wide and some 1,250 long: two windows from its start, one at its end.
    """
    whole, samples = _kolektor(root), []
    for sample in whole.samples:
        assert sample.mask is not None
        labels = sample.mask.read()
        if labels.any():
            tops = (*range(0, len(labels) - WINDOW_PX, WINDOW_PX), len(labels) - WINDOW_PX)
            samples += [
                replace(
                    sample, name=f"{sample.name}/{top}", region=partial(_window, top=max(0, top))
                )
                for top in dict.fromkeys(tops)
            ]
    return replace(whole, samples=tuple(samples))


def _window(picture: Image, *, top: int) -> Region:
    everywhere = slice(0, picture.shape[1])
    return Region(slice(top, top + WINDOW_PX), everywhere, everywhere)


MAGNETIC_TILE = Layout(
    f"magnetic tile, defects and {FREE} (Huang et al.)",
    ("MT_*/Imgs/*.jpg", "MT_*/Imgs/*.png"),
    _magnetic_tile,
)
KOLEKTOR = Layout(
    "KolektorSDD, commutators (Tabernik et al.)",
    ("kos*/Part*.jpg", "kos*/Part*_label.bmp"),
    _kolektor,
)
KOLEKTOR_WINDOWS = Layout(
    "KolektorSDD's defects in windows of 500 pixels, as LSA-Net takes them",
    KOLEKTOR.marks,
    _kolektor_windows,
)
