"""The golden pair: an image drawn in code, never taken from anybody's data, and FP32's answer."""

from __future__ import annotations

import cv2
import numpy as np

from edge.engines import Engine
from edge.errors import TracksideError
from edge.manifest import Golden, Manifest
from edge.mask import read_mask
from edge.preprocess import to_tensor
from edge.types import Image, Mask

GOLDEN = Golden(input="golden/input.png", output="golden/output.png", min_iou=0.9, max_mae=0.01)
TRIES = 16
MIN_SHARE, MAX_SHARE = 0.005, 0.5  # an empty or a full mask would tell no engine from another


class GoldenError(TracksideError, ValueError):
    """A network that sees nothing, or only defects, in every golden image."""


def golden_pair(fp32: Engine, manifest: Manifest) -> dict[str, bytes]:
    """Of the golden images in which the FP32 network sees something, the one it is surest of."""
    best_surety, best = 0.0, None
    for seed in range(TRIES):
        image = steel_with_defects(seed, manifest.input.height, manifest.input.width)
        logits = fp32.infer(to_tensor(image, manifest.input))
        mask = read_mask(
            logits, (manifest.output.height, manifest.output.width), manifest.threshold
        )
        if MIN_SHARE <= mask.binary.mean() <= MAX_SHARE and _surety(mask) > best_surety:
            best_surety, best = _surety(mask), (image, mask.probability)
    if best is None:
        raise GoldenError(
            f"in each of {TRIES} images of scratched and spotted steel the network marks "
            f"less than {MIN_SHARE:.1%} or more than {MAX_SHARE:.0%}: train it further"
        )
    image, probability = best
    answer = np.rint(probability * 255).astype(np.uint8)
    return {GOLDEN.input: _png(image), GOLDEN.output: _png(answer)}


def _surety(mask: Mask) -> float:
    """Overlap of the masks at thresholds well above and well below: 1 if nothing wavers."""
    above, below = (mask.threshold + 1) / 2, mask.threshold / 2
    return float(np.mean(mask.probability > above) / np.mean(mask.probability > below))


def steel_with_defects(seed: int, height: int, width: int) -> Image:
    """Rolled steel with dark spots and bright scratches, drawn from a seed."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), sigmaX=1, sigmaY=6)
    spots, scratches = np.zeros((2, height, width), np.float32)
    for _ in range(4):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(width // 30, width // 8)), int(rng.integers(1, height // 20)))
        cv2.ellipse(spots, centre, axes, float(rng.uniform(0, 180)), 0, 360, (1,), -1)
    for _ in range(2):
        ends = rng.integers(0, (width, height), (2, 2))
        cv2.line(scratches, ends[0].tolist(), ends[1].tolist(), (1,), max(1, width // 120))
    marks = cv2.GaussianBlur(70 * scratches - 80 * spots, (0, 0), 1)
    return np.asarray(np.clip(120 + 6 * grain / grain.std() + marks, 0, 255), np.uint8)


def _png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
