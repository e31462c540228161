"""Where the images come from: the recipe's own data, or folders that the command names."""

from __future__ import annotations

from pathlib import Path

from edge.errors import UsageError
from quantize.targets import Candidate, of_pairs, read_folder
from reference.data import READERS, Pair
from reference.datasets import recognise
from reference.recipe import Recipe, read_sources


def read_inputs(
    recipe: Recipe, data_root: Path | None, calibration: Path | None, validation: Path | None
) -> tuple[list[Candidate], list[Pair]]:
    """The images to calibrate on and the pairs to validate on."""
    training: list[Pair] = []
    held_out: list[Pair] = []
    if data_root is not None and not (calibration and validation):
        sources, held_out = read_sources(recipe, data_root)
        training = [pair for source in sources for pair in source.pairs]
    if calibration is None and not training:
        raise UsageError("there is nothing to calibrate on: give --calibration or --data-root")
    if validation is None and not held_out:
        raise UsageError("there is nothing to validate on: give --validation or --data-root")
    candidates = of_pairs(training) if calibration is None else read_folder(calibration)
    return candidates, held_out if validation is None else _held_out(validation)


def _held_out(folder: Path) -> list[Pair]:
    """A data set's held-out pairs, or all of a folder that says nothing of a split."""
    pairs = READERS[recognise(folder)](folder)
    held_out = [pair for pair in pairs if pair.split == "validation"] or pairs
    if not held_out:
        raise UsageError(f"{folder} holds no image with a mask: name one that does")
    return held_out
