"""Whether an artefact decides as the FP32 network does: both on the same pairs, as on the box."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import torch
from pydantic import TypeAdapter
from rich.table import Table
from torch import nn

from edge.bundle import Bundle, check_golden
from edge.engines import Engine, EngineSettings, open_engine
from edge.errors import TracksideError
from edge.manifest import Artefact, Manifest
from edge.mask import read_mask
from edge.preprocess import to_tensor
from edge.types import Mask, Tensor
from reference.data import Pair
from reference.evaluate import saliency_metrics

MAX_DROP = 0.02  # of S-measure; beyond it an engine is not worth shipping


class ParityError(TracksideError, ValueError):
    """An artefact that no longer decides as its network does."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What an engine made of each pair, and how long it took."""

    engine: str
    masks: tuple[Mask, ...]
    infer_ms: float  # median


@dataclass(frozen=True, slots=True)
class Parity:
    """How one engine's answers compare with the truth and with the FP32 network's."""

    engine: str
    s_measure: float
    mae: float
    weighted_f: float
    mask_iou: float  # mean over the pairs, with the FP32 network's masks
    infer_ms: float

    @property
    def accuracy(self) -> dict[str, float]:
        """What the manifest records; the time is this machine's and stays out of it."""
        names = ("s_measure", "mae", "weighted_f", "mask_iou")
        return {name: round(getattr(self, name), 5) for name in names}


class TorchEngine:
    """The FP32 network behind the box's protocol; one thread while it is open, as on the box."""

    name = "torch fp32"

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)

    @torch.inference_mode()
    def infer(self, tensor: Tensor) -> Tensor:
        logits: Tensor = self._network(torch.from_numpy(tensor)).numpy()
        return logits

    def close(self) -> None:
        torch.set_num_threads(self._threads)


def open_artefact(artefact: Artefact, bundle: Bundle) -> Engine:
    """The engine of one artefact, one thread, after it has reproduced the golden pair."""
    settings: EngineSettings = TypeAdapter(EngineSettings).validate_python(
        {"type": artefact.engine, "precision": artefact.precision}
    )
    engine = open_engine(settings, bundle)
    check_golden(bundle, engine)
    return engine


def ask(engine: Engine, pairs: Sequence[Pair], manifest: Manifest) -> Answers:
    """Take every pair the way a frame takes on the box."""
    masks, times_ms = [], []
    for pair in pairs:
        tensor = to_tensor(pair.image, manifest.input)
        start_ns = time.perf_counter_ns()
        logits = engine.infer(tensor)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        masks.append(read_mask(logits, pair.mask.shape, manifest.threshold))
    return Answers(engine.name, tuple(masks), median(times_ms))


def compare(answers: Answers, wanted: Answers, pairs: Sequence[Pair]) -> Parity:
    """Score answers against the pairs' masks and against those of the FP32 network."""
    metrics = saliency_metrics(
        (mask.probability, pair.mask) for mask, pair in zip(answers.masks, pairs, strict=True)
    )
    overlap = [_iou(a, b) for a, b in zip(answers.masks, wanted.masks, strict=True)]
    return Parity(
        engine=answers.engine,
        mask_iou=fmean(overlap),
        infer_ms=answers.infer_ms,
        **metrics,
    )


def require(parity: Parity, wanted: Parity) -> None:
    """Raise if an engine lost more than is worth shipping."""
    drop = wanted.s_measure - parity.s_measure
    if not drop <= MAX_DROP:
        raise ParityError(
            f"{parity.engine} drops S-measure by {drop:.4f}, from {wanted.s_measure:.4f} to "
            f"{parity.s_measure:.4f}, more than {MAX_DROP}: calibrate on more images, or on images "
            "nearer to the validation's"
        )


def table(parities: Sequence[Parity]) -> Table:
    """All engines, one a row; the first is what the others are compared with."""
    table = Table(title="Parity on the validation pairs")
    table.add_column("engine")
    for heading in ("S-measure", "MAE", "weighted F", "mask IoU", "median ms"):
        table.add_column(heading, justify="right")
    for p in parities:
        figures = (p.s_measure, p.mae, p.weighted_f, p.mask_iou)
        table.add_row(p.engine, *(f"{figure:.4f}" for figure in figures), f"{p.infer_ms:.1f}")
    return table


def _iou(a: Mask, b: Mask) -> float:
    union = np.count_nonzero(a.binary | b.binary)
    return np.count_nonzero(a.binary & b.binary) / union if union else 1.0  # both are empty
