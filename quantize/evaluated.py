"""What `evaluate` scores, and on what: folders of maps, a checkpoint, or a bundle on an engine.

It is in this room because no other knows both checkpoints and bundles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from edge.bundle import Manifest
from edge.cli.commands import EngineName
from edge.errors import ConfigurationError, UsageError
from edge.network import (
    Network,
    engine_by_name,
    load_network,
    read_answer,
    sound_share,
    summed_shares,
)
from reference.data import Pair, read
from reference.data.pairs import tiles
from reference.datasets import FREE, rail_defect, recognise
from reference.evaluation import (
    LINE,
    Answer,
    Case,
    NamedPixels,
    Protocol,
    answered,
    cases_of,
    cases_of_folders,
    cases_of_maps,
)
from reference.recipe import HoldOut, Recipe, resplit


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Cases to score, what they are called, and when a pixel and a spot count."""

    name: str
    data: str
    cases: list[Case]
    threshold: float | None = None  # None: it brings none
    min_share: float = 0  # of an image
    taught: int = 0  # of the images, those that are not of the data set's test side
    classes: tuple[str, ...] = ()  # that pixels are said to be of
    says_sound: bool = False  # whether of each image it is said how surely it is sound


@dataclass(frozen=True)
class DataChoice:
    """A side of a data set."""

    root: Path
    layout: str | None  # None: as its folders say
    split: str  # train, validation, test or all
    protocol: Protocol = LINE

    @property
    def kind(self) -> str:
        """The layout that was named, or as its folders say."""
        return self.layout or recognise(self.root)

    def pairs(self, recipe: Recipe | None = None, *, colour: bool = False) -> list[Pair]:
        """The images of this side: of the data set's own, or as a recipe puts them on sides."""
        levels = self.protocol.grey_masks or self.protocol.counts_from != LINE.counts_from
        layout = self.kind
        colour = colour or (recipe is not None and recipe.colour)
        sections = [] if recipe is None else [s for s in recipe.data if s.layout == layout][:1]
        marked_from = sections[0].marked_from if sections else None
        pairs = read(self.root, layout, colour=colour, levels=levels, marked_from=marked_from)
        for section in sections:
            drawn = isinstance(section.hold_out, int | HoldOut)
            if section.classes and drawn:  # of these alone
                pairs = [pair for pair in pairs if pair.shown & set(section.classes)]
            pairs = resplit(pairs, section)
            if (side := section.tiles) is not None:
                pairs = [part for pair in pairs for part in tiles(pair, side)]
        chosen = [pair for pair in pairs if self.split in {"all", pair.split}]
        if not chosen:
            here = ", ".join(sorted({pair.split for pair in pairs}))
            raise ConfigurationError(
                f"{self.root} has no {self.split} image: take --split {here} or --split all"
            )
        return chosen

    def taught(self, pairs: Sequence[Pair]) -> int:
        """Of all sides together, how many images train or choose a network."""
        return sum(pair.split != "test" for pair in pairs) if self.split == "all" else 0

    def __str__(self) -> str:
        return f"{self.root} ({self.split})"


def folders(predictions: Path, truth: Path, protocol: Protocol) -> Evaluated:
    """Maps and masks that lie in two folders."""
    cases = cases_of_folders(predictions, truth, protocol)
    return Evaluated(str(predictions), str(truth), cases)


def maps_on(predictions: Path, data: DataChoice) -> Evaluated:
    """Maps that lie in a folder, for the images of a data set."""
    pairs = data.pairs()
    cases = cases_of_maps(predictions, pairs, data.protocol)
    return Evaluated(str(predictions), str(data), cases, taught=data.taught(pairs))


def _refuse_track(data: DataChoice) -> None:
    """An image is looked at as a whole here, and a picture of track is many heads long."""
    if data.kind == rail_defect.LAYOUT:
        raise UsageError(
            f"{data.root} is track, and is looked at in its own scale, window by window: "
            f"trackside found NETWORK --data {data.root}"
        )


def checkpoint_on(
    path: Path, data: DataChoice, size: int | None = None, output: int = 0
) -> Evaluated:
    """A reference network as it was trained, on images of this side or of its recipe's.

    Of its maps the result, or the `output`th behind it.
    """
    from reference.trained import open_network  # noqa: PLC0415 (others do without torch)

    _refuse_track(data)
    trained = open_network(path)
    name = f"{path} on torch fp32"
    if size is not None:
        trained, name = trained.at(size), f"{name} at {size}x{size}"
    pairs = data.pairs(trained.recipe)
    if output:
        name = f"{name}, output {output}"
    look, classes = partial(trained.look, output=output), tuple(trained.recipe.names)
    cases = cases_of(look, pairs, data.protocol, classes, trained.recipe.renamed)
    return Evaluated(
        name,
        str(data),
        cases,
        taught=data.taught(pairs),
        classes=classes,
        says_sound=trained.says_sound,
    )


@contextmanager
def bundle_on(bundle: str, engine: EngineName, data: DataChoice) -> Iterator[Evaluated]:
    """A bundle, run as the box runs it."""
    _refuse_track(data)
    network = load_network(engine_by_name(engine), bundle)
    manifest = network.bundle.manifest
    try:
        pairs = data.pairs(colour=manifest.input.channels == 3)
        cases = [
            Case(pair.name, pair.class_name, partial(_answer, network, pair, data.protocol))
            for pair in pairs
        ]
        name, least = f"{bundle} on {network.engine.name}", _least_share(manifest)
        classes = () if manifest.names is None else tuple(manifest.classes)
        taught = data.taught(pairs)
        says = manifest.names is not None and manifest.names.sound
        yield Evaluated(name, str(data), cases, manifest.threshold, least, taught, classes, says)
    finally:
        network.engine.close()


def _answer(network: Network, pair: Pair, protocol: Protocol) -> Answer:
    manifest = network.bundle.manifest
    given = network.engine.infer(network.prepare(pair.image))
    mask = read_answer(given, pair.mask.shape, manifest)
    answer = answered(protocol.finish(mask.probability, pair.mask.shape), pair, protocol)
    if mask.names is None:
        return answer
    found, classes, likeliest = mask.binary, mask.names.classes, FREE
    if found.any():
        summed = summed_shares(mask.names, np.s_[:, :], found, found.shape)
        likeliest = classes[int(summed.argmax())]
    sound = sound_share(given, manifest)
    if sound is not None:  # of the picture as a whole it is told at once
        shares_there = (1 - sound) * mask.names.shares[:, 0, 0]
        likeliest = FREE if sound > shares_there.max() else classes[int(shares_there.argmax())]
    named = NamedPixels.of(mask.names, pair, answer.probability.shape, {})
    return replace(answer, class_name=likeliest, named=named, sound=sound)


def _least_share(manifest: Manifest) -> float:
    """The least defect that the bundle is good for, of an image taken as the network's were."""
    spec = manifest.input
    shown_mm2 = spec.height * spec.width * (spec.um_per_px / 1000) ** 2
    return manifest.limits.min_area_mm2 / shown_mm2
