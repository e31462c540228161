"""Every output and every input keeps one contract, on a PLC that can be killed and on stand-ins."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from firmware_bridge.errors import LineError
from firmware_bridge.lines import InputLine, MemoryInput, MemoryLine, OutputLine
from firmware_bridge.lines.gpiod_line import GpiodInput, GpiodOutput
from firmware_bridge.lines.gpiozero_line import GpiozeroInput, GpiozeroOutput, pin_factory
from firmware_bridge.lines.jetson_line import JetsonInput, JetsonOutput
from firmware_bridge.lines.modbus_line import ModbusInput, ModbusOutput, PlcPlace, Table
from stands.gpio_chip import CHIP, GpioChip, JetsonHeader
from stands.plc import WORDS, Plc


@dataclass(frozen=True)
class Output:
    """How to claim an output, given its safe state, and whether its wire is seen at `active`."""

    claim: Callable[[bool | None], OutputLine]
    is_active: Callable[[OutputLine], bool]


@dataclass(frozen=True)
class Input:
    """How to claim an input, and to make its wire active or not."""

    claim: Callable[[], InputLine]
    drive: Callable[[InputLine, bool], None]


def memory_output(_: pytest.FixtureRequest) -> Output:
    def is_active(line: OutputLine) -> bool:
        assert isinstance(line, MemoryLine)
        return line.active

    return Output(lambda safe: MemoryLine(time.monotonic_ns, safe_active=safe), is_active)


def gpiod_output(request: pytest.FixtureRequest, *, low: bool) -> Output:
    chip = request.getfixturevalue("chip")
    return Output(
        lambda safe: GpiodOutput(CHIP, "GPIO17", safe_active=safe, active_low=low),
        lambda _: chip.wires[17] != low,
    )


def jetson_output(request: pytest.FixtureRequest, *, low: bool) -> Output:
    header = request.getfixturevalue("header")
    return Output(
        lambda safe: JetsonOutput(31, safe_active=safe, active_low=low),
        lambda _: header.wires[31] != low,
    )


def gpiozero_output(_: pytest.FixtureRequest, *, low: bool) -> Output:
    return Output(
        lambda safe: GpiozeroOutput("GPIO5", factory="mock", safe_active=safe, active_low=low),
        lambda _: bool(pin_factory("mock").pin("GPIO5").state) != low,
    )


def modbus_output(request: pytest.FixtureRequest, table: Table, *, low: bool) -> Output:
    plc: Plc = request.getfixturevalue("plc")
    look = plc.coil if table == "coil" else plc.register

    def claim(safe: bool | None) -> OutputLine:
        place = PlcPlace("127.0.0.1", table, 3, port=plc.port)
        return ModbusOutput(place, safe_active=safe, active_low=low)

    return Output(claim, lambda _: bool(look(3)) != low)


def memory_input(_: pytest.FixtureRequest) -> Input:
    def drive(line: InputLine, active: bool) -> None:
        assert isinstance(line, MemoryInput)
        line.active = active

    return Input(MemoryInput, drive)


def gpiod_input(request: pytest.FixtureRequest, *, low: bool) -> Input:
    chip = request.getfixturevalue("chip")
    return Input(
        lambda: GpiodInput(CHIP, 4, active_low=low, pull="up" if low else "down"),
        lambda _, active: chip.drive(4, active != low),
    )


def jetson_input(request: pytest.FixtureRequest, *, low: bool) -> Input:
    header = request.getfixturevalue("header")

    def drive(_: InputLine, active: bool) -> None:
        header.wires[29] = active != low

    header.wires[29] = low
    return Input(lambda: JetsonInput(29, active_low=low), drive)


def gpiozero_input(_: pytest.FixtureRequest, *, low: bool) -> Input:
    def drive(_: InputLine, active: bool) -> None:
        pin = pin_factory("mock").pin("GPIO6")
        pin.drive_high() if active != low else pin.drive_low()

    pull = "up" if low else "down"
    return Input(lambda: GpiozeroInput("GPIO6", factory="mock", active_low=low, pull=pull), drive)


def modbus_input(request: pytest.FixtureRequest, table: Table, *, low: bool) -> Input:
    plc: Plc = request.getfixturevalue("plc")

    def drive(_: InputLine | None, active: bool) -> None:
        if table == "coil":
            plc.set_coil(4, active != low)
        else:
            plc.set_registers(4, [700 if active != low else 0])

    drive(None, False)
    return Input(
        lambda: ModbusInput(PlcPlace("127.0.0.1", table, 4, port=plc.port), active_low=low),
        drive,
    )


OUTPUTS: dict[str, Callable[[pytest.FixtureRequest], Output]] = {
    "memory": memory_output,
    "gpiod": lambda r: gpiod_output(r, low=False),
    "gpiod, active low": lambda r: gpiod_output(r, low=True),
    "jetson": lambda r: jetson_output(r, low=False),
    "jetson, active low": lambda r: jetson_output(r, low=True),
    "gpiozero": lambda r: gpiozero_output(r, low=False),
    "gpiozero, active low": lambda r: gpiozero_output(r, low=True),
    "modbus coil": lambda r: modbus_output(r, "coil", low=False),
    "modbus coil, active low": lambda r: modbus_output(r, "coil", low=True),
    "modbus register": lambda r: modbus_output(r, "holding_register", low=False),
}
INPUTS: dict[str, Callable[[pytest.FixtureRequest], Input]] = {
    "memory": memory_input,
    "gpiod": lambda r: gpiod_input(r, low=False),
    "gpiod, active low": lambda r: gpiod_input(r, low=True),
    "jetson": lambda r: jetson_input(r, low=False),
    "jetson, active low": lambda r: jetson_input(r, low=True),
    "gpiozero": lambda r: gpiozero_input(r, low=False),
    "gpiozero, active low": lambda r: gpiozero_input(r, low=True),
    "modbus coil": lambda r: modbus_input(r, "coil", low=False),
    "modbus coil, active low": lambda r: modbus_input(r, "coil", low=True),
    "modbus register": lambda r: modbus_input(r, "holding_register", low=False),
}


@pytest.fixture(params=OUTPUTS)
def output(request: pytest.FixtureRequest) -> Output:
    return OUTPUTS[request.param](request)


@pytest.fixture(params=INPUTS)
def input_(request: pytest.FixtureRequest) -> Input:
    return INPUTS[request.param](request)


@pytest.mark.parametrize("safe", [False, True])
def test_an_output_is_safe_before_it_is_set_and_after_it_is_closed(
    output: Output, safe: bool
) -> None:
    with output.claim(safe) as line:
        assert output.is_active(line) is safe
        line.set(not safe)
        assert output.is_active(line) is not safe
    assert output.is_active(line) is safe


def test_an_output_without_a_safe_level_is_claimed_and_closed_without_an_edge(
    output: Output,
) -> None:
    with output.claim(None) as line:
        found = output.is_active(line)
        assert line.active is found
        line.set(not found)
        assert line.active is not found
    assert output.is_active(line) is not found
    with output.claim(None) as again:
        assert again.active is output.is_active(again)


def test_an_output_shows_what_it_was_set_to(output: Output) -> None:
    with output.claim(False) as line:
        for active in (True, True, False, True, False, False):
            line.set(active)
            assert output.is_active(line) is active


def test_a_closed_output_closes_again_and_refuses_to_be_set(output: Output) -> None:
    line = output.claim(False)
    line.close()
    line.close()
    with pytest.raises(LineError, match="claim"):
        line.set(True)
    assert output.is_active(line) is False


def test_an_output_is_closed_when_its_block_fails_and_can_be_claimed_again(output: Output) -> None:
    with pytest.raises(ZeroDivisionError), output.claim(True) as line:
        line.set(False)
        raise ZeroDivisionError
    assert output.is_active(line) is True
    output.claim(False).close()


def test_an_input_reads_what_its_wire_shows_until_it_is_closed(input_: Input) -> None:
    with input_.claim() as line:
        assert line.read() is False
        for active in (True, True, False, True):
            input_.drive(line, active)
            assert line.read() is active
    line.close()
    with pytest.raises(LineError, match="claim"):
        line.read()


def test_memory_keeps_each_change_with_its_time() -> None:
    times = iter([5, 7, 11])
    line = MemoryLine(lambda: next(times), safe_active=False)
    for active in (True, True, False):
        line.set(active)
    assert line.history == [(5, False), (7, True), (11, False)]
    assert line.states == [False, True, False]


@pytest.mark.parametrize(
    ("claim", "remedy"),
    [
        (lambda: GpiodOutput("/dev/gpiochip9", 1, safe_active=True), "gpiodetect"),
        (lambda: GpiodOutput(CHIP, "GPIO99", safe_active=True), "gpioinfo"),
        (lambda: GpiodOutput(CHIP, 99, safe_active=True), "gpioinfo"),
        (lambda: GpiodInput(CHIP, 2), "/dev/gpiochip0 line 2: another program holds it"),
        (lambda: JetsonOutput(2, safe_active=True), "choose a GPIO pin of the header"),
        (lambda: JetsonOutput(40, safe_active=True), "pin 40.*find it with `gpioinfo`"),
        (lambda: JetsonInput(31), "another line here has it: choose another"),
        (lambda: GpiozeroOutput("GPIO99", factory="mock", safe_active=True), "`pinout`"),
        (lambda: GpiozeroInput("J8:11", factory="mock"), "no other line here has"),
        (lambda: GpiozeroInput("GPIO4", factory="lgpio"), "see that this is a Raspberry Pi"),
    ],
)
def test_a_line_that_is_missing_or_taken_says_what_to_do(
    claim: Callable[[], object], remedy: str, chip: GpioChip, header: JetsonHeader
) -> None:
    holders = (
        GpiodInput(CHIP, 2),
        JetsonOutput(31, safe_active=True),
        GpiozeroInput("GPIO17", factory="mock"),
    )
    with pytest.raises(LineError, match=remedy):
        claim()
    for line in holders:
        line.close()
    assert not chip.holders
    assert header.gpio_function(31) == header.UNKNOWN


def test_off_a_jetson_the_vendors_complaint_comes_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Elsewhere:
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("Could not determine Jetson model")

    monkeypatch.setitem(sys.modules, "Jetson", Elsewhere())
    with pytest.raises(LineError, match="run on a Jetson"):
        JetsonOutput(31, safe_active=True)


def test_a_plc_refuses_what_its_map_does_not_have(plc: Plc) -> None:
    with pytest.raises(LineError, match=f"coil {5 * WORDS}.*against the PLC's Modbus map"):
        ModbusInput(PlcPlace("127.0.0.1", "coil", 5 * WORDS, port=plc.port))


@pytest.mark.parametrize("table", ["coil", "input_register"])
def test_a_plc_that_answers_with_no_values_is_named(table: Table) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer_with_nothing() -> None:
            asking, _ = listening.accept()
            with asking:
                asked = asking.recv(260)
                header, function = asked[:4], asked[7:8]
                asking.sendall(header + b"\0\3" + asked[6:7] + function + b"\0")

        plc = threading.Thread(target=answer_with_nothing)
        plc.start()
        with pytest.raises(LineError, match="answered with 0 of 1 values: check table"):
            ModbusInput(PlcPlace("127.0.0.1", table, 1, port=listening.getsockname()[1]))
        plc.join()


def test_a_plc_that_was_killed_is_an_error_until_it_is_back() -> None:
    with Plc() as plc:
        place = PlcPlace("127.0.0.1", "coil", 8, port=plc.port)
        line = ModbusOutput(place, safe_active=True)
        sensor = ModbusInput(place)
        line.set(True)
        plc.kill()
        for _ in range(2):
            with pytest.raises(LineError, match="its supply and the network cable"):
                line.set(False)
            with pytest.raises(LineError, match="its supply and the network cable"):
                sensor.read()
        with pytest.raises(LineError):
            ModbusOutput(place, safe_active=True)
        plc.start()
        assert plc.coil(8) is False  # it forgot, and was not told anything since
        line.set(True)
        assert plc.coil(8) is True
        assert sensor.read() is True
        line.close()
        sensor.close()
