"""Evaluation: many maps against their masks, whoever made the maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edge.types import Image
from reference.data import Pair
from reference.evaluation.metrics import ImageScores, Scoring, score
from reference.evaluation.named import NamedPixels
from reference.evaluation.protocol import LINE, Protocol
from reference.evaluation.summary import summarise

# 8-bit grey image -> probability map, at the size that the network answers in.
Predictor = Callable[[Image], NDArray[np.floating]]


@dataclass(frozen=True, eq=False)
class Answer:
    """One map, and what it is compared with."""

    probability: NDArray[np.floating]  # H,W
    mask: NDArray[np.uint8]  # H,W, 0 or 1
    image: Image | None = None  # to be looked at
    levels: NDArray[np.uint8] | None = None  # of the mask as published, where they are compared
    class_name: str | None = None  # that the network names
    named: NamedPixels | None = None  # which class is said to be where
    sound: float | None = None  # how surely the network calls the image sound, if it says that


@dataclass(frozen=True)
class Case:
    """An image to be scored; its pixels are there while it is looked at."""

    name: str
    class_name: str
    answer: Callable[[], Answer]


def cases_of(
    predict: Predictor,
    pairs: Iterable[Pair],
    classify: Callable[[Image], str] | None = None,
    protocol: Protocol = LINE,
    sound: Callable[[Image], float] | None = None,
) -> list[Case]:
    """A predictor's cases, and a classifier's where the network names classes too.

    `sound` says of an image how surely the network takes it to be without a defect.
    """
    return [
        Case(pair.name, pair.class_name, partial(_answer, predict, classify, sound, pair, protocol))
        for pair in pairs
    ]


def _answer(
    predict: Predictor,
    classify: Callable[[Image], str] | None,
    sound: Callable[[Image], float] | None,
    pair: Pair,
    protocol: Protocol,
) -> Answer:
    named = classify(pair.image) if classify else None
    shown = protocol.finish(predict(pair.image), pair.mask.shape)
    answer = answered(shown, pair, protocol, named)
    return replace(answer, sound=sound(pair.image)) if sound else answer


def answered(
    shown: NDArray[np.floating], pair: Pair, protocol: Protocol, named: str | None = None
) -> Answer:
    """A finished map beside what a protocol compares it with."""
    levels = pair.mask * np.uint8(255) if pair.levels is None else pair.levels
    mask = protocol.masked(levels, shown.shape)
    image = pair.image if shown.shape == pair.mask.shape else None
    return Answer(shown, mask, image, levels if protocol.grey_masks else None, named)


def score_cases(cases: Iterable[Case], scoring: Scoring) -> Iterator[ImageScores]:
    """Score one case after the other."""
    for case in cases:
        answer = case.answer()
        yield score(
            answer.probability,
            answer.mask,
            scoring,
            name=case.name,
            class_name=case.class_name,
            predicted_class=answer.class_name,
            named=answer.named,
            levels=answer.levels,
            sound=answer.sound,
        )


def evaluate(
    predict: Predictor,
    pairs: Sequence[Pair],
    classify: Callable[[Image], str] | None = None,
    protocol: Protocol = LINE,
) -> dict[str, float]:
    """The figures of a predictor over pairs, as far as these pairs allow them."""
    cases = cases_of(predict, pairs, classify, protocol)
    figures = summarise(list(score_cases(cases, protocol.scoring)))
    return {name: float(figure) for name, figure in figures.items() if figure is not None}
