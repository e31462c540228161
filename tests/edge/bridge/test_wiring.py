"""From a line file to real lines: what it names is opened, and what its policies say happens."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from edge.assembly import open_line
from edge.bridge import Bridge, open_bridge, open_input
from edge.bridge.bridge import SensorNews
from edge.bridge.wires import open_encoder, open_output
from edge.errors import TracksideError
from edge.line_file import EncoderSettings, InputWire, LineSettings, OutputWire, read_line
from firmware_bridge.core import News
from firmware_bridge.ledger import EntryKind, read_ledger
from firmware_bridge.lines import MemoryLine
from firmware_bridge.types import Fired, Mode
from stands.boards import Cable, HostBoard
from stands.firmware import build
from stands.gpio_chip import CHIP, GpioChip, JetsonHeader
from stands.line_files import CAMERA, changed
from stands.places import STEEL_LINE
from stands.plc import Plc
from stands.waiting import eventually

BEAT, VALVE, MARKER, STOP, BIN, RESET, BYPASS, SENSOR = range(8)  # coils
COUNTER = 10  # register
MM = 1_000


@pytest.fixture
def chip(chip: GpioChip, header: JetsonHeader) -> GpioChip:
    """Where a Jetson's header stands beside it."""
    return chip


def on(plc: Plc, table: str, address: int) -> dict[str, Any]:
    place = {"host": "127.0.0.1", "port": plc.port, "timeout_ms": 2000}
    return {"type": "modbus", **place, "table": table, "address": address}


def line_of(folder: Path, **sections: Any) -> LineSettings:
    """The demo's line with other sections, or with other keys in them."""
    line = changed(yaml.safe_load(STEEL_LINE.read_text()), **sections)
    (folder / "line.yaml").write_text(yaml.safe_dump(line))
    return read_line(folder / "line.yaml")


OUTPUTS = [
    {"type": "memory"},
    {"type": "gpiod", "chip": CHIP, "line": 7, "drive": "open_drain", "pull": "up"},
    {"type": "gpiod", "chip": CHIP, "line": "GPIO17", "active_low": True},
    {"type": "jetson", "pin": 31, "active_low": True},
    {"type": "gpiozero", "factory": "mock", "pin": "GPIO20"},
]
INPUTS = [
    {"type": "memory"},
    {"type": "gpiod", "chip": CHIP, "line": 7, "pull": "down"},
    {"type": "jetson", "pin": 31},
    {"type": "gpiozero", "factory": "mock", "pin": "GPIO20", "pull": "up"},
]


@pytest.mark.parametrize("settings", OUTPUTS, ids=lambda s: s["type"])
def test_each_output_that_a_line_file_names_is_claimed(
    settings: dict[str, Any], chip: GpioChip
) -> None:
    checked: OutputWire = TypeAdapter(OutputWire).validate_python(settings)
    with open_output(checked, safe_active=True) as line:
        line.set(False)
        if settings["type"] == "gpiod":
            assert list(chip.holders) in ([7], [17])


@pytest.mark.parametrize("settings", INPUTS, ids=lambda s: s["type"])
def test_each_input_that_a_line_file_names_is_read(
    settings: dict[str, Any], chip: GpioChip
) -> None:
    checked: InputWire = TypeAdapter(InputWire).validate_python(settings)
    with open_input(checked) as line:
        assert line.read() is (settings.get("pull") == "up")
    assert not chip.holders


def test_each_encoder_that_a_line_file_names_counts(chip: GpioChip, plc: Plc) -> None:
    count = {"speed_mm_s": 100, "um_per_count": 250}
    for settings in (
        {"type": "simulated", "speed_mm_s": 100},
        {"type": "gpiod", "chip": CHIP, "a": 5, "b": 6, "debounce_us": 5, **count},
        {"type": "gpiod", "chip": CHIP, "a": "GPIO17", **count},
        {**on(plc, "input_register", 3), "bits": 32, **count},
    ):
        checked: EncoderSettings = TypeAdapter(EncoderSettings).validate_python(settings)
        with open_encoder(checked, silence_ns=10**9) as encoder:
            assert encoder.read().position_um >= 0


def on_plc(plc: Plc, folder: Path, **reject: Any) -> LineSettings:
    """A line on a PLC, that moves as its counter says."""
    encoder = on(plc, "holding_register", COUNTER) | {"um_per_count": 1000, "speed_mm_s": 100_000}
    plc.set_registers(COUNTER, [0])
    for coil in (BIN, RESET, BYPASS, SENSOR):
        plc.set_coil(coil, False)
    actuator = {"min_pulse_ms": 1, "delay_ms": 0, "margin_mm": 5}
    marker = {"name": "marker", "output": on(plc, "coil", MARKER), "offset_mm": 200, **actuator}
    return line_of(
        folder,
        encoder=encoder,
        heartbeat={"output": on(plc, "coil", BEAT)},
        reject={
            "name": "valve",
            "output": on(plc, "coil", VALVE),
            "offset_mm": 100,
            "also": [marker],
            "stop_line": on(plc, "coil", STOP),
            "ledger": "rejects.sqlite",
            "silence_ms": 5000,
            **actuator,
            **reject,
        },
        inputs=[
            {"name": "bin full", "input": on(plc, "coil", BIN), "then": "stop_line"},
            {"name": "reset", "input": on(plc, "coil", RESET), "then": "acknowledge"},
            {"name": "bypass key", "input": on(plc, "coil", BYPASS), "then": "bypass"},
        ],
    )


def move(plc: Plc, from_mm: int, to_mm: int) -> None:
    """In steps, as a rail goes: nobody would believe a leap."""
    for place_mm in (*range(from_mm, to_mm, 10), to_mm):
        plc.set_registers(COUNTER, [place_mm])
        time.sleep(0.001)


def shown(plc: Plc, *coils: int) -> list[bool]:
    return [plc.coil(coil) for coil in coils]


def pressed(plc: Plc, bridge: Bridge, coil: int) -> None:
    plc.set_coil(coil, True)
    eventually(lambda: bridge.desk.mode is Mode.ORDERED)
    plc.set_coil(coil, False)


def test_two_actuators_reject_the_same_rail_each_at_its_place(plc: Plc, tmp_path: Path) -> None:
    seen = []
    with open_bridge(on_plc(plc, tmp_path), trial=True) as bridge:
        bridge.submit([CAMERA], 0, 20 * MM, "a crack")
        for before_mm, place_mm in pairwise((0, 50, 97, 150, 197, 260)):
            move(plc, before_mm, place_mm)
            eventually(lambda at=place_mm: bridge.where().position_um == at * MM)
            time.sleep(0.1)
            seen.append(shown(plc, VALVE, MARKER))
        report = bridge.desk.report()
    assert seen == [[False, False], [True, False], [False, False], [False, True], [False, False]]
    assert all(isinstance(outcome, Fired) for outcome in report.outcomes)
    assert shown(plc, VALVE, MARKER, STOP) == [True, True, True]
    kinds = [entry.kind for entry in read_ledger(tmp_path / "rejects.sqlite")]
    assert kinds.count(EntryKind.ORDER) == kinds.count(EntryKind.FIRED) == 2


def test_keys_and_sensors_override_the_orders_and_the_ledger_says_why(
    plc: Plc, tmp_path: Path
) -> None:
    with open_bridge(on_plc(plc, tmp_path), trial=True) as bridge:
        eventually(lambda: shown(plc, VALVE, MARKER, STOP) == [False, False, False])
        plc.set_coil(BIN, True)
        eventually(lambda: shown(plc, VALVE, MARKER, STOP) == [True, True, True])
        plc.set_coil(BYPASS, True)
        eventually(lambda: shown(plc, VALVE, MARKER, STOP) == [False, False, False])
        plc.set_coil(BYPASS, False)
        eventually(lambda: shown(plc, VALVE, MARKER, STOP) == [True, True, True])
        plc.set_coil(BIN, False)
        eventually(lambda: shown(plc, VALVE, MARKER, STOP) == [False, False, False])
        bridge.check()
    entries = read_ledger(tmp_path / "rejects.sqlite")
    assert [(e.tag, e.reason) for e in entries if e.kind is EntryKind.MODE] == [
        ("stop line", "bin full: bin full is on"),
        ("bypass", "bypass key: bypass key is on"),
        ("stop line", "bypass key: bypass key is off"),
        ("as ordered", "bin full: bin full is off"),
    ]


def test_what_is_missed_rejects_all_until_it_is_acknowledged(plc: Plc, tmp_path: Path) -> None:
    with open_bridge(on_plc(plc, tmp_path, on_missed="reject_all", also=[]), trial=True) as bridge:
        move(plc, 0, 500)
        eventually(lambda: bridge.where().position_um == 500 * MM)
        bridge.submit([CAMERA], 0, 20 * MM, "long gone")
        eventually(lambda: plc.coil(VALVE))
        assert bridge.desk.mode is Mode.REJECT_ALL
        pressed(plc, bridge, RESET)
        eventually(lambda: not plc.coil(VALVE))


def test_a_pulse_that_no_sensor_saw_stops_the_line_until_it_is_acknowledged(
    plc: Plc, tmp_path: Path
) -> None:
    confirm = {"input": on(plc, "coil", SENSOR), "within_ms": 4000}
    told: list[News | SensorNews] = []
    with open_bridge(
        on_plc(plc, tmp_path, confirm=confirm, also=[]), told.append, trial=True
    ) as bridge:
        eventually(lambda: not plc.coil(VALVE))
        bridge.submit([CAMERA], 0, 20 * MM, "the first")
        bridge.submit([CAMERA], 500 * MM, 520 * MM, "the second")
        move(plc, 0, 100)
        eventually(lambda: plc.coil(VALVE))
        plc.set_coil(SENSOR, True)
        eventually(lambda: any(isinstance(each, SensorNews) for each in told))
        plc.set_coil(SENSOR, False)
        for before_mm, place_mm in pairwise((100, 300, 600)):
            move(plc, before_mm, place_mm)
            eventually(lambda at=place_mm: plc.coil(VALVE) is (at == 600))
        eventually(lambda: plc.coil(STOP))
        pressed(plc, bridge, RESET)
    entries = read_ledger(tmp_path / "rejects.sqlite")
    seen = [e.kind for e in entries if e.kind in {EntryKind.CONFIRMED, EntryKind.UNCONFIRMED}]
    assert seen == [EntryKind.CONFIRMED, EntryKind.UNCONFIRMED]


def test_inputs_that_can_no_longer_be_read_end_the_line(tmp_path: Path) -> None:
    with Plc() as plc:
        key = {"name": "key", "input": on(plc, "discrete_input", 0), "then": "reject_all"}
        with (
            pytest.raises(TracksideError, match=r"inputs are no longer read.*network cable"),
            open_bridge(line_of(tmp_path, inputs=[key])) as bridge,
        ):
            bridge.check()
            plc.kill()
            while True:
                bridge.check()
                time.sleep(0.01)


def test_all_is_rejected_but_what_was_inspected(tmp_path: Path) -> None:
    sound = {"defects_per_metre": 0.0, "distractors_per_metre": 0.0}
    reject = {"offset_mm": 1500, "margin_mm": 100}  # 200 ms late is in time
    camera = sound | {"quality": {"stale_after_ms": 10_000}}
    config = line_of(tmp_path, camera=camera, reject=reject)
    with open_line(config, frames=4) as line:
        line.run(lambda _: None)
        line.wait_for(2_500 * MM)
        report, states = line.report(), line.rehearsal.reject_pin.states
    assert (report.passed, report.late_passes, report.missed) == (4, 0, 0)
    assert states == [True, False, True]  # the four frames are one stretch of good rail


@pytest.mark.parametrize("own_output", [True, False])
def test_a_co_processor_counts_and_may_reject_as_well(
    own_output: bool, tmp_path: Path, images: Path
) -> None:
    board = HostBoard(tmp_path, build("host", images))
    cable = Cable(board.link)
    encoder = {"type": "serial", "port": cable.port, "um_per_count": 2.5, "speed_mm_s": 50}
    output = {"type": "serial"} if own_output else {"type": "memory"}
    reject = {"output": output, "offset_mm": 10, "delay_ms": 0, "margin_mm": 20}
    reject["silence_ms"] = 5000
    try:
        with open_bridge(line_of(tmp_path, encoder=encoder, reject=reject), trial=True) as bridge:

            def fires() -> bool:  # on a machine that is busy one may come too late
                at_um = bridge.where().position_um + 100 * MM
                bridge.submit([CAMERA], at_um, at_um + 5 * MM, "a crack")
                time.sleep(2)
                return bridge.desk.report().fired > 0

            eventually(fires)
            assert bridge.where().position_um > 50 * MM
            assert (bridge.rig is None) is own_output
            if not own_output:
                assert bridge.rig is not None
                (driven,) = bridge.rig.outputs
                assert isinstance(driven.line, MemoryLine)
                assert True in driven.line.states[2:]
        assert board.rejects()
    finally:
        cable.close()
        board.close()


def test_a_line_with_wires_is_no_rehearsal(plc: Plc, tmp_path: Path) -> None:
    with (
        open_bridge(on_plc(plc, tmp_path)) as bridge,
        pytest.raises(TracksideError, match="memory"),
    ):
        bridge.rehearsal()
