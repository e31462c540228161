"""From what a line file says of pins and encoders to the bridge's lines and encoders.

Those that need a driver are imported when a line file asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from edge.clock import clock_ns
from edge.line_file import (
    ActuatorSettings,
    EncoderSettings,
    GpiodEncoderSettings,
    InputWire,
    ModbusEncoderSettings,
    ModbusNameSettings,
    OutputWire,
    RejectSettings,
    SerialEncoderSettings,
    SimulatedEncoderSettings,
)
from edge.line_file.wires import (
    GpiodInputSettings,
    GpiodOutputSettings,
    GpiozeroInputSettings,
    GpiozeroOutputSettings,
    JetsonSettings,
    MemorySettings,
    ModbusInputSettings,
    ModbusOutputSettings,
)
from firmware_bridge.board.serial_link import SerialLink
from firmware_bridge.core import Actuator, ActuatorTraits, News
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

if TYPE_CHECKING:
    from firmware_bridge.lines.modbus_line import PlcPlace

_LEAP = 2  # times the line's speed: a counter that goes faster was reset, or misread


def open_output(settings: OutputWire, *, safe_active: bool | None) -> OutputLine:
    """The output, claimed and in its safe state; of a heartbeat, which has none, as it was."""
    match settings:
        case MemorySettings():
            return MemoryLine(clock_ns, safe_active=safe_active)
        case GpiodOutputSettings():
            from firmware_bridge.lines.gpiod_line import GpiodOutput

            return GpiodOutput(
                settings.chip,
                settings.line,
                safe_active=safe_active,
                active_low=settings.active_low,
                drive=settings.drive,
                pull=settings.pull,
            )
        case GpiozeroOutputSettings(pin=pin, factory=factory, active_low=active_low):
            from firmware_bridge.lines.gpiozero_line import GpiozeroOutput

            return GpiozeroOutput(
                pin, factory=factory, safe_active=safe_active, active_low=active_low
            )
        case JetsonSettings(pin=number, active_low=active_low):
            from firmware_bridge.lines.jetson_line import JetsonOutput

            return JetsonOutput(number, safe_active=safe_active, active_low=active_low)
        case ModbusOutputSettings():
            from firmware_bridge.lines.modbus_line import ModbusOutput

            return ModbusOutput(
                _in_plc(settings), safe_active=safe_active, active_low=settings.active_low
            )


def open_input(settings: InputWire) -> InputLine:
    """The input, claimed; LineError where that is refused."""
    match settings:
        case MemorySettings():
            return MemoryInput()
        case GpiodInputSettings(chip=chip, line=line, active_low=active_low, pull=pull):
            from firmware_bridge.lines.gpiod_line import GpiodInput

            return GpiodInput(chip, line, active_low=active_low, pull=pull)
        case GpiozeroInputSettings(pin=pin, factory=factory, active_low=active_low, pull=pull):
            from firmware_bridge.lines.gpiozero_line import GpiozeroInput

            return GpiozeroInput(pin, factory=factory, active_low=active_low, pull=pull)
        case JetsonSettings(pin=number, active_low=active_low):
            from firmware_bridge.lines.jetson_line import JetsonInput

            return JetsonInput(number, active_low=active_low)
        case ModbusInputSettings():
            from firmware_bridge.lines.modbus_line import ModbusInput

            return ModbusInput(_in_plc(settings), active_low=settings.active_low)


@contextmanager
def open_register(settings: ModbusNameSettings) -> Iterator[Callable[[], int]]:
    """A number that a PLC keeps, to be read over and over."""
    from firmware_bridge.lines.modbus_line import ModbusRegister

    with ModbusRegister(
        _in_plc(settings), bits=settings.bits, low_word_first=settings.low_word_first
    ) as register:
        yield register.read


def open_encoder(settings: EncoderSettings, *, silence_ns: int) -> AbstractContextManager[Encoder]:
    """The encoder, counting from 0."""
    match settings:
        case SimulatedEncoderSettings():
            speed = Speed(0, round(settings.speed_mm_s * 1000))
            return nullcontext(SimulatedEncoder(clock_ns, [speed]))
        case SerialEncoderSettings():
            # Only its encoder is used: its own output gets no orders, so its traits do not matter.
            nothing = ActuatorTraits(offset_um=0)
            return open_board(settings, nothing, DeskSettings(silence_ns=silence_ns))
        case GpiodEncoderSettings():
            from firmware_bridge.lines.gpiod_line import GpiodEncoder

            return GpiodEncoder(
                settings.chip,
                settings.a,
                settings.b,
                clock=clock_ns,
                nm_per_count=round(settings.um_per_count * 1000),
                pull=settings.pull,
                debounce_us=settings.debounce_us,
            )
        case ModbusEncoderSettings():
            from firmware_bridge.lines.modbus_line import ModbusEncoder

            return ModbusEncoder(
                _in_plc(settings),
                clock_ns,
                bits=settings.bits,
                low_word_first=settings.low_word_first,
                nm_per_count=round(settings.um_per_count * 1000),
                fastest_um_s=round(_LEAP * settings.speed_mm_s * 1000),
            )


def _in_plc(
    settings: ModbusOutputSettings
    | ModbusInputSettings
    | ModbusNameSettings
    | ModbusEncoderSettings,
) -> PlcPlace:
    from firmware_bridge.lines.modbus_line import PlcPlace

    return PlcPlace(
        settings.host,
        settings.table,
        settings.address,
        port=settings.port,
        unit=settings.unit,
        timeout_ns=round(settings.timeout_ms * 1e6),
    )


def open_board(
    encoder: SerialEncoderSettings,
    actuator: ActuatorTraits,
    settings: DeskSettings,
    *,
    name: str = "reject",
    rail: str = "",
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
        rail=rail,
        stop_line=stop_line,
        release_on_close=release_on_close,
        ledger=ledger,
        watch=watch,
    )


def open_rig(
    encoder: EncoderSettings, reject: RejectSettings, rails: Mapping[str, str], stack: ExitStack
) -> Rig:
    """Encoder, outputs and stop line, which the stack closes; each actuator serves its rail."""
    silence_ns = round(reject.silence_ms * 1e6)
    counted = stack.enter_context(open_encoder(encoder, silence_ns=silence_ns))
    outputs = []
    for actuator in reject.actuators:
        assert actuator.output.type != "serial", "the line file was checked"
        safe = actuator.safe == "reject"
        line = stack.enter_context(open_output(actuator.output, safe_active=safe))
        line.set(True)  # reject from the start: nobody has looked at the rail under it yet
        placed = Actuator(actuator.name, actuator_traits(actuator), rails[actuator.name])
        released = actuator.safe == "pass"
        outputs.append(Output(placed, line, released_on_close=released))
    return Rig(counted, outputs, open_stop_line(reject, stack), _place_of(counted))


def _place_of(encoder: Encoder) -> Callable[[Known | None], Place | None]:
    """How the next run finds the rail again: by a counter that goes on by itself, or not at all."""
    if isinstance(encoder, SerialLink):
        return lambda _: encoder.place
    place: Callable[[Known | None], Place | None] = getattr(encoder, "place", lambda _: None)
    return place


def open_stop_line(reject: RejectSettings, stack: ExitStack) -> OutputLine | None:
    """The output that stops the line, if there is one; at rest it does."""
    if reject.stop_line is None:
        return None
    return stack.enter_context(open_output(reject.stop_line, safe_active=True))


def actuator_traits(config: ActuatorSettings) -> ActuatorTraits:
    """Where it sits and how it moves."""
    return ActuatorTraits(
        offset_um=round(config.offset_mm * 1000),
        delay_ns=round(config.delay_ms * 1e6),
        margin_um=round(config.margin_mm * 1000),
        dwell_ns=round(config.min_pulse_ms * 1e6),
        min_gap_um=round(config.min_gap_mm * 1000),
    )
