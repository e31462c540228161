"""What a validation made of each held-out picture: worst and best, and what a threshold costs.

They are of the best weights so far, and kept beside the checkpoints: a run that goes on has them.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.files import write_whole
from edge.types import Image
from reference.data import Pair, outlined
from reference.evaluation import LINE, Said
from reference.evaluation.confusion import confusion

MOST_SHOWN = 8  # of the worst, and of the best
_SIDE = 180  # pixels of a picture
_MARKED_FROM = 0.5


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture: the image with its defects outlined, beside the network's answer."""

    name: str
    said: str
    png: str  # base64


@dataclass(frozen=True)
class Outcomes:
    """Of all held-out pictures, by one state of the weights."""

    iteration: int
    defective: tuple[float, ...]  # of each picture: the surest that the network is of its defect
    sound: tuple[float, ...]  # and, where there is none, that there is one
    worst: tuple[Shown, ...]
    best: tuple[Shown, ...]

    def escapes(self, threshold: float) -> float | None:
        """Share of the pictures with a defect in which none of it is above the threshold."""
        return _share(self.defective, lambda surest: surest <= threshold)

    def false_rejects(self, threshold: float) -> float | None:
        """Share of the sound pictures in which something is."""
        return _share(self.sound, lambda surest: surest > threshold)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    pair: Pair
    quality: float  # overlap; of a sound picture, how sure the network is that it is sound
    surest: float
    answer: Image  # small


class Watch:
    """Lets through what a network says of pairs, and remembers what came of each."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = pairs
        self._seen: list[_Seen] = []

    def look(self, said: Iterable[Said]) -> Iterator[Said]:
        for pair, one in zip(self._pairs, said, strict=True):
            self._seen.append(_see(pair, one))
            yield one

    def outcomes(self, iteration: int) -> Outcomes:
        """Of what went through."""
        ordered = sorted(self._seen, key=lambda seen: seen.quality)
        most = min(MOST_SHOWN, -(-len(ordered) // 2))
        return Outcomes(
            iteration,
            tuple(seen.surest for seen in self._seen if seen.pair.mask.any()),
            tuple(seen.surest for seen in self._seen if not seen.pair.mask.any()),
            worst=tuple(_drawn(seen) for seen in ordered[:most]),
            best=tuple(_drawn(seen) for seen in ordered[: -most - 1 : -1]),
        )


def write_outcomes(outcomes: Outcomes, path: Path) -> None:
    """As JSON."""
    write_whole(path, json.dumps(asdict(outcomes)))


def read_outcomes(path: Path, iteration: int) -> Outcomes | None:
    """What a run left that went on no further than this iteration; None if there is nothing."""
    if not path.exists():
        return None
    left = json.loads(path.read_text(encoding="utf-8"))
    if left["iteration"] > iteration:  # of a run that was killed before its last checkpoint
        return None
    return Outcomes(
        left["iteration"],
        tuple(left["defective"]),
        tuple(left["sound"]),
        tuple(Shown(**one) for one in left["worst"]),
        tuple(Shown(**one) for one in left["best"]),
    )


def _see(pair: Pair, said: Said) -> _Seen:
    shown = LINE.finish(said.probability, pair.mask.shape)
    truth = pair.mask > 0
    surest = float(shown[truth].max()) if truth.any() else float(shown.max())
    overlap = confusion(shown > _MARKED_FROM, truth).iou
    answer = np.asarray(np.rint(_small(shown) * 255).clip(0, 255), np.uint8)
    return _Seen(pair, overlap if truth.any() else 1 - surest, surest, answer)


def _small(picture: NDArray[Any]) -> NDArray[Any]:
    scale = min(1.0, _SIDE / max(picture.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _drawn(seen: _Seen) -> Shown:
    truth = _small(outlined(seen.pair.image, seen.pair.mask))
    answer = cv2.cvtColor(seen.answer, cv2.COLOR_GRAY2BGR)
    _, png = cv2.imencode(".png", np.hstack([truth, np.asarray(answer, np.uint8)]))
    what = "overlap" if seen.pair.mask.any() else "sound, surest of a defect"
    figure = seen.quality if seen.pair.mask.any() else seen.surest
    return Shown(seen.pair.name, f"{what} {figure:.2f}", b64encode(png.tobytes()).decode())


def _share(surest: Sequence[float], counts: Callable[[float], bool]) -> float | None:
    return sum(map(counts, surest)) / len(surest) if surest else None
