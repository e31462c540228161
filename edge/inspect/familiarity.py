"""How unlike good rail a frame is to the network: by what it answers, and answered then.

Of each frame a few figures are kept of the network's own answer: the mean, the least and the
greatest of the logits that decide, and of the share of each class. A Gaussian is fitted to those of
the commissioning, and how far from its middle a frame lies is how unfamiliar it is. 1 is what one
in a hundred good frames reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from edge.types import Image, Mask

Figures = NDArray[np.float64]

_EVERY = 4  # rows and columns: logits beside each other say the same
_LEAST_SHARE = np.float32(1e-6)  # whose logarithm is finite
_LEVEL = 0.01  # of a figure's deviation, below which a change is none
_SHRUNK = 0.05  # towards figures that do not go together: a few hundred frames tell no more
_USUAL = 0.99  # of good frames are less unfamiliar than 1

_Reals = Annotated[tuple[float, ...], Field(min_length=1, strict=False)]


class Answers(BaseModel):
    """What the network answered to good rail, as a Gaussian of figures of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    middle: _Reals
    apart: tuple[_Reals, ...] = Field(strict=False)  # rows that figures less the middle go through

    def unfamiliar(self, figures: Figures) -> float:
        """How far a frame is from the middle; of two that are the same it is the same."""
        middle, apart = self._arrays
        return float(np.sqrt((((figures - middle) * apart).sum(axis=1) ** 2).sum()))

    @cached_property
    def _arrays(self) -> tuple[Figures, Figures]:
        return np.array(self.middle), np.array(self.apart)


def figures_of(mask: Mask, inside: Image | None) -> Figures:
    """Of what is `inside` a frame: H,W, and not 0 there; all where None."""
    logits = np.ascontiguousarray(mask.logits[::_EVERY, ::_EVERY])
    found = [*_extent(logits, _at_cells(inside, logits))]
    if mask.names is not None:
        named = np.log(mask.names.shares + _LEAST_SHARE)
        seen = _at_cells(inside, named[0])
        for share in named:
            found += _extent(share, seen)
    return np.array(found)


def _at_cells(inside: Image | None, cells: NDArray[np.float32]) -> Image | None:
    """Whether the middle of each cell lies inside; None for all, and where none does."""
    if inside is None:
        return None
    seen = cv2.resize(inside, cells.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(seen, np.uint8) if cv2.countNonZero(seen) else None


def _extent(values: NDArray[np.float32], seen: Image | None) -> tuple[float, float, float]:
    least, greatest, _, _ = cv2.minMaxLoc(values, mask=seen)
    return cv2.mean(values, mask=seen)[0], least, greatest


def answers_of(figures: Sequence[Figures]) -> tuple[Answers, list[float]]:
    """What good frames have in common, and how unfamiliar each of them would be by the others.

    Each half is held against the other: against itself every frame is too familiar. In halves along
    the rail, because frames that follow each other are alike.
    """
    frames = np.array(figures)
    half = len(frames) // 2
    apart = [
        _fitted(others, 1).unfamiliar(each)
        for some, others in ((frames[:half], frames[half:]), (frames[half:], frames[:half]))
        for each in some
    ]
    reached = max(1.0, float(np.quantile(apart, _USUAL)))
    return _fitted(frames, reached), [each / reached for each in apart]


def _fitted(frames: NDArray[np.float64], reached: float) -> Answers:
    """A Gaussian, at whose distance `reached` a frame is unfamiliar by 1."""
    middle, deviation = frames.mean(axis=0), frames.std(axis=0) + _LEVEL
    even = (frames - middle) / deviation
    together = even.T @ even / len(even)
    together = (1 - _SHRUNK) * together + _SHRUNK * np.eye(len(together))
    rows = np.linalg.inv(np.linalg.cholesky(together)) / deviation / reached
    return Answers(middle=tuple(middle.tolist()), apart=tuple(map(tuple, rows.tolist())))
