"""The metric that layers are given back to FP32 for: S-measure on a validation set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from py_sod_metrics import Smeasure

from edge.bundle import InputSpec
from edge.network import read_mask, to_tensor
from edge.types import Image, Tensor
from reference.data import Pair

Item = tuple[Tensor, Image]  # what goes in, and the mask that should come out


@dataclass(frozen=True)
class Accuracy:
    """How much S-measure may be lost, and on what it is measured."""

    max_drop: float
    items: Sequence[Item]

    @classmethod
    def on(cls, pairs: Sequence[Pair], spec: InputSpec, max_drop: float) -> Accuracy:
        return cls(max_drop, [(to_tensor(pair.image, spec), pair.mask) for pair in pairs])


def s_measure(infer: Callable[[Tensor], Any], items: Iterable[Item]) -> tuple[float, list[float]]:
    """The mean, and each item's own, of a metric that starts afresh at every call."""
    scores = [_s_measure_of_one(infer(tensor), mask) for tensor, mask in items]
    return fmean(scores), scores


def _s_measure_of_one(logits: Any, mask: Image) -> float:
    metric = Smeasure()  # one for each image: what was measured before is none of its business
    probability = read_mask(np.asarray(logits), mask.shape[:2], 0.5).probability
    metric.step(pred=probability.astype(np.float64), gt=mask > 0, normalize=False)
    return float(metric.get_results()["sm"])
