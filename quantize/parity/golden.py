"""The golden pair: a frame of the simulated line, nobody's data, and FP32's answer to it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Golden, GoldenNames, Manifest
from edge.engines import Engine
from edge.errors import TracksideError
from edge.network import read_answer, shares_in, sound_share, to_tensor
from edge.network.golden import count_defects, rejecting
from edge.types import Image, Mask
from quantize.parity.subjects import simulated

_GOLDEN = Golden(input="golden/input.png", output="golden/output.png", min_iou=0.9, max_mae=0.01)
_NAMES = GoldenNames(output="golden/names.png", min_same=0.9, max_mae=0.05)
SEED, TRIES = 700_000, 48
MIN_SHARE, MAX_SHARE = 0.02, 0.5  # a small or a full mask tells no engine from another


class GoldenError(TracksideError, ValueError):
    """A network that sees nothing, or only defects, in every golden image."""


def golden_of(*, named: bool) -> Golden:
    """What a manifest says of the pair: its files, and what an engine must reach on them."""
    return _GOLDEN.model_copy(update={"names": _NAMES}) if named else _GOLDEN


def golden_pair(fp32: Engine, manifest: Manifest) -> dict[str, bytes]:
    """Of the frames in which the FP32 network sees something, the one it is surest of."""
    best_surety, best = 0.0, None
    for frame in simulated(manifest.input, TRIES, classes=manifest.classes, seed=SEED):
        answer = fp32.infer(to_tensor(frame.image, manifest.input))
        mask = read_answer(answer, (manifest.output.height, manifest.output.width), manifest)
        telling = MIN_SHARE <= mask.binary.mean() <= MAX_SHARE
        rejected = rejecting(mask.binary, mask.probability, mask.names, manifest)
        if telling and count_defects(rejected, manifest) and _surety(mask) > best_surety:
            best_surety = _surety(mask)
            best = frame.image, mask, sound_share(answer, manifest)
    if best is None:
        raise GoldenError(
            f"in each of {TRIES} frames of the simulated line the network marks "
            f"less than {MIN_SHARE:.1%}, more than {MAX_SHARE:.0%} or nothing that counts by its "
            "limits: train it further, or lower them"
        )
    image, mask, sound = best
    files = {_GOLDEN.input: _png(image), _GOLDEN.output: _png(_levels(mask.probability))}
    if mask.names is not None:
        told = [*mask.names.shares] + ([] if sound is None else [np.full((1, 1), sound)])
        files[_NAMES.output] = _png(_levels(np.vstack(told)))
    return files


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
