"""Saliency metrics of a network on image+mask pairs (pysodmetrics' definitions)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from py_sod_metrics import MAE, Smeasure, WeightedFmeasure
from torch import nn

from reference.data import Pair

# 8-bit grey image -> probability map of the same height and width.
Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def network_predictor(network: nn.Module, *, size: int, mean: float, std: float) -> Predictor:
    """Predict at `size` x `size` and bring the map back to the image's own size."""

    @torch.inference_mode()
    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
        x = (torch.from_numpy(resized).float() / 255 - mean) / std
        x = x.expand(1, 3, size, size).contiguous(memory_format=torch.channels_last)
        probability = torch.sigmoid(network(x)[0])[0, 0].numpy()
        return np.asarray(cv2.resize(probability, image.shape[::-1]), np.float32)

    return predict


def saliency_metrics(
    maps: Iterable[tuple[NDArray[np.float32], NDArray[np.uint8]]],
) -> dict[str, float]:
    """MAE, S-measure and weighted F of probability maps against 0/1 masks, without stretching."""
    mae, s_measure, weighted_f = MAE(), Smeasure(), WeightedFmeasure()
    for probability, mask in maps:
        for metric in (mae, s_measure, weighted_f):
            metric.step(pred=probability.astype(np.float64), gt=mask > 0, normalize=False)
    return {
        "mae": float(mae.get_results()["mae"]),
        "s_measure": float(s_measure.get_results()["sm"]),
        "weighted_f": float(weighted_f.get_results()["wfm"]),
    }


def evaluate(predict: Predictor, pairs: list[Pair]) -> dict[str, float]:
    """Metrics of a predictor over pairs."""
    return saliency_metrics((predict(pair.image), pair.mask) for pair in pairs)
