"""How a line file names one output or one input, on whatever it is wired to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edge.line_file.section import Place, Section, Time


class MemorySettings(Section):
    """A line that exists in memory: for a rehearsal without wires."""

    type: Literal["memory"]


class OnGpiod(Section):
    """Something on a Linux GPIO chip."""

    type: Literal["gpiod"]
    chip: str = Field(description="The chip's device, such as /dev/gpiochip0; see `gpiodetect`.")


class _GpiodLine(OnGpiod):
    line: Place | str = Field(
        union_mode="left_to_right",
        description="The line's number on the chip, or its name, such as GPIO17; see `gpioinfo`.",
    )
    active_low: bool = Field(default=False, description="Active is the low level of the wire.")
    pull: Literal["as_is", "none", "up", "down"] = Field(
        default="as_is", description="The chip's own resistor; `as_is` leaves it as it was."
    )


class GpiodInputSettings(_GpiodLine):
    """A line of a Linux GPIO chip, by libgpiod."""


class GpiodOutputSettings(_GpiodLine):
    """A line of a Linux GPIO chip, by libgpiod."""

    drive: Literal["push_pull", "open_drain", "open_source"] = Field(
        default="push_pull", description="Drives both levels, only low, or only high."
    )


class JetsonSettings(Section):
    """A pin of a Jetson's header, by Jetson.GPIO. Its pull is set by the board's pinmux."""

    type: Literal["jetson"]
    pin: int = Field(ge=1, le=40, description="Its number on the 40-pin header.")
    active_low: bool = Field(default=False, description="Active is the low level of the wire.")


class GpiozeroOutputSettings(Section):
    """A Raspberry Pi's pin, by one of gpiozero's pin factories."""

    type: Literal["gpiozero"]
    factory: Literal["lgpio", "native", "pigpio", "mock"] = Field(
        default="lgpio", description="What drives the pin; `mock` drives none."
    )
    pin: str = Field(description="Any name that gpiozero has for it: GPIO17, BOARD11, J8:11.")
    active_low: bool = Field(default=False, description="Active is the low level of the wire.")


class GpiozeroInputSettings(GpiozeroOutputSettings):
    """A Raspberry Pi's pin, by one of gpiozero's pin factories."""

    pull: Literal["as_is", "none", "up", "down"] = Field(
        default="as_is", description="The Pi's own resistor; `as_is` leaves it as it was."
    )


class OnModbus(Section):
    """Something in a PLC."""

    type: Literal["modbus"]
    host: str = Field(description="Name or address of the PLC.")
    port: int = Field(default=502, ge=1, le=65535, description="Its TCP port.")
    unit: int = Field(default=1, ge=0, le=255, description="Its unit, or device, number.")
    address: int = Field(ge=0, le=65535, description="In its table, counted from 0.")
    timeout_ms: Time = Field(default=250, description="No answer for so long is an error.")


class ModbusOutputSettings(OnModbus):
    """A coil of a PLC, or a register that is 1 or 0, over Modbus TCP; read back each time."""

    table: Literal["coil", "holding_register"] = Field(default="coil", description="Where it is.")
    active_low: bool = Field(default=False, description="Active is 0.")


class ModbusInputSettings(OnModbus):
    """A bit of a PLC, or a register that is not 0, over Modbus TCP."""

    table: Literal["coil", "discrete_input", "holding_register", "input_register"] = Field(
        default="discrete_input", description="Where it is."
    )
    active_low: bool = Field(default=False, description="Active is 0.")


class BoardOutputSettings(Section):
    """The reject output of the co-processor that is the line's encoder."""

    type: Literal["serial"]


OutputWire = Annotated[
    MemorySettings
    | GpiodOutputSettings
    | JetsonSettings
    | GpiozeroOutputSettings
    | ModbusOutputSettings,
    Field(discriminator="type"),
]
ActuatorWire = Annotated[
    MemorySettings
    | GpiodOutputSettings
    | JetsonSettings
    | GpiozeroOutputSettings
    | ModbusOutputSettings
    | BoardOutputSettings,
    Field(discriminator="type"),
]
InputWire = Annotated[
    MemorySettings
    | GpiodInputSettings
    | JetsonSettings
    | GpiozeroInputSettings
    | ModbusInputSettings,
    Field(discriminator="type"),
]
