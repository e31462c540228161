"""The scores of many images as one row of figures: of all, of each class, of each defect size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from statistics import fmean

import numpy as np

from reference.evaluation.confusion import Confusion
from reference.evaluation.metrics import Curve, ImageScores

Figures = dict[str, float | int | None]  # None: no image of the group has what it takes

# An image belongs to the first size that its defect's share of the pixels stays below.
SIZES = (("small", 0.01), ("medium", 0.1), ("large", float("inf")))
LSANET_BATCH = 16


@dataclass(frozen=True, eq=False)
class Curves:
    """Means over the images with a defect, at thresholds 0, 1, ... 255 of 255."""

    precision: Curve
    recall: Curve
    f: Curve
    e: Curve


def summarise(scores: Sequence[ImageScores]) -> Figures:
    """The figures of a group of images.

    What asks where the defect is has no answer on an image without one, so it is a mean over the
    others; there `defect_free` says how many were left out. `iou` counts such an image as 1 where
    nothing is shown and as 0 otherwise; what `dice` counts it as is said by the scoring.
    """
    defective = [s for s in scores if not s.is_free]
    return {
        "images": len(scores),
        "defect_free": len(scores) - len(defective),
        **_saliency(scores, defective),
        **_overlap(scores, defective),
        **_decisions(scores, defective),
    }


def by_class(scores: Sequence[ImageScores]) -> dict[str, Figures]:
    """The figures of each class, by name."""
    return _grouped(scores, lambda s: s.class_name)


def by_size(scores: Sequence[ImageScores]) -> dict[str, Figures]:
    """The figures of the images with a defect, by how much of the image it covers."""
    defective = [s for s in scores if not s.is_free]
    found = _grouped(defective, size_of)
    return {name: found[name] for name, _ in SIZES if name in found}


def size_of(image: ImageScores) -> str:
    """The name of an image's defect size."""
    return next(name for name, below in SIZES if image.defect_share < below)


def curves(scores: Iterable[ImageScores]) -> Curves | None:
    """The mean curves, where an image has a defect."""
    defective = [s for s in scores if not s.is_free]
    if not defective:
        return None
    names = ("precision", "recall", "f", "e")
    return Curves(**{n: np.mean([getattr(s, n) for s in defective], axis=0) for n in names})


def _grouped(
    scores: Sequence[ImageScores], key: Callable[[ImageScores], str]
) -> dict[str, Figures]:
    groups: dict[str, list[ImageScores]] = {}
    for image in scores:
        groups.setdefault(key(image), []).append(image)
    return {name: summarise(groups[name]) for name in sorted(groups)}


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return fmean(values) if values else None


def _saliency(scores: Sequence[ImageScores], defective: Sequence[ImageScores]) -> Figures:
    mean = curves(defective)
    return {
        "s_measure": _mean(s.s_measure for s in scores),
        "mae": _mean(s.mae for s in scores),
        "max_f": float(mean.f.max()) if mean else None,
        "mean_f": float(mean.f.mean()) if mean else None,
        "adaptive_f": _mean(s.adaptive_f for s in defective),
        "max_e": float(mean.e.max()) if mean else None,
        "mean_e": float(mean.e.mean()) if mean else None,
        "adaptive_e": _mean(s.adaptive_e for s in defective),
        "weighted_f": _mean(s.weighted_f for s in defective),
        "max_f_dms": _max_f_dms(scores),
    }


def _max_f_dms(scores: Sequence[ImageScores]) -> float | None:
    """F of the mean precision and recall over all images: a free one shown free counts as found."""
    if not scores:
        return None
    precision = np.mean([s.r3net_precision for s in scores], axis=0)
    recall = np.mean([s.r3net_recall for s in scores], axis=0)
    return float((1.3 * precision * recall / (0.3 * precision + recall)).max())


def _overlap(scores: Sequence[ImageScores], defective: Sequence[ImageScores]) -> Figures:
    at_threshold = [s.confusion for s in scores]
    of_defects = [s.confusion for s in defective]
    return {
        "iou": _mean(c.iou for c in at_threshold),
        "iou_of_defects": _mean(c.iou for c in of_defects),
        "iou_pooled": reduce(add, at_threshold).iou if at_threshold else None,
        "iou_lsanet": _iou_lsanet(at_threshold),
        "soft_iou": _mean(s.soft_iou for s in defective),
        "overlap_ratio": _mean(s.overlap_ratio for s in defective),
        "pfom": _mean(s.pfom for s in defective),
        "dice": _mean(s.dice for s in scores),
        "f1": _mean(c.dice for c in of_defects),
        "f1_weighted": _mean(c.f1_weighted for c in at_threshold),
        "pa_recall": _mean(c.pa_recall for c in of_defects),
        "pa_overall": _mean(c.pa_overall for c in at_threshold),
    }


def _iou_lsanet(confusions: Sequence[Confusion]) -> float | None:
    """As LSA-Net counts it: pixels pooled over batches, in the order of the images."""
    if not confusions:
        return None
    total = 0.0
    for start in range(0, len(confusions), LSANET_BATCH):
        batch = confusions[start : start + LSANET_BATCH]
        pooled = reduce(add, batch)
        union = pooled.tp + pooled.fp + pooled.fn
        total += len(batch) * (pooled.tp + 1e-5) / (union + 1e-5)
    return total / len(confusions)


def _decisions(scores: Sequence[ImageScores], defective: Sequence[ImageScores]) -> Figures:
    """What becomes of whole images; a spot that is large enough rejects one.

    What is put aside because the network calls the image sound has its price, and its gain.
    """
    named = [s for s in scores if s.predicted_class is not None]
    return {
        "false_reject_rate": _mean(s.rejected for s in scores if s.is_free),
        "escape_rate": _mean(not s.found for s in defective),
        "missed_as_sound": _mean(s.missed_so for s in defective),
        "spared_as_sound": _mean(s.put_aside for s in scores if s.is_free),
        "decision_accuracy": _mean(s.rejected != s.is_free for s in scores),
        "classification_accuracy": _mean(s.predicted_class == s.class_name for s in named),
    }
