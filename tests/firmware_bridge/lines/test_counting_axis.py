"""A PLC's counter that another run read before: believed only where nothing can have broken it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_bridge.ledger import Known, Place, boot, since_boot_ns
from firmware_bridge.lines.counting_axis import CountingAxis
from firmware_bridge.types import SECOND_NS

AXIS = CountingAxis("plc", bits=16, nm_per_count=100_000, fastest_um_s=1_000_000)  # 10 counts a ms


def known(position_um: int, seconds_ago: float = 1) -> Known:
    """A run that began where the counter showed 60,000."""
    place = AXIS.place(60_000, None)
    at_ns = since_boot_ns() - round(seconds_ago * SECOND_NS)
    return Known(1, place, position_um, boot(), at_ns, ())


def moved_um(before: Known, raw: int, axis: CountingAxis = AXIS) -> int | None:
    """How far the rail went meanwhile; None where that is not known."""
    place = axis.place(raw, before)
    if place.axis != before.place.axis:
        return None
    return place.origin_um - before.place.origin_um - before.position_um


def test_the_rail_is_found_again_beyond_a_rollover() -> None:
    before = known(position_um=(20_000 - 536) * 100 + 1_000_000)  # the counter showed 24,000
    assert before.position_um == 2_946_400
    raw = (60_000 + 29_464 + 500) % 65_536
    assert moved_um(before, raw) == 50_000


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (63_000 + 12_000 - 65_536, "further than the rail can have come"),
        (400, "a counter that began anew at 0 would show so too"),
        (65_400, "or back from 0"),
    ],
)
def test_a_counter_that_may_have_been_reset_is_not_believed(raw: int, why: str) -> None:
    before = known(position_um=300_000, seconds_ago=0.2)  # the counter showed 63,000
    assert moved_um(before, 62_000) == -100_000
    assert moved_um(before, raw) is None, why


def test_a_counter_that_may_have_gone_round_is_not_believed() -> None:
    assert moved_um(known(0, seconds_ago=4), 20_000) is None  # 40,000 counts; it knows 65,536


def test_another_counter_or_another_life_of_the_machine_is_not_believed() -> None:
    before = known(0, seconds_ago=0)
    assert moved_um(before, 60_500) == 50_000
    assert moved_um(before, 60_500, replace(AXIS, name="plc 2")) is None
    assert moved_um(replace(before, boot="the life before"), 60_500) is None
    assert moved_um(replace(before, place=Place("board 7", 0)), 60_500) is None
    assert AXIS.place(5, None) != AXIS.place(5, None)  # each counting that begins has its own name
