"""How a line is doing at one moment: one typed value, read by page, broker and Prometheus alike."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.box import BoxState
from edge.cameras import CameraCounts
from edge.swap import SwapStatus
from edge.types import State

_MS = 1_000_000
BOUNDS_NS = tuple(
    round(ms * _MS) for ms in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)
)


@dataclass(frozen=True, slots=True)
class Counted:
    """A histogram at one moment: how many values lie above each bound and not above the next."""

    counts: tuple[int, ...]  # one more than there are bounds
    total_ns: int

    @property
    def count(self) -> int:
        return sum(self.counts)

    @property
    def mean_ms(self) -> float:
        return self.total_ns / self.count / _MS if self.count else 0.0


@dataclass
class Histogram:
    """Times, counted between `BOUNDS_NS`."""

    _counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_NS) + 1))
    _total_ns: int = 0

    def add(self, ns: int) -> None:
        self._counts[bisect_left(BOUNDS_NS, ns)] += 1
        self._total_ns += ns

    def counted(self) -> Counted:
        return Counted(tuple(self._counts), self._total_ns)


@dataclass(frozen=True, slots=True)
class Facts:
    """What runs: this changes with a restart or a swap only."""

    line: str = ""
    bundle: str = ""
    bundle_digest: str = ""
    engine: str = ""
    version: str = ""  # of Trackside


@dataclass(frozen=True, slots=True)
class Rejects:
    """What became of the orders so far."""

    ordered: int
    fired: int
    missed: int
    pending: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that overrides the orders, or is only reported, and the mode it asks for."""

    name: str
    reason: str
    mode: str
    latched: bool  # until it is acknowledged


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the outputs are at, and why."""

    mode: str
    causes: tuple[Cause, ...] = ()


@dataclass(frozen=True, slots=True)
class Keeping:
    """How it is with what is to be kept on disk."""

    troubles: Mapping[str, str] = field(default_factory=dict)  # now, of `store` and `ledger`
    pictures_dropped: int = 0  # of the store: events that went without
    events_lost: int = 0


@dataclass(frozen=True, slots=True)
class Messages:
    """How the messages to the broker are doing."""

    connected: bool
    spooled: int  # that wait for the broker
    given_up: int  # for which the spool had no room


class Kind(NamedTuple):
    """Of what is found."""

    name: str  # its class, or a word in place of it
    is_reported: bool


@dataclass(frozen=True, slots=True)
class LineHealth:
    """How the line is doing at one moment. What is counted is counted from the start of the run."""

    facts: Facts
    frames: Mapping[State, int]
    found: Mapping[Kind, int]  # defects that count, and things that are only reported
    lost_frames: int  # the camera gave no image for their rail
    deadlines_missed: int
    last_frame_age_s: float | None  # since it was done with; None before the first one
    stages: Mapping[str, Counted]
    latency: Counted  # from the light on the sensor to the verdict
    drift: Mapping[str, float]  # empty without a baseline, and before enough frames
    rejects: Rejects
    outputs: Outputs
    bundle: str | None  # digest of the one that the latest frame was judged with
    keeping: Keeping
    swap: SwapStatus | None  # None where the bundle cannot be changed
    camera: CameraCounts | None  # None of a camera that does not run freely
    box: BoxState
    messages: Messages | None  # None of a line without a broker
