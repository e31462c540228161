"""Whether an artefact decides as the FP32 network does: both asked the same, as on the box."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
import torch
from torch import nn

from edge.bundle import Manifest
from edge.engines import Answer, Engine
from edge.inspect import Judge, find, naming_of
from edge.line_file import MinArea, Rules
from edge.network import prepare, read_answer
from edge.types import Frame, Mask, Stretch, Tensor, Verdict
from quantize.deploy import listed
from quantize.parity.naming import NamesParity, compare_names
from quantize.parity.subjects import Subject
from reference.evaluation import ImageScores, by_class, by_size, eight_bits, score, summarise

FIGURES = ("images", "s_measure", "mae", "weighted_f", "pfom", "iou")
Row = dict[str, float | int | None]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What an engine made of each subject, and how long it took."""

    engine: str
    masks: tuple[Mask, ...]
    verdicts: tuple[Verdict, ...]
    infer_ms: float  # median


@dataclass(frozen=True, slots=True, eq=False)
class Flip:
    """A subject that is decided otherwise than by the FP32 network."""

    subject: Subject
    wanted: tuple[Mask, Verdict]
    got: tuple[Mask, Verdict]


@dataclass(frozen=True, slots=True, eq=False)
class Parity:
    """How one engine's answers compare with the truth and with the FP32 network's."""

    engine: str
    all: Row
    classes: dict[str, Row]
    sizes: dict[str, Row]
    mask_iou: float  # mean over the validation pairs, with the FP32 network's masks
    mask_iou_simulated: float | None
    flips: tuple[Flip, ...]
    asked: int
    infer_ms: float
    names: NamesParity | None = None  # None: the network names nothing

    @property
    def flip_share(self) -> float:
        return len(self.flips) / self.asked

    @property
    def accuracy(self) -> dict[str, float]:
        """What the manifest records; the time is this machine's and stays out of it."""
        figures = {name: self.all[name] for name in FIGURES if name != "images"}
        figures |= {"mask_iou": self.mask_iou, "flips": self.flip_share}
        if self.names is not None:
            figures |= {"names": self.names.right_share, "names_as_fp32": self.names.same_share}
        return {name: round(value, 5) for name, value in figures.items() if value is not None}


class TorchEngine:
    """The FP32 network behind the box's protocol; one thread while it is open, as on the box."""

    name = "torch fp32"
    takes_pixels = False
    blocks_at_once = 0

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._threads = torch.get_num_threads()
        torch.set_num_threads(1)

    @torch.inference_mode()
    def infer(self, tensor: Tensor) -> Answer:
        return Answer(*(each.numpy() for each in listed(self._network(torch.from_numpy(tensor)))))

    def infer_all(self, tensors: Sequence[Tensor]) -> list[Answer]:
        return list(map(self.infer, tensors))

    def close(self) -> None:
        torch.set_num_threads(self._threads)


def ask(engine: Engine, subjects: Sequence[Subject], manifest: Manifest) -> Answers:
    """Take every subject the way a frame takes on the box."""
    masks, verdicts, times_ms = [], [], []
    for number, subject in enumerate(subjects):
        image = subject.pair.image
        tensor = prepare(image, manifest.input, engine)
        start_ns = time.perf_counter_ns()
        answer = engine.infer(tensor)
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
        masks.append(read_answer(answer, image.shape[:2], manifest))
        verdicts.append(_judge(number, subject, masks[-1], manifest))
    return Answers(engine.name, tuple(masks), tuple(verdicts), median(times_ms))


def _judge(number: int, subject: Subject, mask: Mask, manifest: Manifest) -> Verdict:
    """Every defect that the bundle is good for counts, as where no line file says otherwise."""
    spec, image = manifest.input, subject.pair.image
    shown = Stretch(0, round(spec.height * spec.um_per_px))  # an image shows what it was trained on
    frame = Frame(number, image, 0, shown, spec.width * spec.um_per_px / image.shape[1])
    rules = Rules(reject_if=MinArea(min_area_mm2=manifest.limits.min_area_mm2))
    found = find(frame, mask, manifest.limits, naming_of(rules, manifest))
    return Judge(rules).judge(frame, *found)


def compare(answers: Answers, wanted: Answers, subjects: Sequence[Subject]) -> Parity:
    """Score answers against the pairs' masks and against those of the FP32 network."""
    scores = [
        _score(subject, mask)
        for subject, mask in zip(subjects, answers.masks, strict=True)
        if subject.origin == "validation"
    ]
    overlap: dict[str, list[float]] = {"validation": [], "simulated": []}
    flips = []
    for subject, was, now in zip(subjects, _pairs(wanted), _pairs(answers), strict=True):
        overlap[subject.origin].append(_iou(was[0], now[0]))
        if was[1].state is not now[1].state:
            flips.append(Flip(subject, was, now))
    named = any(mask.names is not None for mask in answers.masks)
    return Parity(
        engine=answers.engine,
        all=_row(scores),
        classes={name: _chosen(row) for name, row in by_class(scores).items()},
        sizes={name: _chosen(row) for name, row in by_size(scores).items()},
        mask_iou=fmean(overlap["validation"]),
        mask_iou_simulated=fmean(overlap["simulated"]) if overlap["simulated"] else None,
        flips=tuple(flips),
        asked=len(subjects),
        infer_ms=answers.infer_ms,
        names=compare_names(subjects, _pairs(wanted), _pairs(answers)) if named else None,
    )


def _pairs(answers: Answers) -> list[tuple[Mask, Verdict]]:
    return list(zip(answers.masks, answers.verdicts, strict=True))


def _score(subject: Subject, mask: Mask) -> ImageScores:
    pair = subject.pair
    shown = eight_bits(mask.probability)  # as every map is scored
    return score(shown, pair.mask, name=pair.name, class_name=pair.class_name)


def _row(scores: Sequence[ImageScores]) -> Row:
    return _chosen(summarise(scores))


def _chosen(row: Row) -> Row:
    rounded = ((name, row[name]) for name in FIGURES)
    return {name: round(v, 5) if isinstance(v, float) else v for name, v in rounded}


def _iou(a: Mask, b: Mask) -> float:
    union = np.count_nonzero(a.binary | b.binary)
    return np.count_nonzero(a.binary & b.binary) / union if union else 1.0  # both are empty
