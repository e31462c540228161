"""Every encoder keeps one contract; edges are counted, and those that were lost are noticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.core import Edge, EdgeCounter, SpeedLimit
from firmware_bridge.errors import EncoderError
from firmware_bridge.lines import Encoder, SimulatedEncoder, Speed
from firmware_bridge.lines.gpiod_line import EVENTS_KEPT, GpiodEncoder
from firmware_bridge.lines.modbus_line import ModbusEncoder, PlcPlace
from firmware_bridge.types import SECOND_NS, Reading
from stands.gpio_chip import CHIP, GpioChip, quadrature
from stands.plc import Plc

CLOCK = time.monotonic_ns
NM = 250_000  # a count, or a row


@dataclass(frozen=True)
class Rail:
    """An encoder, how to move the rail by so many counts, and how far ahead of it that may be."""

    encoder: Encoder
    move: Callable[[int], None]
    ahead_um: int = 0


class Shaft:
    """A quadrature encoder's shaft, on lines 5 and 6."""

    def __init__(self, chip: GpioChip) -> None:
        self._chip = chip
        self._place = 0

    def turn(self, counts: int) -> None:
        step = 1 if counts > 0 else -1
        for a, b in quadrature([step] * abs(counts), self._place):
            self._chip.drive(5, a)
            self._chip.drive(6, b)
        self._place += counts


def quadrature_rail(request: pytest.FixtureRequest) -> Rail:
    chip = request.getfixturevalue("chip")
    return Rail(GpiodEncoder(CHIP, 5, 6, clock=CLOCK, nm_per_count=NM), Shaft(chip).turn)


def single_channel_rail(request: pytest.FixtureRequest) -> Rail:
    chip = request.getfixturevalue("chip")

    def move(counts: int) -> None:
        for _ in range(counts):
            chip.drive(5, not chip.wires[5])

    return Rail(GpiodEncoder(CHIP, 5, clock=CLOCK, nm_per_count=NM), move)


def modbus_rail(request: pytest.FixtureRequest, *, bits: int, low_word_first: bool = False) -> Rail:
    plc: Plc = request.getfixturevalue("plc")
    count = (1 << bits) - 3  # about to roll over

    def show() -> None:
        words = [count >> 16 & 0xFFFF, count & 0xFFFF][-bits // 16 :]
        plc.set_registers(20, words[::-1] if low_word_first else words)

    def move(counts: int) -> None:
        nonlocal count
        count = (count + counts) % (1 << bits)
        show()

    show()
    encoder = ModbusEncoder(
        PlcPlace("127.0.0.1", "holding_register", 20, port=plc.port),
        CLOCK,
        bits=bits,
        low_word_first=low_word_first,
        nm_per_count=NM,
        fastest_um_s=10**12,
    )
    return Rail(encoder, move)


def simulated_rail(_: pytest.FixtureRequest) -> Rail:
    encoder = SimulatedEncoder(CLOCK, [Speed(0, 1_000_000)])

    def move(counts: int) -> None:  # it moves by itself
        reached_ns = encoder.when_ns(encoder.read().position_um + counts * NM // 1000)
        while CLOCK() < (reached_ns or 0):
            time.sleep(0.001)

    return Rail(encoder, move, ahead_um=SECOND_NS)


RAILS = {
    "gpiod, two channels": quadrature_rail,
    "gpiod, one channel": single_channel_rail,
    "modbus, 16 bits": lambda r: modbus_rail(r, bits=16),
    "modbus, 32 bits": lambda r: modbus_rail(r, bits=32),
    "modbus, 32 bits, low word first": lambda r: modbus_rail(r, bits=32, low_word_first=True),
    "simulated": simulated_rail,
}


@pytest.fixture(params=RAILS)
def rail(request: pytest.FixtureRequest) -> Rail:
    return RAILS[request.param](request)


def test_an_encoder_tells_how_far_the_rail_went(rail: Rail) -> None:
    start_um = rail.encoder.read().position_um
    for counts_so_far in (40, 80, 120):
        rail.move(40)
        went_um = rail.encoder.read().position_um - start_um
        assert 0 <= went_um - counts_so_far * NM // 1000 <= rail.ahead_um


def test_readings_are_in_order_and_on_the_clock(rail: Rail) -> None:
    before_ns = CLOCK()
    for _ in range(5):
        rail.move(3)
        reading = rail.encoder.read()
        assert before_ns <= reading.at_ns <= CLOCK()
        before_ns = reading.at_ns


@pytest.mark.parametrize("make", [quadrature_rail, RAILS["modbus, 16 bits"]])
def test_an_encoder_of_two_channels_or_a_counter_goes_back_too(
    make: Callable[[pytest.FixtureRequest], Rail], request: pytest.FixtureRequest
) -> None:
    rail = make(request)
    rail.move(10)
    rail.move(-17)
    assert rail.encoder.read().position_um == -7 * NM // 1000


def test_edges_that_the_kernel_dropped_are_noticed_for_good(chip: GpioChip) -> None:
    shaft = Shaft(chip)
    with GpiodEncoder(CHIP, 5, 6, clock=CLOCK, nm_per_count=NM) as encoder:
        shaft.turn(EVENTS_KEPT)
        assert encoder.read().position_um == EVENTS_KEPT * NM // 1000
        shaft.turn(EVENTS_KEPT + 3)
        assert encoder.read().position_um == EVENTS_KEPT * NM // 1000  # they may be late
        for _ in range(2):
            with pytest.raises(EncoderError, match=r"in time: 3: .*co-processor"):
                encoder.read()


def test_of_one_channel_dropped_edges_are_counted_by_their_numbers(chip: GpioChip) -> None:
    with GpiodEncoder(CHIP, 5, clock=CLOCK, nm_per_count=NM) as encoder:
        for edge in range(EVENTS_KEPT + 101):
            chip.drive(5, edge % 2 == 0)
            if edge == 0:
                encoder.read()
        assert encoder.read().position_um == (EVENTS_KEPT + 101) * NM // 1000


def test_an_encoder_that_turns_while_it_is_claimed_starts_where_it_is(chip: GpioChip) -> None:
    shaft = Shaft(chip)
    shaft.turn(3)
    with GpiodEncoder(CHIP, 5, 6, clock=CLOCK, nm_per_count=-NM) as encoder:
        assert encoder.read().position_um == 0
        shaft.turn(2)
        assert encoder.read().position_um == -2 * NM // 1000
    with pytest.raises(EncoderError, match="claim it anew"):
        encoder.read()


def levels_to_edges(levels: list[tuple[bool, bool]]) -> Iterator[Edge]:
    number = 0
    for before, after in pairwise(levels):
        for channel in (0, 1):
            if before[channel] is not after[channel]:
                number += 1
                yield Edge(channel, after[channel], number)


@given(steps=st.lists(st.sampled_from([1, -1]), max_size=200), start=st.integers(0, 3))
def test_two_channels_count_any_to_and_fro(steps: list[int], start: int) -> None:
    levels = list(quadrature([0, *steps], start))
    counter = EdgeCounter(levels[0])
    counter.take(list(levels_to_edges(levels)))
    assert counter.count == sum(steps)


@given(
    steps=st.lists(st.sampled_from([1, -1]), min_size=3, max_size=60),
    lost=st.integers(0, 10_000),
)
def test_no_lost_edge_is_taken_for_another_count(steps: list[int], lost: int) -> None:
    levels = list(quadrature([0, *steps]))
    edges = list(levels_to_edges(levels))
    del edges[1 + lost % (len(edges) - 2)]  # neither the first nor the last: their neighbours tell
    counter = EdgeCounter(levels[0])
    counter.take(edges)
    counter.take([])  # it has not come the next time either
    with pytest.raises(EncoderError, match="in time: 1: "):
        _ = counter.count


@given(
    steps=st.lists(st.sampled_from([1, -1]), min_size=2, max_size=60),
    cut=st.integers(0, 60),
    swap=st.integers(0, 58),
)
def test_edges_that_come_out_of_order_are_put_in_order(
    steps: list[int], cut: int, swap: int
) -> None:
    levels = list(quadrature([0, *steps]))
    edges = list(levels_to_edges(levels))
    first = swap % (len(edges) - 1)
    edges[first], edges[first + 1] = edges[first + 1], edges[first]
    counter = EdgeCounter(levels[0])
    counter.take(edges[:1] if first else [])  # the first one of all has nothing to go by
    if first:
        counter.take(edges[1:cut])
        counter.take(edges[max(1, cut) :])
    else:
        counter.take(edges)
    assert counter.count == sum(steps)


def test_two_edges_that_the_hardware_merged_are_noticed_without_numbers() -> None:
    counter = EdgeCounter([False, False])
    counter.take([Edge(0, rising, number) for number, rising in enumerate([True, False, False])])
    with pytest.raises(EncoderError, match="too near to each other"):
        _ = counter.count


def test_the_edge_that_led_to_the_first_level_is_no_move() -> None:
    counter = EdgeCounter([True, False])
    counter.take([Edge(0, True, 1), Edge(1, True, 2)])
    assert counter.count == 1


def test_a_leap_that_the_line_is_not_fast_enough_for_is_an_error() -> None:
    limit = SpeedLimit(2_000_000, slack_um=100)
    for position_um, at_ns in [(0, 0), (20_100, 10_000_000), (0, 20_000_000)]:
        limit.check(Reading(position_um, at_ns))
    with pytest.raises(EncoderError, match=r"leapt by 20\.2 mm.*whether the counter was reset"):
        limit.check(Reading(20_200, 30_000_000))


def test_a_plc_that_starts_to_count_anew_is_not_believed() -> None:
    with Plc() as plc:
        plc.set_registers(0, [5, 0])
        encoder = ModbusEncoder(
            PlcPlace("127.0.0.1", "holding_register", 0, port=plc.port),
            CLOCK,
            bits=32,
            nm_per_count=NM,
            fastest_um_s=2_000_000,
        )
        plc.kill()
        with pytest.raises(EncoderError, match="network cable"):
            encoder.read()
        plc.start()
        with pytest.raises(EncoderError, match="whether the counter was reset"):
            encoder.read()
        encoder.close()
