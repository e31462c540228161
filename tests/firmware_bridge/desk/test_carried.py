"""What a run takes over from the one before it, and what it leaves."""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge.core import Actuator, ActuatorTraits
from firmware_bridge.desk.carried import SEEN_BEFORE, carry
from firmware_bridge.ledger import Entry, EntryKind, Known, PassedRail, Piece, Place
from firmware_bridge.types import Order, Reading

MM = 1_000
MARKER = Actuator("marker", ActuatorTraits(offset_um=300 * MM, margin_um=10 * MM))
GATE = Actuator("gate", ActuatorTraits(offset_um=800 * MM, margin_um=10 * MM))
# The rail up to 1 m had been looked at when the run before was last heard of, at 1.01 m.
KNOWN = Known(
    run=5,
    place=Place("plc", 2_000 * MM),
    position_um=1_010 * MM,
    boot="",
    at_ns=0,
    passed=(Piece("", 0, 1_000 * MM),),
)
# The new one begins 400 mm further on, and calls that 0.
HERE, NOW = Place("plc", (2_000 + 1_010 + 400) * MM), Reading(0, 0)


def ordered(number: int, actuator: str, start_mm: int, end_mm: int) -> Entry:
    order = Entry(EntryKind.ORDER, 0, number=number, actuator=actuator, rail="", tag="frame")
    return replace(order, start_um=start_mm * MM, end_um=end_mm * MM)


def test_what_has_not_gone_by_is_fired_and_what_was_seen_may_pass_each_where_it_lies() -> None:
    # The gate has the rail from 610 mm on, in the places of the run before; the marker is beyond.
    orders = [ordered(1, "gate", 500, 520), ordered(2, "gate", 600, 640)]
    orders += [ordered(3, "marker", 900, 940), ordered(4, "gate", 900, 940)]
    carried = carry(KNOWN, orders, HERE, NOW, [MARKER, GATE])
    assert carried.gone_by == (orders[0], orders[2])
    assert [(entry.number, order.start_um, order.actuator) for entry, order in carried.orders] == [
        (2, (600 - 1_410) * MM, "gate"),
        (4, (900 - 1_410) * MM, "gate"),
    ]
    assert {order.actuator for order in carried.passes} == {"gate"}
    assert carried.passes[0] == Order(-790 * MM, -740 * MM, SEEN_BEFORE, "", "gate")  # a margin on
    ends = [order.end_um for order in carried.passes]
    assert [order.start_um for order in carried.passes[1:]] == ends[:-1]
    assert ends[-1] == (1_000 - 1_410) * MM
    assert carried.passed == (Piece("", -1_410 * MM, -410 * MM),)
    assert carried.went_um == 400 * MM


def test_where_the_rail_is_not_known_nothing_may_pass_and_every_order_is_missed() -> None:
    order = ordered(1, "gate", 900, 940)
    for known, place in ((None, HERE), (KNOWN, None), (KNOWN, Place("another", 3_410 * MM))):
        carried = carry(known, [order], place, NOW, [GATE])
        assert (carried.orders, carried.passes, carried.gone_by) == ((), (), (order,))
        assert carried.went_um is None


def test_nothing_is_let_by_so_near_to_unseen_rail_that_a_kill_would_let_that_by_too() -> None:
    gap = replace(KNOWN, passed=(Piece("", 0, 700 * MM), Piece("", 764 * MM, 1_000 * MM)))
    passes = carry(gap, [], HERE, NOW, [GATE], coast_um=30 * MM).passes
    let_by = [(order.start_um + 1_410 * MM, order.end_um + 1_410 * MM) for order in passes]
    ends = {end for _, end in let_by} - {start for start, _ in let_by}
    assert ends == {670 * MM, 970 * MM}


def test_rail_that_went_back_is_not_let_by_a_second_time() -> None:
    back = Place("plc", KNOWN.place.origin_um + 710 * MM)  # 300 mm back
    [first, *_] = carry(KNOWN, [], back, NOW, [GATE]).passes
    assert first.start_um == (1_010 - 800 + 10 - 710) * MM


def test_rail_between_two_pieces_that_passed_did_not() -> None:
    passed = PassedRail()
    for start_mm, end_mm in ((0, 60), (50, 110), (170, 230), (230, 290)):
        passed.add(Piece("", start_mm * MM, end_mm * MM))
    passed.add(Piece("left", 60 * MM, 120 * MM))
    assert passed.pieces() == (
        Piece("", 0, 110 * MM),
        Piece("", 170 * MM, 290 * MM),
        Piece("left", 60 * MM, 120 * MM),
    )
    known = replace(KNOWN, passed=passed.pieces(), position_um=300 * MM)
    near = Actuator("gate", ActuatorTraits(offset_um=400 * MM))
    passes = carry(known, [], replace(known.place, origin_um=2_300 * MM), NOW, [near]).passes
    assert [(order.start_um, order.end_um) for order in passes] == [
        (-300 * MM, -250 * MM),
        (-250 * MM, -200 * MM),
        (-200 * MM, -190 * MM),
        (-130 * MM, -80 * MM),
        (-80 * MM, -30 * MM),
        (-30 * MM, -10 * MM),
    ]
