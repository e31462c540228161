"""A folder of maps beside a folder of masks, or beside a data set: matched by name, or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.files.image_file import IMAGE_SUFFIXES, read_image
from reference.data import Pair
from reference.datasets import DataError
from reference.evaluation.evaluate import Answer, Case, answered
from reference.evaluation.protocol import LINE, Protocol

_OVERLAY = "_overlay"  # `trackside predict` writes one beside each map


def cases_of_folders(predictions: Path, truth: Path, protocol: Protocol = LINE) -> list[Case]:
    """Every mask with the map of the same name; in folders, an image's class is its folder.

    Maps in files are finished: of a protocol, only the masks and the scoring are to do with them.
    """
    masks, shapes, dark = _by_name(truth), {}, []
    for name, path in masks.items():
        levels = read_image(path, colour=False)
        shapes[name] = levels.shape
        if 0 < levels.max(initial=0) < 128:
            dark.append(f"{name}: the mask's brightest value is {levels.max()}, not 255")
    maps = _matched(predictions, shapes, dark)
    return [
        Case(name, _class_of(name), partial(_answer, path, masks[name], protocol))
        for name, path in maps.items()
    ]


def cases_of_maps(
    predictions: Path, pairs: Sequence[Pair], protocol: Protocol = LINE
) -> list[Case]:
    """Every pair of a data set with the map of the same name."""
    maps = _matched(predictions, {pair.name: pair.mask.shape for pair in pairs}, [])
    return [
        Case(p.name, p.class_name, partial(_answer_beside, maps[p.name], p, protocol))
        for p in pairs
    ]


def _matched(
    predictions: Path, wanted: Mapping[str, tuple[int, ...]], mistakes: list[str]
) -> dict[str, Path]:
    """The map of each name, in the order wanted; or one error that lists all that is wrong."""
    maps = _by_name(predictions)
    mistakes += [f"{name}: no map" for name in wanted if name not in maps]
    mistakes += [f"{name}: no mask" for name in maps if name not in wanted]
    for name in maps.keys() & wanted.keys():
        shape = read_image(maps[name], colour=False).shape
        if shape != wanted[name]:
            mistakes.append(f"{name}: the map is {shape}, the mask {wanted[name]}")
    if mistakes:
        raise DataError(
            f"{predictions} does not fit, in {len(mistakes)} places: give one map for each mask, "
            "of its name and size, and masks of 0 and 255\n  " + "\n  ".join(sorted(mistakes))
        )
    return {name: maps[name] for name in wanted}


def _by_name(folder: Path) -> dict[str, Path]:
    """The image files below a folder by their path without its suffix."""
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder: give one that holds images")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
    by_name: dict[str, Path] = {}
    for path in found:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in by_name:
            raise DataError(f"{path} and {by_name[name]} have one name: keep one of them")
        by_name[name] = path
    # The suffix is dropped only beside its map: an image may be called so by its owner.
    return {
        name: path
        for name, path in by_name.items()
        if not (name.endswith(_OVERLAY) and name.removesuffix(_OVERLAY) in by_name)
    }


def _class_of(name: str) -> str:
    folder, _, rest = name.partition("/")
    return folder if rest else "defect"


def _answer(map_path: Path, mask_path: Path, protocol: Protocol) -> Answer:
    levels, shown = read_image(mask_path, colour=False), _probability(map_path)
    mask = protocol.masked(levels, shown.shape)
    return Answer(shown, mask, levels=levels if protocol.grey_masks else None)


def _answer_beside(map_path: Path, pair: Pair, protocol: Protocol) -> Answer:
    return answered(_probability(map_path), pair, protocol)


def _probability(path: Path) -> NDArray[np.float64]:
    return read_image(path, colour=False) / np.float64(255)
