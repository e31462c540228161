"""How well one probability map shows the defects of its mask: the papers' metrics of one image.

The saliency metrics are pysodmetrics'; what it lacks is here. Figures of many images are made in
`reference.evaluation.summary`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from py_sod_metrics import (
    MAE,
    Emeasure,
    FmeasureHandler,
    FmeasureV2,
    IOUHandler,
    PrecisionHandler,
    RecallHandler,
    Smeasure,
    WeightedFmeasure,
)

from edge.errors import TracksideError
from reference.evaluation.confusion import Confusion, confusion
from reference.evaluation.named import Counts, NamedPixels

Real = TypeVar("Real", bound=np.floating)
Map = NDArray[np.float64]  # H,W of probabilities
Truth = NDArray[np.bool_]  # H,W
Curve = NDArray[np.float64]  # 256: at thresholds 0, 1, ... 255 of 255


# Figures of a summary that cost next to nothing; all others are measured where they are wanted.
CHEAP = (
    "images",
    "defect_free",
    "mae",
    "iou",
    "iou_of_defects",
    "iou_pooled",
    "iou_lsanet",
    "soft_iou",
    "dice",
    "f1",
    "f1_weighted",
    "pa_recall",
    "pa_overall",
    "false_reject_rate",
    "escape_rate",
    "decision_accuracy",
    "classification_accuracy",
)
_BY_F = frozenset({"max_f", "mean_f", "adaptive_f", "overlap_ratio"})
_BY_E = frozenset({"max_e", "mean_e", "adaptive_e"})
UNMEASURED = np.full(256, np.nan)


class ScoreError(TracksideError, ValueError):
    """A map that cannot be scored; the message says which and why."""


@dataclass(frozen=True)
class Scoring:
    """The choices that published tables make in silence."""

    # Each map is stretched from its least to its greatest value, as in the papers' tables. On a
    # line that would turn a clean frame's noise into defects, so the box never does it.
    stretch: bool = False
    unstretched: tuple[str, ...] = ()  # figures of maps as they are, for all that
    overlap_cap: bool = True  # the overlap ratio's threshold, twice the mean, is 1 at most
    empty_dice: float = 1.0  # of a sound image that is shown as sound
    threshold: float | Literal["otsu"] = 0.5  # a pixel above it is defect
    min_share: float = 0  # of the image; a spot that covers less rejects nothing
    # Of an image that the network calls sound by more than this, the map is put aside.
    sound_above: float | None = None
    figures: frozenset[str] | None = None  # these, and what is cheap; None: all there are

    def wants(self, figures: Collection[str]) -> bool:
        """Whether one of these is asked for."""
        return self.figures is None or not self.figures.isdisjoint(figures)


@dataclass(frozen=True, eq=False)
class ImageScores:
    """All that is measured on one image; what nobody asked for is no number."""

    name: str
    class_name: str
    predicted_class: str | None  # None: the network names none
    defect_share: float  # of the image's pixels
    mae: float
    s_measure: float
    weighted_f: float
    adaptive_f: float
    adaptive_e: float
    overlap_ratio: float  # IoU above twice the map's mean
    pfom: float
    soft_iou: float  # MINet's IoU: probabilities instead of a threshold
    confusion: Confusion
    dice: float
    rejected: bool  # a spot is shown that is large enough
    found: bool  # and it touches the defect
    put_aside: bool  # it would have been shown, were the image not called sound
    missed_so: bool  # and would have touched the defect
    class_counts: Counts | None = field(repr=False)  # None: no pixel is named
    precision: Curve = field(repr=False)
    recall: Curve = field(repr=False)
    f: Curve = field(repr=False)
    e: Curve = field(repr=False)
    r3net_precision: Curve = field(repr=False)
    r3net_recall: Curve = field(repr=False)

    @property
    def is_free(self) -> bool:
        return self.defect_share == 0


def score(
    probability: NDArray[np.floating],
    mask: NDArray[np.uint8],
    scoring: Scoring | None = None,
    *,
    name: str = "",
    class_name: str = "defect",
    predicted_class: str | None = None,
    named: NamedPixels | None = None,
    levels: NDArray[np.uint8] | None = None,
    sound: float | None = None,
) -> ImageScores:
    """Measure one map against its 0/1 mask; the error, if they are given, to its grey levels.

    `sound` is how surely the network says that there is nothing.
    """
    scoring = scoring or Scoring()
    plain, truth = _checked(probability, mask, name), mask > 0
    p = stretched(plain) if scoring.stretch else plain
    binary = p > _threshold(p, scoring)
    spots = aside = _large_spots(binary, scoring.min_share)
    if sound is None or scoring.sound_above is None or sound <= scoring.sound_above:
        aside = np.zeros_like(spots)
    else:
        plain, p = np.zeros_like(plain), np.zeros_like(p)
        binary, spots = np.zeros_like(binary), np.zeros_like(spots)
    counts = confusion(binary, truth)
    figures = _saliency(p, truth, scoring)
    figures["soft_iou"] = soft_iou(plain if "soft_iou" in scoring.unstretched else p, truth)
    if levels is not None or "mae" in scoring.unstretched:
        figures["mae"] = _error(plain, truth if levels is None else levels / 255)
    if not scoring.overlap_cap and scoring.wants({"overlap_ratio"}):
        figures["overlap_ratio"] = confusion(p >= 2 * p.mean(), truth).iou
    return ImageScores(
        name=name,
        class_name=class_name,
        predicted_class=predicted_class,
        defect_share=float(truth.mean()),
        pfom=pfom(p, truth) if scoring.wants({"pfom"}) else np.nan,
        confusion=counts,
        dice=counts.dice if binary.any() or truth.any() else scoring.empty_dice,
        rejected=bool(spots.any()),
        found=bool((spots & truth).any()),
        put_aside=bool(aside.any()),
        missed_so=bool((aside & truth).any()),
        class_counts=None if named is None else named.counts(binary),
        **figures,
        **_r3net(p, truth),
    )


def _checked(probability: NDArray[np.floating], mask: NDArray[np.uint8], name: str) -> Map:
    if probability.shape != mask.shape:
        raise ScoreError(
            f"{name or 'the map'} is {probability.shape} but its mask is {mask.shape}: "
            "bring the map to the image's own size"
        )
    p = probability.astype(np.float64)
    low, high = p.min(), p.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise ScoreError(
            f"{name or 'the map'} holds values from {low} to {high}: give probabilities"
        )
    return p


def stretched(p: NDArray[Real]) -> NDArray[Real]:
    """From the least value to the greatest, as 0 to 1; a flat map stays as it is."""
    low, high = p.min(), p.max()
    return (p - low) / (high - low) if high > low else p


def _error(p: Map, wanted: NDArray[Any]) -> float:
    return float(np.abs(p - wanted).mean())


def _threshold(p: Map, scoring: Scoring) -> float:
    if scoring.threshold != "otsu":
        return scoring.threshold
    level, _ = cv2.threshold(np.rint(p * 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return (level + 0.5) / 255  # of 8 bits, those above the level


def _large_spots(binary: Truth, min_share: float) -> Truth:
    """The connected spots that cover at least a share of the image."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(binary.astype(np.uint8))
    large = stats[:, cv2.CC_STAT_AREA] >= min_share * binary.size
    large[0] = False  # what is around them
    return np.asarray(large[labels])


def soft_iou(p: Map, truth: Truth) -> float:
    """Intersection over union of probabilities; 1 where there is nothing and nothing is said."""
    overlap = float(p[truth].sum())
    union = float(p.sum()) + int(truth.sum()) - overlap
    return overlap / union if union else 1.0


def pfom(p: Map, truth: Truth) -> float:
    """Pratt's figure of merit: how near the map's edges are to the mask's.

    No paper names its edge detector; Prewitt's on the grey map comes within .0003 of MINet's
    figure. Without an edge on either side it is 1.
    """
    ideal, detected = _edges(truth.astype(np.float64)), _edges(p)
    most = max(np.count_nonzero(ideal), np.count_nonzero(detected))
    if most == 0:
        return 1.0
    if not ideal.any():
        return 0.0
    away = cv2.distanceTransform((~ideal).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float((1 / (1 + away[detected].astype(np.float64) ** 2 / 9)).sum() / most)


def _edges(x: Map) -> Truth:
    """Where the squared gradient exceeds four times its mean."""
    across = np.array([[-1, 0, 1]] * 3) / 6
    gradient = [
        cv2.filter2D(x, cv2.CV_64F, kernel, borderType=cv2.BORDER_REPLICATE)
        for kernel in (across, across.T)
    ]
    energy = gradient[0] ** 2 + gradient[1] ** 2
    # A flat map has no edge, though rounding gives it a gradient.
    return np.asarray(energy > max(4 * energy.mean(), 1e-12))


class _Structure(Smeasure):  # type: ignore[misc]  # which has no types
    """The structure measure also of a defect in the last row or column, beside which no quarter is.

    Such a quarter weighs nothing; pysodmetrics takes the mean of its no pixels, which is no number.
    """

    def ssim(self, pred: Map, gt: Truth) -> float:
        return float(super().ssim(pred, gt)) if pred.size else 0.0


def _saliency(p: Map, truth: Truth, scoring: Scoring) -> dict[str, Any]:
    """pysodmetrics' figures; its curves start at the highest threshold, ours at the lowest."""
    mae, s_measure, weighted_f = MAE(), _Structure(), WeightedFmeasure()
    for name, metric in (("mae", mae), ("s_measure", s_measure), ("weighted_f", weighted_f)):
        if name == "mae" or scoring.wants({name}):
            metric.step(p, truth, normalize=False)
    return {
        "mae": float(mae.maes[0]),
        "s_measure": float(s_measure.sms[0]) if s_measure.sms else np.nan,
        "weighted_f": float(weighted_f.weighted_fms[0]) if weighted_f.weighted_fms else np.nan,
        **_by_f(p, truth, wanted=scoring.wants(_BY_F)),
        **_by_e(p, truth, wanted=scoring.wants(_BY_E)),
    }


def _by_e(p: Map, truth: Truth, *, wanted: bool) -> dict[str, Any]:
    if not wanted:
        return {"adaptive_e": np.nan, "e": UNMEASURED}
    e = Emeasure()
    e.step(p, truth, normalize=False)
    return {"adaptive_e": float(e.adaptive_ems[0]), "e": e.changeable_ems[0][::-1]}


def _by_f(p: Map, truth: Truth, *, wanted: bool) -> dict[str, Any]:
    if not wanted:
        curves = dict.fromkeys(("precision", "recall", "f"), UNMEASURED)
        return {"adaptive_f": np.nan, "overlap_ratio": np.nan, **curves}
    f = FmeasureHandler(with_dynamic=True, with_adaptive=True, beta=0.3)
    precision = PrecisionHandler(with_dynamic=True, with_adaptive=False)
    recall = RecallHandler(with_dynamic=True, with_adaptive=False)
    overlap = IOUHandler(with_dynamic=False, with_adaptive=True)
    counted = FmeasureV2({"f": f, "precision": precision, "recall": recall, "overlap": overlap})
    counted.step(p, truth, normalize=False)
    return {
        "adaptive_f": float(f.adaptive_results[0]),
        "overlap_ratio": float(overlap.adaptive_results[0]),
        "precision": precision.dynamic_results[0][::-1],
        "recall": recall.dynamic_results[0][::-1],
        "f": f.dynamic_results[0][::-1],
    }


def _r3net(p: Map, truth: Truth) -> dict[str, Any]:
    """Precision and recall as R3Net and DMS have them: strictly above, and nothing by nothing is 1.

    So an empty map of a free image has both, and an empty map of a defect has the precision.
    """
    levels = np.ceil(p * 255 - 1e-9).astype(np.int64)  # above t/255 if above t

    def above(values: NDArray[np.int64]) -> Curve:
        counts = np.bincount(values, minlength=256)
        return np.asarray(values.size - counts.cumsum(), np.float64) + 1e-4

    right, said = above(levels[truth]), above(levels.ravel())
    return {
        "r3net_precision": right / said,
        "r3net_recall": right / (np.count_nonzero(truth) + 1e-4),
    }
