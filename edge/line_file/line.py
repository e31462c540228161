"""The line file: one YAML file that says what a line is made of, and how it is judged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from edge.errors import ConfigurationError, UsageError
from edge.files import read_yaml
from edge.line_file.camera import CameraSettings
from edge.line_file.encoder import EncoderSettings
from edge.line_file.engine import AutoSettings, EngineChoice
from edge.line_file.fleet import FleetSettings
from edge.line_file.lookout import Lookout, check_cameras, orders
from edge.line_file.places import PlacesSettings, check_places
from edge.line_file.reject import (
    ActuatorSettings,
    HeartbeatSettings,
    InputSettings,
    OneHeartbeat,
    RejectSettings,
    check_board,
    check_heartbeats,
    check_names,
    check_stop,
    check_wires,
)
from edge.line_file.reports import ReportsSettings
from edge.line_file.rules import Rules
from edge.line_file.section import LinePath, Section, Threads
from edge.line_file.storage import JOURNAL, StoreSettings, SwapSettings
from edge.line_file.telemetry import MetricsSettings, MqttSettings
from edge.line_file.web import WebSettings, check_key

EXAMPLES = Path(__file__).parents[1] / "examples"  # commented line files to copy

PublicKey = Annotated[
    str,
    Field(
        pattern=r"^ed25519:[A-Za-z0-9+/]{43}=$",
        description="What `trackside bundle keygen` printed, `ed25519:...=`.",
    ),
]


def _is_a_name(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", name) is None:
        raise ValueError("a camera's name has letters, digits, - and _ alone, such as `left`")
    return name


# In topics and the names of files, too.
CameraName = Annotated[str, AfterValidator(_is_a_name)]


class LineSettings(Section):
    """One inspection line."""

    name: str = Field(min_length=1, description="The line's name in reports.")
    bundle: Literal["strip", "rail"] | LinePath = Field(
        union_mode="left_to_right",
        description="The network: the path of a *.bundle, or `strip` or `rail` for one of those "
        "that are installed.",
    )
    bundle_key: PublicKey | None = Field(
        default=None,
        description="Public key of those who may sign the bundle; any other bundle is refused.",
    )
    swap: SwapSettings | None = Field(
        default=None,
        description="Lets the bundle be changed while the line runs; off if left out.",
    )
    fleet: FleetSettings | None = Field(
        default=None,
        description="Takes bundles and line files from a depot that serves many boxes; off if left "
        "out.",
    )
    certificate: LinePath | None = Field(
        default=None,
        description="What `trackside qualify --out` wrote of this line: `check` warns where the "
        "line is no longer the one that was qualified.",
    )
    engine: EngineChoice = Field(default=AutoSettings(), description="What runs the network.")
    encoder: EncoderSettings = Field(description="What tells how far the rail has moved.")
    reject: RejectSettings = Field(description="What takes a defective stretch out of the line.")
    cameras: dict[CameraName, CameraSettings] = Field(
        min_length=1,
        description="Where frames come from: the cameras, each under its name.",
    )
    workers: Threads = Field(
        default=2,
        description="Frames of different cameras that are judged side by side; the network itself "
        "by as many threads as `engine` says.",
    )
    heartbeat: HeartbeatSettings = Field(
        description="What tells the line that inspection is alive."
    )
    inputs: tuple[InputSettings, ...] = Field(
        default=(), strict=False, description="Keys, buttons and sensors; may be left out."
    )
    rules: Rules = Field(description="When a frame is NG.")
    metrics: MetricsSettings | None = Field(
        default=None, description="Serves the line's health to Prometheus; off if left out."
    )
    mqtt: MqttSettings | None = Field(
        default=None, description="Tells a broker verdicts and health; off if left out."
    )
    store: StoreSettings | None = Field(
        default=None,
        description="Keeps what is rejected or unsure, with pictures; may be left out.",
    )
    places: PlacesSettings | None = Field(
        default=None, description="What people call the places of the rail; off if left out."
    )
    reports: ReportsSettings | None = Field(
        default=None, description="Writes a report of each shift; off if left out."
    )
    web: WebSettings | None = Field(
        default=None, description="Serves a page that shows the line; off if left out."
    )

    @field_validator("fleet")
    @classmethod
    def _can_change_bundles(
        cls, fleet: FleetSettings | None, info: ValidationInfo
    ) -> FleetSettings | None:
        swap = info.data.get("swap")
        if fleet is not None and swap is None:
            raise ValueError("bundles that come are tried beside the old one: give `swap:` too")
        if fleet is not None and swap is not None and swap.fleet_objection:
            raise ValueError(swap.fleet_objection)
        return fleet

    @field_validator("reject")
    @classmethod
    def _has_its_board(cls, reject: RejectSettings, info: ValidationInfo) -> RejectSettings:
        encoder = info.data.get("encoder")
        if encoder is not None:
            check_board(encoder, reject)
        return reject

    @field_validator("cameras")
    @classmethod
    def _look_at_rail_of_their_own(
        cls, cameras: dict[str, CameraSettings], info: ValidationInfo
    ) -> dict[str, CameraSettings]:
        reject = info.data.get("reject")
        if reject is not None:
            check_cameras(cameras, [each.name for each in reject.actuators])
        return cameras

    @field_validator("heartbeat")
    @classmethod
    def _has_its_own_wire(
        cls, heartbeat: HeartbeatSettings, info: ValidationInfo
    ) -> HeartbeatSettings:
        reject, cameras = info.data.get("reject"), info.data.get("cameras")
        if reject is not None:
            check_wires([*reject.outputs, *(each.output for each in heartbeat.signs)])
        if cameras is not None:
            check_heartbeats(heartbeat, list(cameras))
        return heartbeat

    @field_validator("inputs")
    @classmethod
    def _can_do_what_they_say(
        cls, inputs: tuple[InputSettings, ...], info: ValidationInfo
    ) -> tuple[InputSettings, ...]:
        check_names("input", [each.name for each in inputs])
        reject = info.data.get("reject")
        if reject is not None:
            check_stop([each.then for each in inputs], reject)
        return inputs

    @field_validator("places")
    @classmethod
    def _have_what_they_go_by(
        cls, places: PlacesSettings | None, info: ValidationInfo
    ) -> PlacesSettings | None:
        known = info.data
        if places is not None and {"inputs", "store", "mqtt"} <= known.keys():
            names = [each.name for each in known["inputs"]]
            has_store, has_mqtt = known["store"] is not None, known["mqtt"] is not None
            check_places(places, names, has_store=has_store, has_mqtt=has_mqtt)
        return places

    @field_validator("reports")
    @classmethod
    def _have_what_they_tell_of(
        cls, reports: ReportsSettings | None, info: ValidationInfo
    ) -> ReportsSettings | None:
        if reports is not None and "store" in info.data and info.data["store"] is None:
            raise ValueError("a report tells of what a `store:` has kept: give the line one")
        return reports

    @field_validator("web")
    @classmethod
    def _has_its_key(cls, web: WebSettings | None, info: ValidationInfo) -> WebSettings | None:
        inputs = info.data.get("inputs")
        if web is not None and inputs is not None:
            check_key(web, [each.name for each in inputs])
        return web

    @property
    def lookouts(self) -> tuple[Lookout, ...]:
        """Its cameras, each with what its verdicts hang on."""
        return tuple(
            Lookout(
                self.name,
                name,
                camera,
                camera.rules or self.rules,
                self._ordered_by([camera]),
                self._ordered_by(self._sharing_with(camera)),
                self.encoder.speed_mm_s,
                is_alone=len(self.cameras) == 1,
            )
            for name, camera in self.cameras.items()
        )

    def _ordered_by(self, cameras: Sequence[CameraSettings]) -> tuple[ActuatorSettings, ...]:
        return tuple(
            actuator
            for actuator in self.reject.actuators
            if any(orders(each, actuator.name) for each in cameras)
        )

    def _sharing_with(self, camera: CameraSettings) -> list[CameraSettings]:
        """It, and all that may see the rest of what it finds."""
        if camera.across_mm is None:
            return [camera]
        return [each for each in self.cameras.values() if each.across_mm is not None]

    def lookout(self, name: str | None = None) -> Lookout:
        """The camera of that name, or the only one; UsageError where there is no such."""
        known = ", ".join(self.cameras)
        if name is None and len(self.cameras) > 1:
            raise UsageError(f"this line has several cameras, and one is wanted: {known}")
        if name is not None and name not in self.cameras:
            raise UsageError(f"no camera is called {name}: choose from {known}")
        return next(each for each in self.lookouts if name in {None, each.name})

    def alone(self, name: str | None = None) -> LineSettings:
        """As if it had that camera and no other: with its rules, and the actuators that it orders.

        UsageError as of `lookout`.
        """
        lookout = self.lookout(name)
        first, *also = lookout.actuators
        own = {key: getattr(first, key) for key in ActuatorSettings.model_fields}
        beats = next(each for each in self.heartbeat.signs if lookout.name in self.stands_for(each))
        return self.model_copy(
            update={
                "cameras": {lookout.name: lookout.camera},
                "rules": lookout.rules,
                "reject": self.reject.model_copy(update={**own, "also": tuple(also)}),
                "heartbeat": HeartbeatSettings(output=beats.output, timeout_ms=beats.timeout_ms),
            }
        )

    def watching(self, actuator: str) -> tuple[str, ...]:
        """The cameras that order an actuator; rail passes it once all of them have passed it."""
        return tuple(name for name, each in self.cameras.items() if orders(each, actuator))

    def stands_for(self, heartbeat: OneHeartbeat) -> tuple[str, ...]:
        """The cameras whose progress it shows."""
        return heartbeat.cameras or tuple(self.cameras)

    @property
    def heartbeats(self) -> dict[str, OneHeartbeat]:
        """Each by what it is called: of several, by its number and its cameras."""
        if not self.heartbeat.also:
            return {"heartbeat": self.heartbeat}
        return {
            f"heartbeat {number} ({', '.join(self.stands_for(each))})": each
            for number, each in enumerate(self.heartbeat.signs, start=1)
        }

    @property
    def journal(self) -> Path | None:
        """Where what was said of places is kept; None where nobody says anything."""
        if self.places is None:
            return None
        if self.places.journal is not None:
            return self.places.journal
        assert self.store is not None, "the line file was checked"
        return self.store.path / JOURNAL

    @property
    def kept_files(self) -> tuple[Path, ...]:
        """What the line writes, in folders of its own."""
        store = self.store and self.store.database
        swap = self.swap and self.swap.folder / "bundles"
        spool = self.mqtt and self.mqtt.spool
        fleet = self.fleet and self.fleet.folder / "lines"
        kept = (self.reject.ledger, store, swap, spool, fleet, self.journal)
        return tuple(path for path in kept if path)


def line_schema() -> dict[str, Any]:
    """The JSON Schema of a line file."""
    return LineSettings.model_json_schema()


def read_line(path: Path, *, beside: Path | None = None) -> LineSettings:
    """Read and check a line file. Every mistake is named with its line, its key and the remedy.

    Its relative paths start at the folder of `beside`, where it stands in for that file.
    """
    if not path.exists():
        raise ConfigurationError(f"{path}: no such file: copy one of those in {EXAMPLES}")
    return read_yaml(path, LineSettings, folder=(beside or path).parent)
