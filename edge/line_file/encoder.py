"""What a line file says of the encoder: how far the rail has come."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
    field_validator,
)

from edge.line_file.section import Place, Section, Speed
from edge.line_file.wires import (
    OnGpiod,
    OnModbus,
)


class _Encoder(Section):
    speed_mm_s: Speed = Field(description="Speed of the line, at its fastest.")


class SimulatedEncoderSettings(_Encoder):
    """An encoder on a line that runs at one speed: for rehearsals and benches."""

    type: Literal["simulated"]


class _CountingEncoder(_Encoder):
    um_per_count: float = Field(
        ge=-1_000_000,
        le=1_000_000,
        description="Micrometres of rail a count stands for; below 0 turns the direction round.",
    )

    @field_validator("um_per_count")
    @classmethod
    def _counts_something(cls, um_per_count: float) -> float:
        if round(um_per_count * 1000) == 0:
            raise ValueError("a count must stand for some rail: give the micrometres of one count")
        return um_per_count


class GpiodEncoderSettings(OnGpiod, _CountingEncoder):
    """An encoder's channels on a Linux GPIO chip, counted by their edges.

    Two channels count four for each of their periods, one channel two.
    """

    a: Place | str = Field(
        union_mode="left_to_right", description="The line of channel A, by number or name."
    )
    b: Place | str | None = Field(
        default=None,
        union_mode="left_to_right",
        description="The line of channel B; without it the rail is taken to go forward always.",
    )
    pull: Literal["as_is", "none", "up", "down"] = Field(
        default="as_is", description="The chip's own resistor; `as_is` leaves it as it was."
    )
    debounce_us: int = Field(
        default=0, ge=0, le=10_000_000, description="A level counts when it has stood for so long."
    )


class ModbusEncoderSettings(OnModbus, _CountingEncoder):
    """A counter in a PLC, which may roll over."""

    table: Literal["holding_register", "input_register"] = Field(
        default="input_register", description="Where it is."
    )
    bits: Literal[16, 32] = Field(default=16, description="32 are two registers on end.")
    low_word_first: bool = Field(default=False, description="Of two registers, the low one first.")


class SerialEncoderSettings(_CountingEncoder):
    """A co-processor with Trackside's firmware, which counts, and may reject as well."""

    type: Literal["serial"]
    port: str = Field(description="Its serial port, such as /dev/ttyACM0.")
    baud: int = Field(default=921_600, ge=300, le=20_000_000, description="Bits a second.")
    serial_number: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{16}$",
        description="The one board that will do, as the log names it; any, where it is left out.",
    )
    firmware: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{8}$",
        description="The one program that will do in it, as the log names it; likewise.",
    )


EncoderSettings = Annotated[
    SimulatedEncoderSettings | GpiodEncoderSettings | ModbusEncoderSettings | SerialEncoderSettings,
    Field(discriminator="type"),
]
