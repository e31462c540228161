"""What a line file says of the places that people know: `places`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from edge.line_file.section import Length, LinePath, Section, TimeOrNone
from edge.line_file.wires import OnModbus

Kilometre = Annotated[float, Field(ge=-1_000_000, le=1_000_000)]
Downstream = Annotated[
    float,
    Field(
        default=0,
        ge=-1_000_000,
        le=1_000_000,
        description="How far downstream of a frame's last row, as it is taken, this looks.",
    ),
]
Prefix = Annotated[
    str, Field(default="", max_length=32, description="Put before the number, such as `coil `.")
]


class PostsSettings(Section):
    """Kilometre posts, or marks like them, that an input sees."""

    input: str = Field(min_length=1, description="The input that becomes active at each.")
    first_km: Kilometre | None = Field(
        default=None,
        description="What the first one of a run says; left out, the nearest to where the line is "
        "by what was said before, and none before that.",
    )
    every_m: Length = Field(default=1000, description="From one to the next.")
    offset_mm: Downstream


class GpsSettings(Section):
    """A receiver that gpsd serves, and where the track runs."""

    host: str = Field(default="127.0.0.1", min_length=1, description="The host of gpsd.")
    port: int = Field(default=2947, ge=1, le=65535, description="Its TCP port.")
    track: LinePath = Field(
        description="The track as a table: `chainage_m,latitude,longitude`, in order along it."
    )
    every_m: Length = Field(default=200, description="Rail from one anchor to the next.")
    max_error_m: Length = Field(
        default=5, description="A fix that the receiver says is less sure than this is none."
    )
    max_beside_m: Length = Field(
        default=25, description="A fix further than this from the track is none."
    )
    delay_ms: TimeOrNone = Field(
        default=0, description="From the moment of a fix to its arrival here."
    )
    offset_mm: Downstream


class CoilSettings(Section):
    """A sensor that sees the strip: each coil begins and ends under it."""

    input: str = Field(min_length=1, description="The input that is active while strip is there.")
    offset_mm: Downstream


class KeyNameSettings(Section):
    """A key, button or sensor: each time that it becomes active the next number begins."""

    type: Literal["key"]
    input: str = Field(min_length=1, description="The input.")
    prefix: Prefix
    offset_mm: Downstream


class FileNameSettings(Section):
    """The first line of a text file; empty: no name."""

    type: Literal["file"]
    path: LinePath = Field(description="Looked at twice a second.")


class ModbusNameSettings(OnModbus):
    """A register of a PLC that holds the number; 0: no name."""

    type: Literal["modbus"]
    table: Literal["holding_register", "input_register"] = Field(
        default="holding_register", description="Where it is."
    )
    bits: Literal[16, 32] = Field(default=16, description="32 are two registers on end.")
    low_word_first: bool = Field(default=False, description="Of two registers, the low one first.")
    prefix: Prefix


class MqttNameSettings(Section):
    """The latest message of a topic, on the line's own broker; empty: no name."""

    type: Literal["mqtt"]
    topic: str = Field(
        pattern=r"^[^#+\x00]+$", max_length=1000, description="The one topic, without # and +."
    )


NameSettings = Annotated[
    KeyNameSettings | FileNameSettings | ModbusNameSettings | MqttNameSettings,
    Field(discriminator="type"),
]


class PlacesSettings(Section):
    """What people call the places of the rail, and what tells."""

    along: Literal["track", "coil"] = Field(
        description="Places have a chainage, or lie so far from the coil's head and tail."
    )
    journal: LinePath | None = Field(
        default=None,
        description="The SQLite file of what was said; left out, places.sqlite in the store.",
    )
    falls: bool = Field(default=False, description="The chainage falls as the encoder counts up.")
    max_wheel_error: float = Field(
        default=0.01,
        ge=0,
        le=0.5,
        description="What the encoder may be wrong by, as a share; an anchor that is further off "
        "is refused.",
    )
    tolerance_m: Length = Field(
        default=5, description="What an anchor itself may be wrong by: that of whoever presses."
    )
    press_offset_mm: Downstream
    name: NameSettings | None = Field(
        default=None,
        description="What tells the coil's or rail's number; it can always be typed.",
    )
    posts: PostsSettings | None = Field(default=None, description="Of a track: posts by an input.")
    gps: GpsSettings | None = Field(default=None, description="Of a track: a receiver.")
    coil: CoilSettings | None = Field(default=None, description="Of a coil: where it begins.")

    @property
    def inputs(self) -> list[str]:
        """The inputs that it goes by."""
        key = self.name if isinstance(self.name, KeyNameSettings) else None
        return [each.input for each in (self.posts, self.coil, key) if each is not None]


def check_places(
    places: PlacesSettings, inputs: Sequence[str], *, has_store: bool, has_mqtt: bool
) -> None:
    """What it goes by must be there."""
    for name in places.inputs:
        if name not in inputs:
            known = ", ".join(inputs) or "there is none"
            raise ValueError(f"no input is called {name}: name one of `inputs:` ({known})")
    if places.along == "track" and places.coil is not None:
        raise ValueError("coil: is for `along: coil`: leave it out, or say that")
    if places.along == "coil" and (places.posts or places.gps):
        raise ValueError("posts: and gps: are for `along: track`: leave them out, or say that")
    if places.journal is None and not has_store:
        raise ValueError("nothing keeps what was said: give `journal:`, or the line a `store:`")
    if places.name is not None and places.name.type == "mqtt" and not has_mqtt:
        raise ValueError("no broker is known: give the line `mqtt:`")
