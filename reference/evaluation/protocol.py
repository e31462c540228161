"""From a network's map to the map that is scored: as the box takes it, or as a paper's code does.

Published maps are files of 8 bits, and that is no detail: the structure measure gives a part that
has no defect 1 where the map is exactly zero, and 0 where it is a billionth. So maps are scored as
8 bits unless somebody asks for `float`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from edge.errors import UsageError
from reference.evaluation.metrics import Scoring, stretched

Map = NDArray[np.floating]  # H,W of probabilities
Shape = tuple[int, ...]

_JPEG_QUALITY = 75  # Pillow's own, with which NaDiNet's maps are saved


@dataclass(frozen=True)
class Protocol:
    """What is done to a map, and how it is then scored."""

    name: str
    says: str  # its steps, for people
    finish: Callable[[Map, Shape], Map]  # at the network's size, to the size of the mask
    scoring: Scoring
    figures: tuple[str, ...] = ()  # of its paper's tables; none: what the line asks
    at_network_size: bool = False  # the mask is brought to the map, not the map to the mask
    counts_from: int = 128  # the grey level from which on a published mask is defect
    grey_masks: bool = False  # the error is measured to the mask's own grey levels

    def masked(self, levels: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
        """The 0/1 mask of a published one, at the map's size."""
        mask = (levels >= self.counts_from).astype(np.uint8)
        if self.at_network_size and mask.shape != shape:
            mask = np.asarray(
                cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8
            )
        return mask


def eight_bits(probability: Map) -> Map:
    """The nearest of 256 levels."""
    return np.rint(np.asarray(probability, np.float64) * 255) / 255


def _exactly(probability: Map, shape: Shape) -> Map:
    if probability.shape == shape:
        return probability
    return np.asarray(cv2.resize(np.asarray(probability, np.float32), shape[::-1]), np.float32)


def _as_the_box(probability: Map, shape: Shape) -> Map:
    return eight_bits(_exactly(probability, shape).clip(0, 1))


def _saved(probability: Map, shape: Shape, how: Pillow.Resampling) -> Pillow.Image:
    """As the papers' scripts save a map: cut off to 8 bits, then resized by Pillow."""
    levels = Pillow.fromarray(np.asarray(probability, np.float32) * 255).convert("L")
    return levels.resize((shape[1], shape[0]), how)


def _minet(probability: Map, shape: Shape) -> Map:
    return np.asarray(_saved(stretched(probability), shape, Pillow.Resampling.BILINEAR)) / 255


def _csepnet(probability: Map, shape: Shape) -> Map:
    return np.asarray(_saved(probability, shape, Pillow.Resampling.NEAREST)) / 255


def _nadinet(probability: Map, shape: Shape) -> Map:
    """Saved as a JPEG, read again, put above or below Otsu's threshold, and saved as another."""
    once = BytesIO()
    saved = _saved(stretched(probability), shape, Pillow.Resampling.BILINEAR)
    saved.save(once, "JPEG", quality=_JPEG_QUALITY)
    grey = cv2.imdecode(np.frombuffer(once.getvalue(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    _, binary = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    _, twice = cv2.imencode(".jpg", binary)
    read = cv2.imdecode(twice, cv2.IMREAD_GRAYSCALE)
    assert read is not None
    # Divided by 255 and cut off to a whole number: 254 is nothing.
    return np.asarray(read == 255, np.float64)


def _dms(probability: Map, shape: Shape) -> Map:
    return np.floor(_exactly(probability, shape).clip(0, 1).astype(np.float64) * 255) / 255


_SALIENCY = ("s_measure", "max_f", "mean_f", "adaptive_f", "max_e", "mean_e", "adaptive_e", "mae")

LINE = Protocol(
    "line",
    "enlarged to the image, 8 bits, not stretched: what the box decides by",
    _as_the_box,
    Scoring(),
)
PROTOCOLS: dict[str, Protocol] = {
    "line": LINE,
    "float": Protocol(
        "float", "enlarged to the image, as the numbers they are", _exactly, Scoring()
    ),
    "minet": Protocol(
        "minet",
        "stretched at the network's size, cut off to 8 bits, resized with antialiasing; stretched "
        "again for all but MAE and IoU, as MINet's are",
        _minet,
        Scoring(stretch=True, unstretched=("mae", "soft_iou"), overlap_cap=False),
        ("mae", "weighted_f", "overlap_ratio", "s_measure", "pfom", "soft_iou"),
    ),
    "csepnet": Protocol(
        "csepnet",
        "cut off to 8 bits, resized to the nearest pixel, then stretched, as CSEPNet's are",
        _csepnet,
        Scoring(stretch=True),
        _SALIENCY,
    ),
    "nadinet": Protocol(
        "nadinet",
        "stretched at the network's size, resized with antialiasing, saved as JPEG, split by Otsu, "
        "saved as JPEG; only 255 counts, in masks too, as in NaDiNet's evaluation",
        _nadinet,
        Scoring(),
        ("pa_recall", "iou_of_defects", "f1_weighted"),
        counts_from=255,
    ),
    "lsanet": Protocol(
        "lsanet",
        "at the network's size, masks brought to it; above one half is defect, and a sound image "
        "has Dice 0, as LSA-Net's table must have counted it",
        lambda probability, shape: probability,
        Scoring(empty_dice=0.0),
        ("pa_overall", "dice", "iou_lsanet"),
        at_network_size=True,
    ),
    "dms": Protocol(
        "dms",
        "enlarged to the image, cut off to 8 bits, not stretched; the error is to the mask's own "
        "grey levels, and an empty map of a sound image counts as found, as in DMS's tables",
        _dms,
        Scoring(),
        ("mae", "max_f_dms", "classification_accuracy"),
        grey_masks=True,
    ),
}


def protocol_of(name: str) -> Protocol:
    """A protocol by its name."""
    if name not in PROTOCOLS:
        raise UsageError(f"protocol {name}: choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
