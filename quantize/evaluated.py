"""What `evaluate` scores, and on what: folders of maps, a checkpoint, or a bundle on an engine.

It is in this room because no other knows both checkpoints and bundles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edge.bundle import Manifest
from edge.cli.commands import EngineName
from edge.errors import ConfigurationError
from edge.network import Network, engine_by_name, load_network, shares_in
from reference.data import Pair, read
from reference.datasets import FREE, recognise
from reference.datasets.labels import Naming
from reference.evaluation import (
    Answer,
    Case,
    NamedPixels,
    cases_of,
    cases_of_folders,
    cases_of_maps,
)

THRESHOLD = 0.5  # of who brings none


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Cases to score, what they are called, and when a pixel and a spot count."""

    name: str
    data: str
    cases: list[Case]
    threshold: float = THRESHOLD
    min_share: float = 0  # of an image
    classes: tuple[str, ...] = ()  # that pixels are said to be of


@dataclass(frozen=True)
class DataChoice:
    """A side of a data set."""

    root: Path
    layout: str | None  # None: as its folders say
    split: str  # train, validation, test or all

    def pairs(self, *, colour: bool = False) -> list[Pair]:
        pairs = read(self.root, self.layout or recognise(self.root), colour=colour)
        chosen = [pair for pair in pairs if self.split in {"all", pair.split}]
        if not chosen:
            here = ", ".join(sorted({pair.split for pair in pairs}))
            raise ConfigurationError(
                f"{self.root} has no {self.split} image: take --split {here} or --split all"
            )
        return chosen

    def __str__(self) -> str:
        return f"{self.root} ({self.split})"


def folders(predictions: Path, truth: Path) -> Evaluated:
    """Maps and masks that lie in two folders."""
    return Evaluated(str(predictions), str(truth), cases_of_folders(predictions, truth))


def maps_on(predictions: Path, data: DataChoice) -> Evaluated:
    """Maps that lie in a folder, for the images of a data set."""
    return Evaluated(str(predictions), str(data), cases_of_maps(predictions, data.pairs()))


def checkpoint_on(path: Path, data: DataChoice, size: int | None = None) -> Evaluated:
    """A reference network as it was trained, on images of this side or of its recipe's."""
    from reference.trained import open_network  # noqa: PLC0415 (others do without torch)

    trained = open_network(path)
    name = f"{path} on torch fp32"
    if size is not None:
        trained, name = trained.at(size), f"{name} at {size}x{size}"
    cases = cases_of(trained.predict, data.pairs(), trained.classify)
    return Evaluated(name, str(data), cases)


@contextmanager
def bundle_on(bundle: str, engine: EngineName, data: DataChoice) -> Iterator[Evaluated]:
    """A bundle, run as the box runs it."""
    network = load_network(engine_by_name(engine), bundle)
    manifest = network.bundle.manifest
    try:
        cases = [
            Case(pair.name, pair.class_name, partial(_answer, network, pair))
            for pair in data.pairs(colour=manifest.input.channels == 3)
        ]
        name = f"{bundle} on {network.engine.name}"
        classes = () if manifest.names is None else tuple(manifest.classes)
        least = _least_share(manifest)
        yield Evaluated(name, str(data), cases, manifest.threshold, least, classes)
    finally:
        network.engine.close()


def _answer(network: Network, pair: Pair) -> Answer:
    mask = network.see(pair.image)
    if mask.names is None:
        return Answer(mask.probability, pair.mask, pair.image)
    found, classes = mask.binary, mask.names.classes
    shares = shares_in(mask.names, np.s_[:, :], found.shape)
    likeliest = FREE
    if found.any():
        likeliest = classes[int(shares[:, found].sum(axis=1).argmax())]
    said = np.where(found, 1 + shares.argmax(axis=0), 0).astype(np.uint8)
    truth = Naming.of(pair.classes, classes, {}, set()).plane(pair.plane)
    return Answer(
        mask.probability, pair.mask, pair.image, likeliest, NamedPixels(said, truth, classes)
    )


def _least_share(manifest: Manifest) -> float:
    """The least defect that the bundle is good for, of an image taken as the network's were."""
    spec = manifest.input
    shown_mm2 = spec.height * spec.width * (spec.um_per_px / 1000) ** 2
    return manifest.limits.min_area_mm2 / shown_mm2
