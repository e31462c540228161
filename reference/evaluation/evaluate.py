"""Evaluation: many maps against their masks, whoever made the maps."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.box import end_with_parent
from edge.types import Image, Names
from reference.data import Pair
from reference.evaluation.metrics import CHEAP, ImageScores, Scoring, score
from reference.evaluation.named import NamedPixels
from reference.evaluation.protocol import LINE, Protocol
from reference.evaluation.summary import summarise

LEAST_SHARED_OUT = 64  # images: for fewer, processes take longer to begin than to score
MOST_PROCESSES = 16


class Said(NamedTuple):
    """What a network makes of an image."""

    probability: NDArray[np.floating]  # at the size that it answers in
    class_name: str | None = None  # of the image, if it names any
    sound: float | None = None  # how surely it calls the image sound, if it says that
    shares: NDArray[np.float32] | None = None  # C,h,w of classes, if it tells them by place


Look = Callable[[Image], Said]  # at an 8-bit image


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
    look: Look,
    pairs: Iterable[Pair],
    protocol: Protocol = LINE,
    classes: Sequence[str] = (),
    renamed: Mapping[str, str] | None = None,
) -> list[Case]:
    """A network's cases; of its `classes`, if they are given, it is told what each pixel is."""
    called = tuple(classes), dict(renamed or {})
    return [
        Case(pair.name, pair.class_name, partial(_answer, look, pair, protocol, *called))
        for pair in pairs
    ]


def _answer(
    look: Look, pair: Pair, protocol: Protocol, classes: tuple[str, ...], renamed: dict[str, str]
) -> Answer:
    said = look(pair.image)
    answer = answered(protocol.finish(said.probability, pair.mask.shape), pair, protocol)
    named = None
    if classes and said.shares is not None:
        names = Names(said.shares, classes)
        named = NamedPixels.of(names, pair, answer.probability.shape, renamed)
    return replace(answer, class_name=said.class_name, sound=said.sound, named=named)


def answered(shown: NDArray[np.floating], pair: Pair, protocol: Protocol) -> Answer:
    """A finished map beside what a protocol compares it with."""
    levels = pair.mask * np.uint8(255) if pair.levels is None else pair.levels
    mask = protocol.masked(levels, shown.shape)
    image = pair.image if shown.shape == pair.mask.shape else None
    return Answer(shown, mask, image, levels if protocol.grey_masks else None)


@contextmanager
def scoring_processes(images: int) -> Iterator[Executor | None]:
    """What scores so many images beside the process that makes their maps, where that is worth it.

    They begin when they are first given something, and stay until the end.
    """
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    if images < LEAST_SHARED_OUT or processes == 1:
        yield None
        return
    # Not forked: that would copy the threads' locks, and a GPU's state, as they happen to be.
    afresh = get_context("spawn")
    with ProcessPoolExecutor(processes, afresh, _begin_scoring) as pool:
        yield pool


def _begin_scoring() -> None:
    end_with_parent()
    cv2.setNumThreads(1)


def score_cases(
    cases: Iterable[Case], scoring: Scoring, pool: Executor | None = None
) -> Iterator[ImageScores]:
    """Score one case after the other; in a pool, while the next ones' maps are made."""
    if pool is None:
        for case in cases:
            yield _score(case.name, case.class_name, case.answer(), scoring)
        return
    waiting: deque[Future[ImageScores]] = deque()
    for case in cases:
        # What is only there to be looked at need not be sent.
        answer = replace(case.answer(), image=None)
        waiting.append(pool.submit(_score, case.name, case.class_name, answer, scoring))
        if len(waiting) > 4 * MOST_PROCESSES:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _score(name: str, class_name: str, answer: Answer, scoring: Scoring) -> ImageScores:
    return score(
        answer.probability,
        answer.mask,
        scoring,
        name=name,
        class_name=class_name,
        predicted_class=answer.class_name,
        named=answer.named,
        levels=answer.levels,
        sound=answer.sound,
    )


def evaluate(
    said: Iterable[Said],
    pairs: Sequence[Pair],
    protocol: Protocol = LINE,
    *,
    figures: Collection[str] | None = None,
    pool: Executor | None = None,
) -> dict[str, float]:
    """The figures of what is said of pairs, as far as these pairs allow them.

    Of some `figures` alone if they are given, and of what costs next to nothing.
    """
    steps = protocol.scoring
    if figures is not None:
        steps = replace(steps, figures=frozenset(figures))
    looked = iter(said)
    # One after the other, as it is scored: `said` may be made in batches while others are scored.
    cases = cases_of(lambda _: next(looked), pairs, protocol)
    found = summarise(list(score_cases(cases, steps, pool)))
    wanted = found.keys() if figures is None else {*figures, *CHEAP}
    return {
        name: float(figure)
        for name, figure in found.items()
        if figure is not None and name in wanted
    }
