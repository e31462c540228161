"""Which pictures a line is tuned or qualified on: where it is known, those no training saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.errors import ConfigurationError, UsageError
from reference.data import read
from reference.datasets import LAYOUTS, Sample, list_samples, recognise
from reference.recipe import DataSection, held_out_names, read_recipe

Side = Literal["train", "validation", "test", "all"]


@dataclass(frozen=True)
class Chosen:
    """The pictures, and in words which they are."""

    samples: tuple[Sample, ...]
    said: str
    remark: str | None = None


def choose_pictures(data: Path, line: Path, recipe: Path | None, side: Side | None) -> Chosen:
    """By --split; else by the recipe, given or beside the line file; else by the data's sides."""
    if recipe is not None and side is not None:
        raise UsageError("--recipe says which pictures are held out: leave --split out")
    beside = line.parent / "recipe.yaml"
    if recipe is None and side is None and beside.exists() and _of(beside, data) is not None:
        recipe = beside
    if recipe is not None:
        return _held_out(data, recipe)
    layout = recognise(data)
    samples = list_samples(data, layout).samples
    title = LAYOUTS[layout].title
    if side is None:
        held = tuple(each for each in samples if each.split != "train")
        if held:
            return Chosen(held, f"{len(held)} held-out pictures of {data} ({title})")
        return Chosen(
            _some(samples, data),
            f"all {len(samples)} pictures of {data} ({title})",
            "nothing says which of them the network was trained on, and what it was taught it "
            "finds better than what comes: give held-out ones, by --recipe or --split",
        )
    taken = tuple(each for each in samples if side in {"all", each.split})
    return Chosen(_some(taken, data), f"{len(taken)} pictures of {data} ({title}, --split {side})")


def _held_out(data: Path, path: Path) -> Chosen:
    found = _of(path, data)
    if found is None:
        raise UsageError(f"{path} trains on other data than {data}: give its own, or --split")
    names = set[str]()
    for section in found:  # of one data set, there is one for defects and one for what is sound
        names |= held_out_names(read(data, section.layout), section)
    layout, marked_from = found[0].layout, found[0].marked_from
    samples = list_samples(data, layout, marked_from=marked_from).samples
    held = tuple(each for each in samples if each.name in names)
    if not held:
        raise ConfigurationError(
            f"{path} holds out no picture of {data}: give other pictures that it was not trained "
            "on, or --split all, which flatters"
        )
    return Chosen(held, f"{len(held)} pictures of {data} that {path} holds out")


def _of(path: Path, data: Path) -> list[DataSection] | None:
    """The sections of a recipe that are of this data; None where there is none."""
    sections = read_recipe(path).data
    own = [each for each in sections if (path.parent / each.path).resolve() == data.resolve()]
    return own or None


def _some(samples: tuple[Sample, ...], data: Path) -> tuple[Sample, ...]:
    if not samples:
        raise ConfigurationError(f"{data} holds no such picture with its mask: add some")
    return samples
