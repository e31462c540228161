"""How a line is doing at one moment: one typed value, read by page, broker and Prometheus alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.box import BoxState
from edge.fleet import FleetStatus
from edge.health.camera_health import STAGES, CameraHealth, Kind
from edge.health.times import Counted, added
from edge.swap import SwapStatus
from edge.types import State


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


@dataclass(frozen=True, slots=True)
class LineHealth:
    """How the line is doing at one moment. What is counted is counted from the start of the run."""

    facts: Facts
    cameras: Mapping[str, CameraHealth]
    rejects: Rejects
    outputs: Outputs
    keeping: Keeping
    swap: SwapStatus | None  # None where the bundle cannot be changed
    fleet: FleetStatus | None  # None of a line that belongs to none
    box: BoxState
    messages: Messages | None  # None of a line without a broker

    @property
    def frames(self) -> Mapping[State, int]:
        """Of all cameras, as all that follows."""
        each = self.cameras.values()
        return {state: sum(camera.frames[state] for camera in each) for state in State}

    @property
    def found(self) -> Mapping[Kind, int]:
        total = Counter[Kind]()
        for camera in self.cameras.values():
            total.update(camera.found)
        return total

    @property
    def lost_frames(self) -> int:
        return sum(camera.lost_frames for camera in self.cameras.values())

    @property
    def deadlines_missed(self) -> int:
        return sum(camera.deadlines_missed for camera in self.cameras.values())

    @property
    def last_frame_age_s(self) -> float | None:
        """Of the camera that has been silent for longest; None before each has shown one."""
        ages_s = [camera.last_frame_age_s for camera in self.cameras.values()]
        known_s = [age_s for age_s in ages_s if age_s is not None]
        return max(known_s) if known_s and len(known_s) == len(ages_s) else None

    @property
    def stages(self) -> Mapping[str, Counted]:
        each = self.cameras.values()
        return {stage: added(camera.stages[stage] for camera in each) for stage in STAGES}

    @property
    def latency(self) -> Counted:
        return added(camera.latency for camera in self.cameras.values())

    @property
    def complaints(self) -> tuple[str, ...]:
        """What keeps it from being well, whatever the rail looks like; for the fleet's desk."""
        cameras = (
            f"camera {name}: {said}"
            for name, each in self.cameras.items()
            if (said := _complaint(each)) is not None
        )
        return (*cameras, *self.keeping.troubles.values())

    @property
    def bundle(self) -> str | None:
        """Digest of the one that the latest frames were judged with; while it is changed, one."""
        return next((each.bundle for each in self.cameras.values() if each.bundle), None)


def _complaint(camera: CameraHealth) -> str | None:
    if camera.source is not None and camera.source.fault is not None:
        return camera.source.fault
    frames = sum(camera.frames.values())
    if frames == 0:
        return "it has shown nothing yet"
    return "none of its frames could be judged" if frames == camera.frames[State.UNKNOWN] else None
