"""The golden pair: a frame of the simulated line, nobody's data, or a picture that may be shown,
and FP32's answer to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Golden, GoldenNames, InputSpec, Manifest
from edge.engines import Engine
from edge.errors import TracksideError
from edge.files.image_file import read_image
from edge.inspect.tiling import spans
from edge.network import GoldenResult, read_answer, shares_in, sound_share, to_tensor
from edge.network.golden import count_defects, rejecting
from edge.types import Image, Mask
from quantize.parity.subjects import simulated

# What an engine must reach where nothing is known of the picture; and the least that is ever asked,
# of one that shows much, or of which the network is unsure.
_USUAL = {"min_iou": 0.9, "max_mae": 0.01}
_WIDEST = {"min_iou": 0.75, "max_mae": 0.06}
_USUAL_NAMES = {"min_same": 0.9, "max_mae": 0.05}
_WIDEST_NAMES = {"min_same": 0.75, "max_mae": 0.12}
_ROOM_DOWN, _ROOM_UP = 0.05, 1.5  # for kernels of another version or CPU than those that were tried
SEED, TRIES = 700_000, 48
MIN_SHARE, MAX_SHARE = 0.02, 0.5  # a small or a full mask tells no engine from another


class GoldenError(TracksideError, ValueError):
    """A network that sees nothing, or only defects, in every golden image."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One that may be shown to whoever has the bundle."""

    name: str
    image: Image


def golden_of(*, named: bool) -> Golden:
    """What a manifest says of the pair: its files, and the least that an engine must reach."""
    return Golden(
        input="golden/input.png",
        output="golden/output.png",
        **_WIDEST,
        names=GoldenNames(output="golden/names.png", **_WIDEST_NAMES) if named else None,
    )


def narrowed(golden: Golden, reached: Sequence[GoldenResult]) -> Golden:
    """What is asked of a box's engines, by what those that were packed reach on this picture.

    The pair tells a right engine from a wrong one. Whether INT8 is accurate enough is asked of many
    pictures, and one that shows much, or of which FP32 itself is unsure, must not say otherwise.
    """
    names = golden.names
    named = [each.names for each in reached if each.names is not None]
    if names is not None and named:
        names = names.model_copy(
            update={
                "min_same": _at_least(min(n.same for n in named), _USUAL_NAMES["min_same"]),
                "max_mae": _at_most(max(n.mae for n in named), _USUAL_NAMES["max_mae"]),
            }
        )
    return golden.model_copy(
        update={
            "min_iou": _at_least(min(each.iou for each in reached), _USUAL["min_iou"]),
            "max_mae": _at_most(max(each.mae for each in reached), _USUAL["max_mae"]),
            "names": names,
        }
    )


def _at_least(reached: float, usual: float) -> float:
    return min(usual, floor(round(100 * (reached - _ROOM_DOWN), 6)) / 100)


def _at_most(reached: float, usual: float) -> float:
    return max(usual, ceil(round(1000 * _ROOM_UP * reached, 6)) / 1000)


def read_picture(path: Path, spec: InputSpec) -> Picture:
    """A picture for the golden pair, in the colours that the network is shown."""
    return Picture(str(path), read_image(path, colour=spec.channels == 3))


def golden_pair(
    fp32: Engine, manifest: Manifest, picture: Picture | None = None
) -> dict[str, bytes]:
    """Of the frames in which the FP32 network sees something, the one it is surest of.

    With a picture, of the parts of that: it goes into the bundle, to be seen by whoever has it.
    """
    surest, best = (0.0, 0.0), None
    shown_all = _simulated(manifest) if picture is None else _parts(picture.image, manifest.input)
    for shown in shown_all:
        answer = fp32.infer(to_tensor(shown, manifest.input))
        mask = read_answer(answer, (manifest.output.height, manifest.output.width), manifest)
        telling = MIN_SHARE <= mask.binary.mean() <= MAX_SHARE
        rejected = rejecting(mask.binary, mask.probability, mask.names, manifest)
        if telling and count_defects(rejected, manifest):
            # Of parts that it is as sure of, the one that shows most.
            sure = _surety(mask), float(mask.binary.mean())
            if sure <= surest:
                continue
            surest = sure
            best = shown, mask, sound_share(answer, manifest)
    if best is None:
        raise _untelling(picture)
    image, mask, sound = best
    golden = manifest.golden
    files = {golden.input: _png(image), golden.output: _png(_levels(mask.probability))}
    if mask.names is not None and golden.names is not None:
        told = [*mask.names.shares] + ([] if sound is None else [np.full((1, 1), sound)])
        files[golden.names.output] = _png(_levels(np.vstack(told)))
    return files


def _untelling(picture: Picture | None) -> GoldenError:
    """Nothing that was shown tells a right engine from a wrong one."""
    if picture is not None:
        of, remedy = f"the parts of {picture.name}", "give another picture"
    else:
        of = f"{TRIES} frames of the simulated line"
        remedy = "give --golden a picture like those it was trained on, that may be shown"
    return GoldenError(
        f"in each of {of} the network marks less than {MIN_SHARE:.1%}, more than "
        f"{MAX_SHARE:.0%} or nothing that counts by its limits: {remedy}, train it further, or "
        "lower the limits"
    )


def _simulated(manifest: Manifest) -> Iterator[Image]:
    for frame in simulated(manifest.input, TRIES, classes=manifest.classes, seed=SEED):
        yield frame.image


def _parts(image: Image, spec: InputSpec) -> Iterator[Image]:
    """What the network is shown of a picture at its own scale, in parts that overlap by half; a
    smaller one is enlarged.
    """
    rows, columns = image.shape[:2]
    if rows < spec.height or columns < spec.width:
        size = max(columns, spec.width), max(rows, spec.height)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        rows, columns = image.shape[:2]
    for top, _ in spans(rows, spec.height, spec.height // 2):
        for left, _ in spans(columns, spec.width, spec.width // 2):
            yield np.ascontiguousarray(image[top : top + spec.height, left : left + spec.width])


def _surety(mask: Mask) -> float:
    """Overlap of the masks at thresholds well above and well below, by how sure the names of what
    is found are: 1 if nothing wavers.
    """
    above, below = (mask.threshold + 1) / 2, mask.threshold / 2
    surety = float(np.mean(mask.probability > above) / np.mean(mask.probability > below))
    if mask.names is None:
        return surety
    whole = np.s_[:, :]
    return surety * float(
        shares_in(mask.names, whole, mask.binary.shape).max(axis=0)[mask.binary].mean()
    )


def _levels(probability: NDArray[np.floating]) -> Image:
    return np.asarray(np.rint(probability * 255), np.uint8)


def _png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
