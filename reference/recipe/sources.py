"""The images that a recipe names, as its data sets split them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigurationError, FrameError
from edge.files.image_file import read_image
from reference.data import KINDS, Pair, Source
from reference.data.check import left_out, taken_for
from reference.data.pairs import cut, read, tiles
from reference.data.worth import fault_of
from reference.datasets import LAYOUTS, list_samples
from reference.datasets.labels import IGNORED, Naming, no_boxes
from reference.recipe.recipe import Recipe
from reference.recipe.sections import DataSection, HoldOutList
from reference.recipe.split import resplit


def read_sources(recipe: Recipe, data_root: Path) -> tuple[list[Source], list[Pair]]:
    """The training sources of a recipe, and the pairs that its data sets hold out.

    A set that several sections take parts of is read once, and held in memory once.
    """
    sources: list[Source] = []
    held_out: dict[str, Pair] = {}
    kept: dict[str, list[Pair]] = {}
    named: dict[str, Pair] = {}
    for section in recipe.data:
        place = f"{section.layout}:{section.path}"
        read_as = f"{place}:{section.marked_from}:{section.tiles}:{_sides_of(section)}"
        if read_as not in kept:
            kept[read_as] = _read(section, data_root, recipe.colour)
        pairs, chosen = _chosen(kept[read_as], section, data_root)
        if not _splits_whole(section):
            pairs = resplit(pairs, section)
        training = [pair for pair in pairs if pair.split == "train"]
        if not training:
            raise ConfigurationError(
                f"{data_root / section.path} has no image to train on: its classes are "
                f"{', '.join(sorted(chosen))}"
            )
        held = (pair for pair in pairs if pair.split == "validation")
        held_out |= {f"{place}:{pair.name}": _shown(pair, recipe) for pair in held}
        answers = None if section.answers is None else data_root / section.answers
        taken_as = f"{read_as}:{section.boxes}:{section.rename}:{section.ignore}:{answers}"
        for pair in training:
            if (own := f"{taken_as}:{pair.name}") not in named:
                answer = None if answers is None else _answer(pair, answers)
                named[own] = replace(_named(pair, section, recipe.names), answer=answer)
        source = Source(
            [named[f"{taken_as}:{pair.name}"] for pair in training],
            section.share,
            section.zoom,
            section.augment,
            section.weight,
            _named_numbers(training[0].classes, section, recipe.names, chosen),
        )
        sources.append(source)
    _refuse_worthless(sources, recipe)
    if recipe.loss.answers:
        _refuse_unanswered(sources)
    return sources, list(held_out.values())


def told_of(recipe: Recipe, data_root: Path) -> Iterator[str]:
    """What each data set is taken for, and what of it is left out, as `data check` says it."""
    for layout, path in dict.fromkeys((section.layout, section.path) for section in recipe.data):
        root = data_root / path
        listing = list_samples(root, layout)
        counts = (f"{count} {kind}" for kind, count in taken_for(listing.samples).items())
        said = f"{path}, {LAYOUTS[layout].title}: {', '.join(counts)}"
        outside = (f"{p.relative_to(root)} ({n})" for p, n in left_out(listing).items())
        yield said + (f"; NOT READ: {', '.join(outside)}" if listing.left_out else "")


def held_out_names(pairs: list[Pair], section: DataSection) -> set[str]:
    """The pictures of a data set that one section of a recipe does not train on, but chooses by."""
    if _splits_whole(section):
        chosen, _ = _chosen(resplit(pairs, section), section, Path())
    else:
        chosen = resplit(_chosen(pairs, section, Path())[0], section)
    return {pair.name for pair in chosen if pair.split == "validation"}


def _read(section: DataSection, data_root: Path, colour: bool) -> list[Pair]:
    """All of a data set's pairs; where they are cut or listed, held out before some are chosen."""
    folder, marked_from = data_root / section.path, section.marked_from
    pairs = read(folder, section.layout, colour=colour, marked_from=marked_from)
    if _splits_whole(section):
        pairs = resplit(pairs, section)
    side = section.tiles
    return pairs if side is None else [part for pair in pairs for part in tiles(pair, side)]


def _sides_of(section: DataSection) -> str:
    """By what its pictures are held out before some are chosen; nothing where they are not."""
    return str(section.hold_out) if _splits_whole(section) else ""


def _splits_whole(section: DataSection) -> bool:
    """Whether sides are of whole pictures of every class, not drawn of what a section takes."""
    return section.tiles is not None or isinstance(section.hold_out, HoldOutList)


def _refuse_worthless(sources: list[Source], recipe: Recipe) -> None:
    """A network that nothing is shown to marks nothing, and scores well where little is marked."""
    pairs = [pair for source in sources for pair in source.pairs]
    folders = ", ".join(dict.fromkeys(section.path for section in recipe.data))
    shares = [pair.marked for pair in pairs]
    known = [share for share in shares if share is not None]
    if len(known) == len(pairs) and (fault := fault_of(known)) is not None:
        raise ConfigurationError(f"{folders}: {fault[1]}: {KINDS[fault[0]]}")
    if dark := {pair.name: pair.too_dark for pair in pairs if pair.too_dark}:
        first = next(iter(dark))
        raise ConfigurationError(
            f"{folders}: {len(dark)} masks mark nothing that counts; the brightest value of "
            f"{first}'s is {dark[first]}: save them with 0 and 255, or, if all masks are like it, "
            f"write `marked_from: {dark[first]}` under data"
        )


def _refuse_unanswered(sources: list[Source]) -> None:
    """Where a teacher said nothing the mask is the answer: boxes and unknown regions are none."""
    for pair in (pair for source in sources for pair in source.pairs if pair.answer is None):
        if pair.strength != "mask" or (pair.plane == IGNORED).any():
            raise ConfigurationError(
                f"{pair.file or pair.name} has no whole mask and no teacher's answer, and "
                "loss.answers is on every image: make it some by `trackside maps` and name their "
                "folder as `answers` under its data"
            )


def refuse_too_few(sources: list[Source], recipe: Recipe) -> None:
    """What a handful of images teach is worth nothing, though it is learned by heart."""
    folders = ", ".join(dict.fromkeys(section.path for section in recipe.data))
    shown = {pair.name for source in sources for pair in source.pairs if pair.marked != 0}
    if len(shown) < recipe.least_defective:
        raise ConfigurationError(
            f"{folders}: {len(shown)} images to train on show a defect, which teaches nothing that "
            f"can be relied on: label {recipe.least_defective} or more, 100 being usual; or, to "
            "try the way, write a smaller least_defective"
        )


def _chosen(
    pairs: list[Pair], section: DataSection, data_root: Path
) -> tuple[list[Pair], set[str]]:
    """The pairs that a section takes, and the classes that it takes them for."""
    shown = [pair.shown for pair in pairs]
    found = set[str]().union(*shown)
    chosen = set(section.classes or found)
    if unknown := chosen - found:
        raise ConfigurationError(
            f"{data_root / section.path} has no image of class {', '.join(sorted(unknown))}: its "
            f"classes are {', '.join(sorted(found))}"
        )
    return [p for p, classes in zip(pairs, shown, strict=True) if classes & chosen], chosen


def _shown(pair: Pair, recipe: Recipe) -> Pair:
    """A held-out pair; of a picture whose scale is its own, a window round its first box."""
    size = recipe.validation.size
    if recipe.validation.best != "found" or not len(pair.boxes) or min(pair.mask.shape) < size:
        return pair
    middle = pair.boxes[0, 1:].reshape(2, 2).mean(axis=0)  # x,y
    corner = (middle - size / 2).clip(0, np.array(pair.mask.shape[::-1]) - size).astype(int)
    return cut(pair, slice(corner[1], corner[1] + size), slice(corner[0], corner[0] + size))


def _named(pair: Pair, section: DataSection, names: tuple[str, ...]) -> Pair:
    """A pair whose labels are the recipe's classes, and whose boxes say what the section takes."""
    if pair.strength == "boxes" and section.boxes == "filled":
        pair = replace(pair, strength="mask", boxes=no_boxes())
    naming = Naming.of(pair.classes, names, section.rename, set(section.ignore))
    number = Naming.of([pair.class_name], names, section.rename, set(section.ignore))
    return replace(
        pair,
        labels=naming.plane(pair.plane) if pair.classes else None,
        boxes=naming.boxes(pair.boxes),
        class_number=number.number_of[0],
    )


def _answer(pair: Pair, folder: Path) -> NDArray[np.uint8]:
    """A teacher's map of a picture."""
    path = folder / f"{Path(pair.file).stem}.png"
    try:
        answer = read_image(path, colour=False)
    except FrameError as error:
        raise ConfigurationError(f"{error}: make it by `trackside maps`") from error
    if answer.shape != pair.mask.shape:
        raise ConfigurationError(
            f"{path} is {answer.shape} and {pair.file} {pair.mask.shape}: make it by "
            "`trackside maps` of these pictures"
        )
    return answer


def _named_numbers(
    classes: tuple[str, ...], section: DataSection, names: tuple[str, ...], chosen: set[str]
) -> frozenset[int]:
    """The recipe's numbers of a section's classes, but for those that it ignores."""
    wanted = [name for name in classes if name in chosen]
    numbers = Naming.of(wanted, names, section.rename, set(section.ignore)).number_of
    return frozenset(numbers) - {IGNORED}
