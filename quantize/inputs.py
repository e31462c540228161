"""Where the images come from: the recipe's own data, or folders that the command names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.errors import UsageError
from quantize.targets import Candidate, of_pairs, read_folder
from reference.data import Pair, read
from reference.data.pairs import cut
from reference.datasets import recognise
from reference.recipe import LineSection, Recipe, read_sources
from reference.trained import origin_of

SIMULATED_FRAMES = 540  # that bundles are compared on, if nobody's own data say more


@dataclass(frozen=True)
class Told:
    """What a bundle is made by, where the command left it to the recipe and to where it ran."""

    data_root: Path | None
    golden: Path | None
    frames: int
    line: LineSection


def told(
    checkpoint: Path,
    recipe: Recipe,
    *,
    data_root: Path | None,
    golden: Path | None,
    frames: int | None,
    um_per_px: float | None,
    min_area_mm2: float | None,
    min_extent_mm: float | None,
) -> Told:
    """What the command says, else the recipe's `line`, else what is usual on steel.

    Paths that are the recipe's start where it was trained, which is told beside the checkpoint.
    """
    origin, line = origin_of(checkpoint), recipe.line or LineSection()
    asked = {
        "um_per_px": um_per_px,
        "min_area_mm2": min_area_mm2,
        "min_extent_mm": min_extent_mm,
    }
    line = line.model_copy(update={key: value for key, value in asked.items() if value is not None})
    if origin is not None and data_root is None:
        data_root = origin.data_root
    if golden is None and line.golden is not None:
        if origin is None:
            raise UsageError(
                f"the recipe's golden picture is {line.golden}, beside a recipe that is not here: "
                "give --golden"
            )
        golden = origin.recipe_folder / line.golden
    usual = SIMULATED_FRAMES if recipe.line is None else 0
    return Told(data_root, golden, usual if frames is None else frames, line)


def read_inputs(
    recipe: Recipe, data_root: Path | None, calibration: Path | None, validation: Path | None
) -> tuple[list[Candidate], list[Pair]]:
    """The images to calibrate on and the pairs to validate on."""
    training: list[Pair] = []
    held_out: list[Pair] = []
    if data_root is not None and not (calibration and validation):
        sources, held_out = read_sources(recipe, data_root)
        training = [pair for source in sources for pair in source.pairs]
        if recipe.validation.best == "found":  # pictures at their own scale, larger than it looks
            size = recipe.validation.size
            training = [window for pair in training for window in _windows(pair, size)]
            held_out = [window for pair in held_out for window in _windows(pair, size)[:1]]
    if calibration is None and not training:
        raise UsageError("there is nothing to calibrate on: give --calibration or --data-root")
    if validation is None and not held_out:
        raise UsageError("there is nothing to validate on: give --validation or --data-root")
    if calibration is None:
        candidates = of_pairs(training)
    else:
        candidates = read_folder(calibration, colour=recipe.colour)
    if validation is not None:
        held_out = _held_out(validation, colour=recipe.colour)
    return candidates, held_out


def _windows(pair: Pair, size: int) -> list[Pair]:
    """What the network is shown of a picture that is larger: round each box, and its first rows."""
    rows, columns = pair.mask.shape
    if min(rows, columns) < size:
        raise UsageError(f"{pair.name} is {columns}x{rows}: less than the network's {size}")
    if (rows, columns) == (size, size):
        return [pair]
    middles = [(left + right, top + bottom) for _, left, top, right, bottom in pair.boxes / 2]
    corners = [(int(y - size / 2), int(x - size / 2)) for x, y in middles]
    centred = (0, (columns - size) // 2)
    windows = {
        (min(max(top, 0), rows - size), min(max(left, 0), columns - size))
        for top, left in [*corners, centred]
    }
    order = sorted(windows, key=lambda at: at == centred)  # those round boxes come first
    return [cut(pair, slice(top, top + size), slice(left, left + size)) for top, left in order]


def _held_out(folder: Path, *, colour: bool) -> list[Pair]:
    """A data set's held-out pairs, or all of a folder that says nothing of a split."""
    pairs = read(folder, recognise(folder), colour=colour)
    held_out = [pair for pair in pairs if pair.split == "validation"] or pairs
    if not held_out:
        raise UsageError(f"{folder} holds no image with a mask: name one that does")
    return held_out
