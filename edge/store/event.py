"""One event: what is kept of an inspection, and which inspections are worth keeping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from secrets import randbelow

from edge.inspect import Inspection
from edge.line_file import StoreSettings
from edge.types import Defect, State

KEPT = "kept"  # `evidence` of an event that has its pictures; otherwise it says why it has none
NO_IMAGE = "no image"
QUEUE_FULL = "the disk is too slow"
DISK_FULL = "the disk is full"
DISK_REFUSES = "the disk refuses"
DAMAGED = "the store was damaged"
GONE = "the store was removed or replaced"
TORN = "the power was cut"


class Why(str, Enum):
    """What made an inspection worth keeping."""

    NG = "NG"
    UNKNOWN = "UNKNOWN"
    UNSURE = "unsure"
    UNFAMILIAR = "unfamiliar"
    REPORTED = "reported"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Event:
    """One frame that was kept. `id` and `run` are given by the store."""

    utc: str
    camera: str
    frame: int
    state: State
    why: Why
    start_um: int
    end_um: int
    reasons: tuple[str, ...]
    defects: tuple[Defect, ...]
    reported: tuple[Defect, ...]
    let_by: tuple[Defect, ...]
    confidence: float | None  # None where the network never ran
    unfamiliar: float | None  # to the network; None where no baseline of its bundle says
    latency_ns: int
    stage_ns: dict[str, int]
    bundle: str  # its digest
    evidence: str
    pictures: tuple[str, ...] = ()  # "frame.png", "mask.png", ...
    size_bytes: int = 0  # of the pictures
    run: int = 0  # the id of its run's first event; places are counted from the start of a run
    id: int = 0

    @property
    def found(self) -> tuple[Defect, ...]:
        """All that was large enough to count, whatever became of it."""
        return (*self.defects, *self.reported, *self.let_by)


@dataclass
class Selection:
    """Picks what is worth keeping, frame by frame.

    Of so many OK frames one is kept, at random: what comes again and again along a rail, such as a
    weld, is then neither always in the sample nor never. `pick` gives a number below its own.
    """

    settings: StoreSettings
    pick: Callable[[int], int] = randbelow
    _ok_frames: Counter[str] = field(default_factory=Counter, init=False)  # by camera
    _chosen: dict[str, int] = field(default_factory=dict, init=False)  # of so many, by camera

    def why(self, inspection: Inspection, confidence: float | None) -> Why | None:
        """None for a frame that nobody will ask for."""
        state = inspection.verdict.state
        is_chosen = state is State.OK and self._is_chosen(inspection.camera)
        if state is State.UNKNOWN:
            return Why.UNKNOWN
        is_unsure = confidence is not None and confidence < self.settings.unsure_below
        # of an OK frame the reasons say what was put aside as sound
        if is_unsure or (state is State.OK and inspection.verdict.reasons):
            return Why.UNSURE
        if state is State.NG:
            return Why.NG
        unfamiliar = inspection.unfamiliar
        if unfamiliar is not None and unfamiliar > self.settings.unfamiliar_above:
            return Why.UNFAMILIAR
        if inspection.verdict.reported:
            return Why.REPORTED
        return Why.SAMPLE if is_chosen else None

    def _is_chosen(self, camera: str) -> bool:
        """The first of a run is, so that each run shows what good rail looked like."""
        every = self.settings.ok_every
        if not every:
            return False
        group, at = divmod(self._ok_frames[camera], every)
        self._ok_frames[camera] += 1
        if at == 0:
            self._chosen[camera] = self.pick(every) if group else 0
        return at == self._chosen[camera]


def confidence(inspection: Inspection) -> float | None:
    """NG is as sure as its surest defect, OK only as the likeliest pixel leaves it: where something
    is only reported, as surely as that has its class.
    """
    verdict, mask = inspection.verdict, inspection.mask
    if mask is None or verdict.state is State.UNKNOWN:
        return None
    if verdict.state is State.NG:
        return max(defect.score for defect in verdict.defects)
    if verdict.reported:
        return min(each.class_score or 0.0 for each in verdict.reported)
    return 1 - float(mask.probability_of(mask.logits.max()))


def event_of(
    inspection: Inspection, why: Why, sure: float | None, *, utc: str, evidence: str
) -> Event:
    """What is to be remembered of an inspection."""
    verdict = inspection.verdict
    return Event(
        utc=utc,
        camera=inspection.camera,
        frame=verdict.frame_index,
        state=verdict.state,
        why=why,
        start_um=verdict.stretch.start_um,
        end_um=verdict.stretch.end_um,
        reasons=verdict.reasons,
        defects=verdict.defects,
        reported=verdict.reported,
        let_by=verdict.let_by,
        confidence=sure,
        unfamiliar=inspection.unfamiliar,
        latency_ns=inspection.latency_ns,
        stage_ns=inspection.stage_ns,
        bundle=inspection.bundle,
        evidence=evidence,
    )


def describe(event: Event, called: str | None = None) -> str:
    """An event as a line for people, with what its place is called."""
    place = f"{event.start_um / 1e6:.3f} to {event.end_um / 1e6:.3f} m"
    place += f" ({called})" if called else ""
    reported = [f"reported {each.said}" for each in event.reported]
    let_by = [f"let by {each.said or f'{each.area_mm2:.0f} mm2'}" for each in event.let_by]
    said = "; ".join([*event.reasons, *reported, *let_by]) or event.why.value
    if event.unfamiliar is not None and event.unfamiliar >= 1:
        said += f" (unfamiliar {event.unfamiliar:.1f})"
    gone = "" if event.evidence == KEPT else f" (no picture: {event.evidence})"
    where = f"run {event.run} {event.camera} {place}"
    return f"{event.id} {event.utc} {where} {event.state.value}: {said}{gone}"
