"""The frames of an archive, and the runs of them that must be inspected one after the other.

What a line remembers of the rail behind it reaches back a metre at most: the defects of the last
metre, what was rejected of it, and the frame before. So an archive is cut where more than that lies
between two frames of a camera, and each run may be inspected by itself, anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from edge.inspect import reject_stretches
from edge.inspect.appearance import Usual
from edge.line_file import Lookout
from edge.types import State, Stretch, Verdict

REMEMBERED_UM = 1_000_000

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


@dataclass(frozen=True, slots=True)
class Run:
    """Frames of one camera that follow each other, and all that their verdicts hang on."""

    archive: str
    kind: Kind
    number: int  # of the line's run, in a store
    lookout: Lookout
    usual: Usual | None
    shape: tuple[int, ...] | None  # that every picture must have; None: each its own
    cases: tuple[Case, ...]
    id: str = field(init=False, default="")

    def __post_init__(self) -> None:
        known = (self.archive, self.kind, self.number, self.lookout, self.shape, self.cases)
        usual = "" if self.usual is None else self.usual.model_dump_json()
        object.__setattr__(self, "id", sha256(f"{known!r}{usual}".encode()).hexdigest()[:24])

    @property
    def camera(self) -> str:
        return self.lookout.name


def cut_at_gaps(cases: Sequence[Case]) -> Iterator[tuple[Case, ...]]:
    """In their order; a run ends where nothing that follows can hang on it."""
    run, end_um = list[Case](), 0
    for case in cases:
        if run and case.start_um >= end_um + REMEMBERED_UM:
            yield tuple(run)
            run = []
        end_um = max(end_um, case.end_um) if run else case.end_um
        run.append(case)
    if run:
        yield tuple(run)
