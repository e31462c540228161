"""What is known of a soak, and from whom: pins, broker, ledger, store, kernel, simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from edge.types import State, Stretch
from firmware_bridge.ledger import Entry

Edge = tuple[int, bool]  # at_ns, active


@dataclass(frozen=True, slots=True)
class JudgedFrame:
    """One frame, by the probe in the line's process."""

    camera: str
    frame: int
    stretch: Stretch
    state: State
    captured_ns: int
    decided_ns: int
    stage_ns: dict[str, int]
    bundle: str  # digest of the one that it was judged with

    @property
    def begun_ns(self) -> int:
        """When the loop had it."""
        return self.decided_ns - sum(self.stage_ns.values())


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, by a subscriber of the broker."""

    topic: str
    run: str
    number: int
    at_ns: int  # when it came
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One verdict, by its message."""

    camera: str
    frame: int
    state: State
    stretch: Stretch
    defects: tuple[Stretch, ...]

    @property
    def orders(self) -> tuple[Stretch, ...]:
        """What must leave the line for it."""
        return (self.stretch,) if self.state is State.UNKNOWN else self.defects


@dataclass(frozen=True, slots=True)
class Kept:
    """One row of the event store."""

    id: int
    camera: str
    frame: int
    state: State
    evidence: str
    bundle: str
    at_ns: int  # when it was found there
    pictures_missing: int  # which the row names, and are not on disk


@dataclass(frozen=True, slots=True)
class Sample:
    """The line's process at one moment, by the kernel."""

    at_ns: int
    resident_bytes: int
    files: int
    threads: int
    cpu_s: float


@dataclass(slots=True)
class Episode:
    """One fault: when it began and ended, and when the whole line was well again."""

    fault: str
    detail: str
    begun_ns: int
    ended_ns: int | None = None
    well_ns: int | None = None

    @property
    def camera(self) -> str | None:
        """The one that fails; None where it is another fault."""
        return self.detail.partition(" ")[0] if self.fault.startswith("camera ") else None

    def holds(self, at_ns: int) -> bool:
        return self.begun_ns <= at_ns and (self.well_ns is None or at_ns <= self.well_ns)

    @property
    def recovery_s(self) -> float | None:
        if self.ended_ns is None or self.well_ns is None:
            return None
        return (self.well_ns - self.ended_ns) / 1e9


@dataclass
class Evidence:
    """Everything, in the order in which it came about. Each camera has a rail with one actuator and
    one heartbeat of its own; pins are called by it.
    """

    began_ns: int = 0  # when the line's process was started
    complete_ns: int = 0  # when it saw frames, and all around it was there
    settled_ns: int = 0  # when the warm-up was over
    steady_ns: int = 0  # from when on memory is compared
    ended_ns: int = 0  # when it was told to stop
    rail_ns: int | None = None  # when the rail was at 0
    exit_code: int | None = None
    last_words: list[str] = field(default_factory=list)  # of a line that ended by itself
    judged: list[JudgedFrame] = field(default_factory=list)
    beats: list[tuple[str, int]] = field(default_factory=list)
    edges: list[tuple[str, int, bool]] = field(default_factory=list)  # of the reject pins
    heard: list[Heard] = field(default_factory=list)
    unsent: list[Heard] = field(default_factory=list)  # left in the spool at the end
    ledger: list[Entry] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    losses: int = 0  # events that the store says it lost
    samples: list[Sample] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)  # at_ns, Python's own in use
    scrapes: int = 0
    pictures_viewed: int = 0  # on the live page
    episodes: list[Episode] = field(default_factory=list)

    @property
    def reject_edges(self) -> list[Edge]:
        return [(at_ns, active) for _, at_ns, active in self.edges]

    @property
    def cameras(self) -> list[str]:
        """Those of which a frame was judged."""
        return sorted({seen.camera for seen in self.judged})

    def of(self, camera: str, actuator: str) -> Evidence:
        """Of one rail alone."""
        topic = f"verdict/{camera}"
        return replace(
            self,
            judged=[each for each in self.judged if each.camera == camera],
            beats=[each for each in self.beats if each[0] == camera],
            edges=[each for each in self.edges if each[0] == camera],
            heard=[each for each in self.heard if each.topic == topic],
            unsent=[each for each in self.unsent if each.topic == topic],
            ledger=[each for each in self.ledger if each.actuator in {None, actuator}],
            kept=[each for each in self.kept if each.camera == camera],
        )

    def verdicts(self) -> list[Told]:
        """Of the messages that came, and those that waited in the spool; each once."""
        found: dict[tuple[str, int], Told] = {}
        for message in [*self.heard, *self.unsent]:
            kind, _, camera = message.topic.partition("/")
            if kind == "verdict":
                found.setdefault((camera, message.number), _told(camera, message.body))
        return [found[key] for key in sorted(found)]

    def during(self, at_ns: int) -> bool:
        """Whether some fault, or recovery from it, was under way."""
        return any(episode.holds(at_ns) for episode in self.episodes)


def _told(camera: str, body: dict[str, Any]) -> Told:
    return Told(
        camera=camera,
        frame=body["frame"],
        state=State(body["state"]),
        stretch=Stretch(body["start_um"], body["end_um"]),
        defects=tuple(Stretch(d["start_um"], d["end_um"]) for d in body["defects"]),
    )
