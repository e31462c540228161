"""From what a line file says of pins and encoders to the bridge's lines and encoders."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pkgutil import resolve_name
from typing import Any

from edge.clock import clock_ns
from edge.line_file import (
    ActuatorConfig,
    EncoderSettings,
    GpiodEncoderSettings,
    InputSettings,
    ModbusEncoderSettings,
    OutputSettings,
    RejectConfig,
    Section,
    SerialEncoderSettings,
    SimulatedEncoderSettings,
)
from firmware_bridge.board.serial_link import SerialLink
from firmware_bridge.core import Actuator, ActuatorSettings, News
from firmware_bridge.desk import DeskSettings, Output, Rig
from firmware_bridge.ledger import Known, Ledger, Place
from firmware_bridge.lines import (
    Encoder,
    InputLine,
    MemoryInput,
    MemoryLine,
    OutputLine,
    SimulatedEncoder,
    Speed,
)

# Resolved when a line file asks for them, because each needs a driver of its own.
_OUTPUTS = {
    "gpiod": "firmware_bridge.lines.gpiod_line:GpiodOutput",
    "gpiozero": "firmware_bridge.lines.gpiozero_line:GpiozeroOutput",
    "jetson": "firmware_bridge.lines.jetson_line:JetsonOutput",
    "modbus": "firmware_bridge.lines.modbus_line:ModbusOutput",
}
_INPUTS = {
    "gpiod": "firmware_bridge.lines.gpiod_line:GpiodInput",
    "gpiozero": "firmware_bridge.lines.gpiozero_line:GpiozeroInput",
    "jetson": "firmware_bridge.lines.jetson_line:JetsonInput",
    "modbus": "firmware_bridge.lines.modbus_line:ModbusInput",
}
_LEAP = 2  # a counter that goes so many times as fast as the line can has leapt


def open_output(settings: OutputSettings, *, safe_active: bool | None) -> OutputLine:
    """The output, claimed and in its safe state; of a heartbeat, which has none, as it was."""
    if settings.type == "memory":
        return MemoryLine(clock_ns, safe_active=safe_active)
    claim = resolve_name(_OUTPUTS[settings.type])
    output: OutputLine = claim(**_arguments(settings), safe_active=safe_active)
    return output


def open_input(settings: InputSettings) -> InputLine:
    """The input, claimed."""
    if settings.type == "memory":
        return MemoryInput()
    claim = resolve_name(_INPUTS[settings.type])
    claimed: InputLine = claim(**_arguments(settings))
    return claimed


def open_encoder(settings: EncoderSettings, *, silence_ns: int) -> AbstractContextManager[Encoder]:
    """The encoder, counting from 0."""
    match settings:
        case SimulatedEncoderSettings():
            speed = Speed(0, round(settings.speed_mm_s * 1000))
            return nullcontext(SimulatedEncoder(clock_ns, [speed]))
        case SerialEncoderSettings():
            # Its own output is given no orders.
            nothing = ActuatorSettings(offset_um=0)
            return open_board(settings, nothing, DeskSettings(silence_ns=silence_ns))
        case GpiodEncoderSettings():
            count = resolve_name("firmware_bridge.lines.gpiod_line:GpiodEncoder")
            arguments = _arguments(settings)
        case ModbusEncoderSettings():
            count = resolve_name("firmware_bridge.lines.modbus_line:ModbusEncoder")
            arguments = _arguments(settings)
            arguments["fastest_um_s"] = round(_LEAP * settings.speed_mm_s * 1000)
    arguments["nm_per_count"] = round(settings.um_per_count * 1000)
    encoder: AbstractContextManager[Encoder] = count(**arguments, clock=clock_ns)
    return encoder


def open_board(
    encoder: SerialEncoderSettings,
    actuator: ActuatorSettings,
    settings: DeskSettings,
    *,
    name: str = "reject",
    stop_line: OutputLine | None = None,
    release_on_close: bool = False,
    ledger: Ledger | None = None,
    watch: Callable[[News], None] | None = None,
) -> SerialLink:
    """The co-processor: an encoder, and a desk for its own output."""
    return SerialLink(
        encoder.port,
        actuator,
        clock_ns,
        settings,
        nm_per_count=round(encoder.um_per_count * 1000),
        fastest_um_s=round(_LEAP * encoder.speed_mm_s * 1000),
        serial_number=encoder.serial_number,
        firmware=encoder.firmware,
        baud=encoder.baud,
        name=name,
        stop_line=stop_line,
        release_on_close=release_on_close,
        ledger=ledger,
        watch=watch,
    )


def open_rig(encoder: EncoderSettings, reject: RejectConfig, stack: ExitStack) -> Rig:
    """Encoder, outputs and stop line, which the stack closes."""
    silence_ns = round(reject.silence_ms * 1e6)
    counted = stack.enter_context(open_encoder(encoder, silence_ns=silence_ns))
    outputs = []
    for actuator in reject.actuators:
        assert actuator.output.type != "serial", "the line file was checked"
        safe = actuator.safe == "reject"
        line = stack.enter_context(open_output(actuator.output, safe_active=safe))
        line.set(True)  # nobody has looked at the rail under it yet
        placed = Actuator(actuator.name, actuator_settings(actuator))
        released = actuator.safe == "pass"
        outputs.append(Output(placed, line, released_on_close=released))
    return Rig(counted, outputs, open_stop_line(reject, stack), _place_of(counted))


def _place_of(encoder: Encoder) -> Callable[[Known | None], Place | None]:
    """How the next run finds the rail again: by a counter that goes on by itself, or not at all."""
    if isinstance(encoder, SerialLink):
        return lambda _: encoder.place
    place: Callable[[Known | None], Place | None] = getattr(encoder, "place", lambda _: None)
    return place


def open_stop_line(reject: RejectConfig, stack: ExitStack) -> OutputLine | None:
    """The output that stops the line, if there is one; at rest it does."""
    if reject.stop_line is None:
        return None
    return stack.enter_context(open_output(reject.stop_line, safe_active=True))


def actuator_settings(config: ActuatorConfig) -> ActuatorSettings:
    """Where it sits and how it moves."""
    return ActuatorSettings(
        offset_um=round(config.offset_mm * 1000),
        delay_ns=round(config.delay_ms * 1e6),
        margin_um=round(config.margin_mm * 1000),
        dwell_ns=round(config.min_pulse_ms * 1e6),
        min_gap_um=round(config.min_gap_mm * 1000),
    )


def _arguments(settings: Section) -> dict[str, Any]:
    """The settings that an adapter knows by the same name, and its times in nanoseconds."""
    arguments = settings.model_dump(exclude={"type", "speed_mm_s", "um_per_count"})
    if "timeout_ms" in arguments:
        arguments["timeout_ns"] = round(arguments.pop("timeout_ms") * 1e6)
    return arguments
