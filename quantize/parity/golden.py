"""The golden pair: a frame of the simulated line, nobody's data, and FP32's answer to it."""

from __future__ import annotations

import cv2
import numpy as np

from edge.bundle import Golden, Manifest
from edge.engines import Engine
from edge.errors import TracksideError
from edge.network import read_mask, to_tensor
from edge.network.golden import count_defects
from edge.types import Image, Mask
from quantize.parity.subjects import simulated

GOLDEN = Golden(input="golden/input.png", output="golden/output.png", min_iou=0.9, max_mae=0.01)
SEED, TRIES = 700_000, 48
MIN_SHARE, MAX_SHARE = 0.02, 0.5  # a small or a full mask tells no engine from another


class GoldenError(TracksideError, ValueError):
    """A network that sees nothing, or only defects, in every golden image."""


def golden_pair(fp32: Engine, manifest: Manifest) -> dict[str, bytes]:
    """Of the frames in which the FP32 network sees something, the one it is surest of."""
    best_surety, best = 0.0, None
    for frame in simulated(manifest.input, TRIES, seed=SEED):
        logits = fp32.infer(to_tensor(frame.image, manifest.input))
        mask = read_mask(
            logits, (manifest.output.height, manifest.output.width), manifest.threshold
        )
        telling = MIN_SHARE <= mask.binary.mean() <= MAX_SHARE
        if telling and count_defects(mask.binary, manifest) and _surety(mask) > best_surety:
            best_surety, best = _surety(mask), (frame.image, mask.probability)
    if best is None:
        raise GoldenError(
            f"in each of {TRIES} frames of the simulated line the network marks "
            f"less than {MIN_SHARE:.1%}, more than {MAX_SHARE:.0%} or nothing that counts by its "
            "limits: train it further, or lower them"
        )
    image, probability = best
    answer = np.rint(probability * 255).astype(np.uint8)
    return {GOLDEN.input: _png(image), GOLDEN.output: _png(answer)}


def _surety(mask: Mask) -> float:
    """Overlap of the masks at thresholds well above and well below: 1 if nothing wavers."""
    above, below = (mask.threshold + 1) / 2, mask.threshold / 2
    return float(np.mean(mask.probability > above) / np.mean(mask.probability > below))


def _png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
