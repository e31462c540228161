"""The frozen things that cross rooms: frame, mask, defect, verdict.

A place on the rail is an integer number of micrometres from the start of the run. Row 0 of a frame
lies at the start of its stretch and rows count along the rail.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

UNSURE, UNNAMED = "unsure", "defect"  # in place of a class

Image = NDArray[np.uint8]  # H,W grey or H,W,3 BGR
Tensor = NDArray[np.float32]  # N,C,H,W


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits to probabilities; by way of tanh, which no logit overflows."""
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), np.float32)


def logit(probability: float) -> float:
    """The log of the odds, of which the sigmoid makes this probability."""
    return math.log(probability / (1 - probability))


def clipped(probability: NDArray[np.float32], clip: float) -> NDArray[np.float32]:
    """Of what is nearly 0 or nearly 1, as near as `clip`, made 0 or 1; the rest is spread between.

    A half stays a half.
    """
    if not clip:
        return probability
    return np.asarray(np.clip((probability - clip) / (1 - 2 * clip), 0, 1), np.float32)


def cut_of(threshold: float, clip: float) -> float:
    """The probability before it was clipped that is above this threshold afterwards."""
    return 0.5 + (threshold - 0.5) * (1 - 2 * clip) if clip else threshold


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of rail, from `start_um` up to and not including `end_um`."""

    start_um: int
    end_um: int

    @property
    def length_mm(self) -> float:
        return (self.end_um - self.start_um) / 1000

    def overlaps(self, other: Stretch) -> bool:
        return self.start_um < other.end_um and other.start_um < self.end_um

    def without(self, others: Iterable[Stretch]) -> Iterator[Stretch]:
        """What none of the others covers, in order along the rail."""
        start_um = self.start_um
        for other in sorted(others, key=lambda stretch: stretch.start_um):
            if other.start_um >= self.end_um:
                break
            if start_um < other.start_um:
                yield Stretch(start_um, other.start_um)
            start_um = max(start_um, other.end_um)
        if start_um < self.end_um:
            yield Stretch(start_um, self.end_um)

    def widened(self, by_um: int) -> Stretch:
        return Stretch(self.start_um - by_um, self.end_um + by_um)


def unite(stretches: Iterable[Stretch]) -> list[Stretch]:
    """What they cover together, in order along the rail."""
    united: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda each: each.start_um):
        if united and stretch.start_um <= united[-1].end_um:
            last = united[-1]
            united[-1] = Stretch(last.start_um, max(last.end_um, stretch.end_um))
        else:
            united.append(stretch)
    return united


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image, when its light fell on the sensor, and the stretch of rail it shows."""

    index: int
    image: Image
    captured_ns: int  # monotonic
    stretch: Stretch
    across_um: float  # micrometres a column

    @property
    def along_um(self) -> float:
        """Micrometres a row."""
        rows: int = self.image.shape[0]
        return (self.stretch.end_um - self.stretch.start_um) / rows


@dataclass(frozen=True, slots=True)
class LostFrame:
    """A stretch of rail that passed without a usable image, and why."""

    index: int
    captured_ns: int
    stretch: Stretch
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """What lies where, among the classes: over the whole frame, and coarser than it."""

    shares: NDArray[np.float32]  # C,h,w, which add up to 1 in each cell
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The network's answer at the frame's own size."""

    logits: NDArray[np.float32]  # H,W
    threshold: float  # a probability
    names: Names | None = None  # None: the network names nothing
    clip: float = 0.0  # of the probability, by the bundle; logits are as the network gave them

    @property
    def cut(self) -> float:
        """The network's own probability above which something is found."""
        return cut_of(self.threshold, self.clip)

    @property
    def binary(self) -> NDArray[np.bool_]:
        """True where something is found. Logits are compared, so no sigmoid is paid for."""
        return self.logits > np.float32(logit(self.cut))

    @property
    def probability(self) -> NDArray[np.float32]:
        return self.probability_of(self.logits)

    def probability_of(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """That of some of its logits."""
        return clipped(sigmoid(logits), self.clip)


@dataclass(frozen=True, slots=True)
class Defect:
    """One connected piece of defective surface, in millimetres and at its place on the rail.

    It may have begun in an earlier frame. It is then as long as it is known to be by now, and has
    the number that it had there.
    """

    stretch: Stretch
    left_um: int  # from the frame's edge, or across the surface that several cameras share
    right_um: int
    area_mm2: float
    score: float  # mean probability over the piece
    box_px: tuple[int, int, int, int]  # x, y, width, height of what this frame shows of it
    class_name: str | None = None  # None where it is unsure, or the network names nothing
    class_score: float | None = None  # mean share of its likeliest class over the piece
    code: str | None = None  # the line file's for its class
    number: int = 0  # counted along the strip; the same in each frame that shows it
    absorbed: tuple[int, ...] = ()  # numbers of defects that turned out to be parts of it
    of_surface: bool = False  # its number is one of the surface's, for all cameras that share it

    @property
    def label(self) -> str:
        """Its class in one word, whatever is known of it."""
        return UNNAMED if self.class_score is None else self.class_name or UNSURE

    @property
    def said(self) -> str:
        """Its class for people: `squat (227) 0.93`; nothing of a network that names nothing."""
        if self.class_score is None:
            return ""
        code = "" if self.code is None else f" ({self.code})"
        return f"{self.label}{code} {self.class_score:.2f}"

    @property
    def length_mm(self) -> float:
        """Extent along the rail."""
        return self.stretch.length_mm

    @property
    def width_mm(self) -> float:
        """Extent across the rail."""
        return (self.right_um - self.left_um) / 1000

    @property
    def extent_mm(self) -> float:
        """Along the rail or across it, whichever is more."""
        return max(self.length_mm, self.width_mm)


class State(str, Enum):
    """UNKNOWN means nobody looked, and is never treated as OK."""

    OK = "OK"
    NG = "NG"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided of one frame; `defects` are those that count under the rules."""

    state: State
    frame_index: int
    stretch: Stretch
    defects: tuple[Defect, ...] = ()
    reasons: tuple[str, ...] = ()
    rejects: tuple[Stretch, ...] = ()  # rail of its defects that no verdict before has rejected
    reported: tuple[Defect, ...] = ()  # only told: of a class that is no reason to reject
    let_by: tuple[Defect, ...] = ()  # large enough to count, and no rule rejects them
