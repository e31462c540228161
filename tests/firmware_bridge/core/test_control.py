"""Several actuators under one guard: who gets an order, and what overrides all of them."""

from __future__ import annotations

import pytest

from firmware_bridge.core import (
    Acknowledge,
    Actuator,
    ActuatorTraits,
    Change,
    Control,
    Guard,
    Hold,
    Latch,
    News,
    Pass,
    Release,
)
from firmware_bridge.core.guard import Standing
from firmware_bridge.types import Fired, Missed, Mode, Order, Reading, Reason, Switch

MS = 1_000_000
MM = 1_000
LEFT = [
    Actuator("marker", ActuatorTraits(offset_um=100 * MM), rail="left"),
    Actuator("gate", ActuatorTraits(offset_um=300 * MM), rail="left"),
]
RIGHT = [Actuator("right marker", ActuatorTraits(offset_um=100 * MM), rail="right")]


class Run:
    """A control on a rail that goes a millimetre with each reading, one a millisecond."""

    def __init__(
        self,
        actuators: list[Actuator],
        *,
        on_missed: Mode = Mode.ORDERED,
        default_reject: bool = False,
    ) -> None:
        self.control = Control(actuators, on_missed=on_missed, default_reject=default_reject)
        self.news: list[News] = []
        self.at_mm = 0

    def move(self, mm: int) -> None:
        for _ in range(mm):
            self.at_mm += 1
            self.news += self.control.advance(Reading(self.at_mm * MM, self.at_mm * MS))

    @property
    def switches(self) -> list[tuple[str, bool, int]]:
        """Which, whether on, and where the rail was, in millimetres."""
        return [
            (name, event.active, at_ns // MS)
            for at_ns, name, event in self.news
            if isinstance(event, Switch)
        ]

    @property
    def changes(self) -> list[Change]:
        return [event for _, _, event in self.news if isinstance(event, Change)]


def test_an_order_is_fired_by_every_actuator_of_its_rail_where_each_sits() -> None:
    run = Run([*LEFT, *RIGHT])
    run.control.take(Order(50 * MM, 60 * MM, "rust", rail="left"))
    run.move(500)
    assert run.switches == [
        ("marker", True, 150),
        ("marker", False, 160),
        ("gate", True, 350),
        ("gate", False, 360),
    ]
    assert [name for _, name, event in run.news if isinstance(event, (Fired, Missed))] == [
        "marker",
        "gate",
    ]


def test_a_pass_lets_its_own_rail_by_alone() -> None:
    run = Run([LEFT[0], *RIGHT], default_reject=True)
    run.control.take(Pass(Order(50 * MM, 60 * MM, "frame", rail="right")))
    run.move(300)
    assert run.switches == [
        ("marker", True, 1),
        ("right marker", True, 1),
        ("right marker", False, 150),
        ("right marker", True, 160),
    ]


def test_a_miss_rejects_all_on_every_rail_until_it_is_acknowledged() -> None:
    run = Run([LEFT[0], *RIGHT], on_missed=Mode.REJECT_ALL)
    run.move(200)
    run.control.take(Order(50 * MM, 60 * MM, "rust", rail="left", number=7))
    run.move(1)
    assert run.control.mode is Mode.REJECT_ALL
    assert run.control.next_due_ns() == 201 * MS  # at once
    run.move(9)
    run.control.take(Acknowledge("the piece was taken out"))
    run.move(10)
    assert run.switches == [
        ("marker", True, 202),
        ("right marker", True, 202),
        ("marker", False, 211),
        ("right marker", False, 211),
    ]
    reason = "marker: 10000 um of the rail from 50000 to 60000 um went by (order 7): arrived late"
    assert run.changes == [
        Change(Mode.REJECT_ALL, "missed", reason),
        Change(Mode.ORDERED, "missed", "the piece was taken out"),
    ]


def test_the_cause_that_overrides_most_decides_and_what_is_held_is_not_acknowledged() -> None:
    run = Run(LEFT)
    modes = []
    for command in (
        Hold("key", Mode.REJECT_ALL, "turned"),
        Latch("eject", Mode.STOP_LINE, "not confirmed"),
        Hold("bypass", Mode.BYPASS, "turned"),
        Hold("bypass", Mode.BYPASS, "still turned"),
        Acknowledge("seen to"),
        Release("bypass", "turned back"),
        Release("bypass", "turned back again"),
        Release("key", "turned back"),
    ):
        run.control.take(command)
        run.move(1)
        modes.append((run.control.mode, run.control.stops_line))
    assert modes == [
        (Mode.REJECT_ALL, False),
        (Mode.STOP_LINE, True),
        (Mode.BYPASS, False),
        (Mode.BYPASS, False),
        (Mode.BYPASS, False),
        (Mode.REJECT_ALL, False),
        (Mode.REJECT_ALL, False),
        (Mode.ORDERED, False),
    ]
    assert [(change.cause, change.mode) for change in run.changes] == [
        ("key", Mode.REJECT_ALL),
        ("eject", Mode.STOP_LINE),
        ("bypass", Mode.BYPASS),
        ("eject", Mode.BYPASS),
        ("bypass", Mode.REJECT_ALL),
        ("key", Mode.ORDERED),
    ]


def test_what_is_let_by_on_purpose_is_missed_and_brings_nothing_about() -> None:
    run = Run(LEFT[:1], on_missed=Mode.STOP_LINE)
    run.control.take(Order(50 * MM, 150 * MM, "7", rail="left"))
    run.move(180)
    run.control.take(Hold("bypass", Mode.BYPASS, "turned"))
    run.move(300)
    assert run.switches == [("marker", True, 150), ("marker", False, 181)]
    [missed] = [event for _, _, event in run.news if isinstance(event, Missed)]
    assert (missed.missed_um, missed.reason) == (100 * MM, Reason.BYPASSED)
    assert [change.cause for change in run.changes] == ["bypass"]


def test_what_is_only_reported_overrides_nothing() -> None:
    run = Run(LEFT)
    run.control.take(Hold("bin", Mode.ORDERED, "nearly full"))
    run.control.take(Latch("eject", Mode.ORDERED, "not confirmed"))
    run.move(1)
    run.control.take(Acknowledge("seen to"))
    run.move(1)
    assert run.changes == [
        Change(Mode.ORDERED, "bin", "nearly full"),
        Change(Mode.ORDERED, "eject", "not confirmed"),
    ]


def test_a_change_says_what_its_cause_puts_the_outputs_in_from_then_on() -> None:
    guard = Guard()
    changes = [
        *guard.hold("key", Mode.REJECT_ALL, "turned"),
        *guard.latch("missed", Mode.STOP_LINE, "frame 7"),
        *guard.latch("eject", Mode.ORDERED, "not confirmed"),
        *guard.acknowledge("seen to"),
    ]
    assert [(change.cause, change.standing) for change in changes] == [
        ("key", Standing(Mode.REJECT_ALL, latched=False)),
        ("missed", Standing(Mode.STOP_LINE, latched=True)),
        ("eject", None),
        ("missed", None),
    ]


def test_actuators_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Control([*LEFT, LEFT[0]], on_missed=Mode.ORDERED, default_reject=False)
