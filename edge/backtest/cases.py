"""The frames of an archive, and the runs of them that must be inspected one after the other.

What a line remembers of the rail behind it reaches back a metre at most: the defects of the last
metre, what was rejected of it, and the frame before. So an archive may be cut where more than that
lies between two frames of a camera, and each run be inspected by itself, anywhere. A store that
keeps one frame in twenty is cut behind each of them: so many as are worth a file make up a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import chain, groupby
from typing import Literal

from edge.inspect import Baseline, reject_stretches
from edge.line_file import Lookout
from edge.types import State, Stretch, Verdict

REMEMBERED_UM = 1_000_000
_A_RUN = 200  # events or frames: a file of one takes longer than to inspect it

Kind = Literal["recording", "store", "folder"]


@dataclass(frozen=True, slots=True)
class Reject:
    """Rail that is rejected, and for what."""

    start_um: int
    end_um: int
    label: str
    area_mm2: float = 0.0

    @property
    def stretch(self) -> Stretch:
        return Stretch(self.start_um, self.end_um)


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided of a frame, by the archive's word or by a network."""

    state: str
    rejects: tuple[Reject, ...]
    reasons: tuple[str, ...]
    bundle: str  # digest

    @classmethod
    def of(cls, verdict: Verdict, bundle: str) -> Decided:
        """All that its defects cover, be it rejected by a frame before or not."""
        if verdict.state is State.UNKNOWN:
            (whole,) = reject_stretches(verdict)
            rejects: tuple[Reject, ...] = (
                Reject(whole.start_um, whole.end_um, State.UNKNOWN.value),
            )
        else:
            rejects = tuple(
                Reject(d.stretch.start_um, d.stretch.end_um, d.label, d.area_mm2)
                for d in verdict.defects
            )
        return cls(verdict.state.value, rejects, verdict.reasons, bundle)


@dataclass(frozen=True, slots=True)
class Case:
    """One frame as the archive has it."""

    index: int
    start_um: int
    end_um: int
    across_um: float
    picture: str | None  # its file within the archive; None where the camera saw nothing
    colour: bool
    captured_ns: int
    looked_ns: int
    lost: str | None = None  # why the camera saw nothing
    utc: str | None = None
    event: int | None = None  # its number in a store
    was: Decided | None = None  # None where the archive does not say
    people: str | None = None  # what they call it
    has_defect: bool | None = None  # by their word

    @property
    def number(self) -> int:
        """The event's, or the frame's in its recording."""
        return self.index if self.event is None else self.event


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one camera that follow each other, cut from others at a gap, and all that their
    verdicts hang on. There may be gaps within.
    """

    archive: str
    kind: Kind
    number: int  # of the line's run, in a store
    lookout: Lookout
    baseline: Baseline | None
    shape: tuple[int, ...] | None  # that every picture must have; None: each its own
    cases: tuple[Case, ...]
    id: str = field(init=False, default="")

    def __post_init__(self) -> None:
        known = (self.archive, self.kind, self.number, self.lookout, self.shape, self.cases)
        baseline = "" if self.baseline is None else self.baseline.model_dump_json()
        object.__setattr__(self, "id", sha256(f"{known!r}{baseline}".encode()).hexdigest()[:24])

    @property
    def camera(self) -> str:
        return self.lookout.name


def cut_at_gaps(cases: Sequence[Case]) -> Iterator[tuple[Case, ...]]:
    """In their order; a piece ends where nothing that follows can hang on it."""
    piece, end_um = list[Case](), 0
    for case in cases:
        if piece and case.start_um >= end_um + REMEMBERED_UM:
            yield tuple(piece)
            piece = []
        end_um = max(end_um, case.end_um) if piece else case.end_um
        piece.append(case)
    if piece:
        yield tuple(piece)


def in_runs(cases: Sequence[Case]) -> Iterator[tuple[Case, ...]]:
    """Whole pieces, as many as are worth a file of their own: those that begin within the same
    so many numbers, so that what a store takes in or gives up changes no run but one.
    """
    for _, pieces in groupby(cut_at_gaps(cases), key=lambda piece: piece[0].number // _A_RUN):
        yield tuple(chain.from_iterable(pieces))
