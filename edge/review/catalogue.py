"""What a store's events are by what one looks for among them: in memory, so that a step is quick.

It is read once, and afterwards only what has come since. An event that has left the store meanwhile
is found here until it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edge.review.review import Review
from edge.review.review_file import latest_reviews
from edge.review.second_looks import second_looks
from edge.review.side_file import Key
from edge.store import read_outlines
from edge.store.reading import Outline
from edge.types import UNNAMED, UNSURE

_MOST_LABELS = 62  # each has a bit; what comes beyond them shares the last
_NO_SCORE = 2.0  # above every probability: what has none comes last

Order = Literal["newest", "unsure", "unfamiliar", "disagreement"]


@dataclass(frozen=True, slots=True)
class Sought:
    """Which events are to be reviewed; what is None is not asked for."""

    states: tuple[str, ...] = ()
    whys: tuple[str, ...] = ()
    label: str | None = None
    camera: str | None = None
    since_utc: str | None = None
    until_utc: str | None = None
    least_score: float | None = None
    most_score: float | None = None
    reviewed: bool | None = False
    order: Order = "newest"


@dataclass
class _Columns:
    """One value for each event, in the order of their numbers."""

    ids: NDArray[np.int64]
    utcs: NDArray[np.bytes_]
    cameras: NDArray[np.int64]
    states: NDArray[np.int64]
    whys: NDArray[np.int64]
    scores: NDArray[np.float64]
    unfamiliar: NDArray[np.float64]
    labels: NDArray[np.int64]  # a bit for each


def _empty() -> _Columns:
    whole, real = np.zeros(0, np.int64), np.zeros(0, np.float64)
    return _Columns(whole, np.zeros(0, "S29"), whole, whole, whole, real, real, whole)


@dataclass
class Catalogue:
    """Of one store; any thread may ask."""

    root: Path
    reviews: dict[Key, Review] = field(default_factory=dict)
    _words: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"camera": {}, "state": {}, "why": {}, "label": {}}
    )
    _known: _Columns = field(default_factory=_empty)
    _reviewed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    _disagreed: NDArray[np.float64] | None = None  # until somebody asks
    _lock: Lock = field(default_factory=Lock)

    def refresh(self) -> None:
        """Take in what has come since; StoreError where the store cannot be read."""
        with self._lock:
            last = int(self._known.ids[-1]) if self._known.ids.size else 0
            self._append(list(read_outlines(self.root, last)))
            self.reviews = latest_reviews(self.root)
            self._reviewed = np.zeros(self._known.ids.size, np.bool_)
            for _, at in self._places(self.reviews):
                self._reviewed[at] = True
            self._disagreed = None

    def note(self, review: Review, *, withdrawn: bool) -> None:
        """Of an event that was found here."""
        with self._lock:
            key = (review.event, review.event_utc)
            if withdrawn:
                self.reviews.pop(key, None)
            else:
                self.reviews[key] = review
            if (at := self._at(review.event)) is not None:
                self._reviewed[at] = not withdrawn

    def find(self, sought: Sought, after: int | None, count: int) -> tuple[list[int], int]:
        """Numbers of the next events, and how many there are altogether beyond `after`."""
        with self._lock:
            known = self._known
            wanted = self._matching(sought)
            keys = self._keys(sought.order)
            if after is not None and (at := self._at(after)) is not None:
                own = keys[at]
                wanted &= (keys > own) | ((keys == own) & (known.ids < after))
            found = np.flatnonzero(wanted)
            order = np.lexsort((-known.ids[found], keys[found]))[:count]
            return [int(each) for each in known.ids[found[order]]], int(found.size)

    def _keys(self, order: Order) -> NDArray[np.float64]:
        """By which events come, the least first."""
        if order == "unsure":
            return self._known.scores
        if order == "unfamiliar":
            return -self._known.unfamiliar
        if order == "disagreement":
            if self._disagreed is None:
                looks, self._disagreed = second_looks(self.root), np.zeros(self._known.ids.size)
                for key, at in self._places(looks):
                    self._disagreed[at] = looks[key].disagreement
            return -self._disagreed
        return np.zeros(self._known.ids.size)

    @property
    def cameras(self) -> list[str]:
        return sorted(self._words["camera"])

    @property
    def labels(self) -> list[str]:
        """All that was ever found, by its class."""
        return sorted(self._words["label"])

    def _matching(self, sought: Sought) -> NDArray[np.bool_]:
        known, wanted = self._known, np.ones(self._known.ids.size, np.bool_)
        if sought.reviewed is not None:
            wanted &= self._reviewed == sought.reviewed
        for name, column, values in (
            ("state", known.states, sought.states),
            ("why", known.whys, sought.whys),
            ("camera", known.cameras, (sought.camera,) if sought.camera else ()),
        ):
            if values:
                wanted &= np.isin(column, [self._words[name].get(each, -1) for each in values])
        if sought.label is not None:
            number = self._words["label"].get(sought.label)
            wanted &= False if number is None else (known.labels >> _bit(number)) & 1 == 1
        if sought.since_utc is not None:
            wanted &= known.utcs >= sought.since_utc.encode()
        if sought.until_utc is not None:
            wanted &= known.utcs < sought.until_utc.encode()
        if sought.least_score is not None:
            wanted &= (known.scores >= sought.least_score) & (known.scores < _NO_SCORE)
        if sought.most_score is not None:
            wanted &= known.scores <= sought.most_score
        return wanted

    def _at(self, event: int) -> int | None:
        at = int(np.searchsorted(self._known.ids, event))
        there = at < self._known.ids.size and self._known.ids[at] == event
        return at if there else None

    def _places(self, keys: Iterable[Key]) -> Iterator[tuple[Key, int]]:
        """Where each event lies that is still what it was called by."""
        for event, utc in keys:
            if (at := self._at(event)) is not None and self._known.utcs[at] == utc.encode():
                yield (event, utc), at

    def _append(self, outlines: Sequence[Outline]) -> None:
        if not outlines:
            return
        ids, utcs, cameras, states, whys, scores, unfamiliar, found = zip(*outlines, strict=True)
        old = self._known
        self._known = _Columns(
            np.append(old.ids, np.array(ids, np.int64)),
            np.append(old.utcs, np.array([utc.encode() for utc in utcs], "S29")),
            np.append(old.cameras, self._numbers("camera", cameras)),
            np.append(old.states, self._numbers("state", states)),
            np.append(old.whys, self._numbers("why", whys)),
            np.append(old.scores, [_NO_SCORE if each is None else each for each in scores]),
            np.append(old.unfamiliar, [each or 0.0 for each in unfamiliar]),
            np.append(old.labels, [self._bits(each) for each in found]),
        )

    def _numbers(self, name: str, values: Iterable[str]) -> list[int]:
        words = self._words[name]
        return [words.setdefault(each, len(words)) for each in values]

    def _bits(self, found: str) -> int:
        labels = set(map(_label, json.loads(found))) if found != "[]" else set()
        bits = 0
        for number in self._numbers("label", sorted(labels)):
            bits |= 1 << _bit(number)
        return bits


def _bit(number: int) -> int:
    return min(number, _MOST_LABELS)


def _label(found: dict[str, object]) -> str:
    """As `Defect.label` has it."""
    if found["class_score"] is None:
        return UNNAMED
    return str(found["class_name"] or UNSURE)
