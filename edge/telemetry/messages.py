"""What a line tells a broker: one message for each verdict, one for its health now and then.

Messages come at least once and in the order of their numbers. A message that comes again has the
`run` and the `number` of the one before it; numbers start at 1 with each run and leave none out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.fleet import FleetStatus
from edge.health import CameraHealth, LineHealth
from edge.places import NOWHERE, Named
from edge.types import Defect, State, Verdict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Micrometres = Annotated[int, Field(description="Micrometres of rail from the start of the run.")]
Counter = Annotated[int, Field(ge=0, description="Counted from the start of the run.")]


class Stamp(_Part):
    """Which message this is."""

    format: Literal[2] = 2
    line: str = Field(description="The line's name.")
    run: str = Field(description="Another one with each start.")
    number: int = Field(ge=1, description="In this topic, of this run.")
    at: str = Field(description="When it came about: ISO 8601, UTC.")


class DefectPart(_Part):
    """One defect that counts, or one thing that is only reported, as far as it is known by now.

    One that reaches over several frames comes with each of them, under the same number; so does one
    that several cameras see who share a surface.
    """

    number: int = Field(
        ge=1,
        description="Serial along the strip, of this run: of the surface where `across_mm` places "
        "the camera on one, otherwise of the camera.",
    )
    absorbed: tuple[int, ...] = Field(
        description="Numbers given before that turned out to be parts of it."
    )
    start_um: Micrometres
    end_um: Micrometres
    left_um: int = Field(
        description="Micrometres across: from the image's left edge, or from where `across_mm` "
        "counts."
    )
    right_um: int
    area_mm2: float
    score: float = Field(ge=0, le=1, description="The network's mean probability over it.")
    class_name: str | None = Field(description="null: unsure, or the network names no classes.")
    class_score: float | None = Field(
        ge=0, le=1, description="Share of its likeliest class; null: the network names none."
    )
    code: str | None = Field(description="What the line file calls its class.")


class PlacePart(_Part):
    """What people call a place, as far as it was said when this was told."""

    name: str | None = Field(description="Of the coil or rail.")
    chainage_um: int | None = Field(description="Along the track, or from the coil's head.")
    text: str | None = Field(description="Both, as they are read out.")


class VerdictMessage(Stamp):
    """TOPIC/verdict/CAMERA: what was decided of one frame."""

    camera: str = Field(description="Which camera's.")
    frame: int = Field(ge=0)
    state: State = Field(description="UNKNOWN: nobody could look, and it is rejected too.")
    start_um: Micrometres
    end_um: Micrometres
    place: PlacePart | None = Field(description="Of start_um; null where nobody has said one.")
    reasons: tuple[str, ...]
    defects: tuple[DefectPart, ...] = Field(description="Those that count under the rules.")
    reported: tuple[DefectPart, ...] = Field(
        description="Surely of classes that are never rejected, such as a rail joint."
    )
    latency_ms: float = Field(description="From the light on the sensor to the verdict.")


class RejectsPart(_Part):
    """What became of the orders."""

    ordered: Counter
    fired: Counter
    missed: Counter
    pending: Counter
    mode: str = Field(description="What the outputs are at.")


class CameraPart(_Part):
    """How one camera is doing."""

    frames: dict[State, Counter]
    lost_frames: Counter
    deadlines_missed: Counter
    last_frame_age_s: float | None = Field(description="null before the first frame.")
    latency_ms: float = Field(description="The mean of the run.")
    stages_ms: dict[str, float] = Field(description="The mean of the run, by stage.")
    drift: dict[str, float] = Field(
        description="Population stability index against the commissioning; 0.25 is a strong drift."
    )
    fault: str | None = Field(
        description="Why it shows nothing now; null if it does, or does not run freely."
    )


class HealthMessage(Stamp):
    """TOPIC/health: how the line is doing."""

    cameras: dict[str, CameraPart]
    rejects: RejectsPart
    bundle: str | None = Field(description="Digest of what judged the latest frame.")
    troubles: dict[str, str] = Field(
        description="What is wrong now with what is to be kept on disk: of store and ledger."
    )
    memory_bytes: int = Field(ge=0)
    temperatures_c: dict[str, float]
    throttled: bool | None = Field(description="null where the system does not tell.")
    spooled: int = Field(ge=0, description="Messages that waited for the broker.")
    given_up: Counter


class RefusalPart(_Part):
    """A release that a box will not take."""

    release: int
    why: str
    at: str


class FleetMessage(_Part):
    """TOPIC/fleet, retained: what a box runs of its fleet's releases, wants, refused, and why."""

    format: Literal[1] = 1
    line: str = Field(description="The line's name.")
    box: str = Field(description="The box's name in the fleet.")
    runs: int | None = Field(description="Number of the release; null: none has come yet.")
    wants: int | None = Field(description="The newest that has reached it.")
    doing: str = Field(description="What it does to get there; nothing, once it is there.")
    refused: tuple[RefusalPart, ...]
    trouble: str | None = Field(description="Why the depot could not be read; null if it could.")
    contact_at: str | None = Field(description="When it was last read anew: ISO 8601, UTC.")
    bundle: str | None = Field(description="Digest of what judged the latest frame.")
    version: str = Field(description="Of Trackside.")
    complaints: tuple[str, ...] = Field(description="What keeps the line from being well.")


def verdict_message(
    stamp: Mapping[str, Any], verdict: Verdict, latency_ns: int, place: Named = NOWHERE
) -> VerdictMessage:
    return VerdictMessage(
        **stamp,
        frame=verdict.frame_index,
        state=verdict.state,
        start_um=verdict.stretch.start_um,
        end_um=verdict.stretch.end_um,
        place=PlacePart(**asdict(place)) if place else None,
        reasons=verdict.reasons,
        defects=tuple(map(_part, verdict.defects)),
        reported=tuple(map(_part, verdict.reported)),
        latency_ms=latency_ns / 1e6,
    )


def _part(defect: Defect) -> DefectPart:
    return DefectPart(
        number=defect.number,
        absorbed=defect.absorbed,
        start_um=defect.stretch.start_um,
        end_um=defect.stretch.end_um,
        left_um=defect.left_um,
        right_um=defect.right_um,
        area_mm2=defect.area_mm2,
        score=min(max(defect.score, 0.0), 1.0),
        class_name=defect.class_name,
        class_score=defect.class_score,
        code=defect.code,
    )


def _camera(health: CameraHealth) -> CameraPart:
    return CameraPart(
        frames=dict(health.frames),
        lost_frames=health.lost_frames,
        deadlines_missed=health.deadlines_missed,
        last_frame_age_s=health.last_frame_age_s,
        latency_ms=health.latency.mean_ms,
        stages_ms={name: times.mean_ms for name, times in health.stages.items()},
        drift=dict(health.drift),
        fault=None if health.source is None else health.source.fault,
    )


def health_message(stamp: Mapping[str, Any], health: LineHealth) -> HealthMessage:
    box, messages = health.box, health.messages
    assert messages is not None  # this is one
    return HealthMessage(
        **stamp,
        cameras={name: _camera(each) for name, each in health.cameras.items()},
        rejects=RejectsPart(**asdict(health.rejects), mode=health.outputs.mode),
        bundle=health.bundle,
        troubles=dict(health.keeping.troubles),
        memory_bytes=box.memory_bytes,
        temperatures_c=box.temperatures_c,
        throttled=box.throttled,
        spooled=messages.spooled,
        given_up=messages.given_up,
    )


def fleet_message(health: LineHealth) -> FleetMessage | None:
    """None of a line that belongs to no fleet."""
    fleet = health.fleet
    if fleet is None:
        return None
    return message_of_fleet(
        fleet,
        line=health.facts.line,
        bundle=health.bundle,
        version=health.facts.version,
        complaints=health.complaints,
    )


def message_of_fleet(
    fleet: FleetStatus,
    *,
    line: str,
    bundle: str | None,
    version: str,
    complaints: tuple[str, ...],
) -> FleetMessage:
    """What a box says of its fleet's releases, and of the line that runs them."""
    return FleetMessage(
        line=line,
        box=fleet.box,
        runs=fleet.runs,
        wants=fleet.wants,
        doing=fleet.doing,
        refused=tuple(
            RefusalPart(release=each.release, why=each.why, at=each.at) for each in fleet.refused
        ),
        trouble=fleet.trouble,
        contact_at=fleet.contact_at,
        bundle=bundle,
        version=version,
        complaints=complaints,
    )


def message_schemas() -> dict[str, Any]:
    """The JSON Schema of each topic below a line's."""
    return {
        "availability": {"enum": ["online", "offline"], "description": "Retained; not JSON."},
        "fleet": FleetMessage.model_json_schema(),
        "health": HealthMessage.model_json_schema(),
        "verdict/CAMERA": VerdictMessage.model_json_schema(),
    }
