"""The actuators along one encoder, and what overrides them: no I/O, no clock, no thread.

    control.take(command)            whenever one comes
    for news in control.advance(reading):  drive what each Switch says
    control.stops_line               whether the line has to stop
    control.next_due_ns()            when to take the next reading

An order goes to every actuator that serves its rail, or to the one it names. Whatever is missed,
other than in bypass, latches the mode `on_missed`, until somebody acknowledges; ORDERED only
reports it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from firmware_bridge.core.guard import Change, Guard
from firmware_bridge.core.tracked import ActuatorTraits
from firmware_bridge.core.tracker import Tracker
from firmware_bridge.types import Event, Missed, Mode, Order, Reading, Reason

MISSED = "missed"  # the cause that a miss latches
UNINSPECTED = "uninspected"  # the cause that rail latches which nobody has looked at


@dataclass(frozen=True, slots=True)
class Actuator:
    """One output that rejects: what it is called, where it sits, and the rail it serves."""

    name: str
    settings: ActuatorTraits
    rail: str = ""


@dataclass(frozen=True, slots=True)
class Pass:
    """Let the rail of `order` by, where all is rejected by default."""

    order: Order


@dataclass(frozen=True, slots=True)
class Hold:
    """A state of the line overrides the orders, until it is released."""

    cause: str
    mode: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class Latch:
    """Something happened that overrides the orders, until it is acknowledged."""

    cause: str
    mode: Mode
    reason: str


@dataclass(frozen=True, slots=True)
class Release:
    """What was held is over."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """What is latched has been seen to."""

    reason: str


Override = Hold | Latch | Release | Acknowledge
Command = Order | Pass | Override


class News(NamedTuple):
    """What became known with the reading of this time."""

    at_ns: int
    actuator: str  # "" for a Change, which concerns all of them
    event: Event | Change


class Control:
    """A tracker for each actuator, and the guard over all of them."""

    def __init__(
        self, actuators: Sequence[Actuator], *, on_missed: Mode, default_reject: bool
    ) -> None:
        names = [actuator.name for actuator in actuators]
        if len(set(names)) < len(names):
            raise ValueError(f"actuators are called {names}: give each a name of its own")
        self._on_missed = on_missed
        self._guard = Guard()
        self._trackers = {
            actuator.name: Tracker(actuator.settings, default_reject=default_reject)
            for actuator in actuators
        }
        self._by_rail: dict[str, list[Tracker]] = {}
        for actuator in actuators:
            self._by_rail.setdefault(actuator.rail, []).append(self._trackers[actuator.name])
        self._changes: list[Change] = []  # of mode, which go out with the next news

    @property
    def mode(self) -> Mode:
        return self._guard.mode

    @property
    def stops_line(self) -> bool:
        return self._guard.mode is Mode.STOP_LINE

    def take(self, command: Command) -> None:
        """What it brings about is told with the next reading."""
        match command:
            case Order():
                for tracker in self._serving(command):
                    tracker.order(command)
            case Pass(order):
                for tracker in self._serving(order):
                    tracker.let_pass(order)
            case _:
                self._changes += override(self._guard, command)

    def advance(self, reading: Reading) -> list[News]:
        """Drive what each Switch says before taking the next reading."""
        self._apply_mode()
        news = [
            News(reading.at_ns, name, event)
            for name, tracker in self._trackers.items()
            for event in tracker.advance(reading)
        ]
        for _, name, event in news:
            if isinstance(event, Missed):
                self._changes += latch_missed(self._guard, self._on_missed, name, event)
        if self._changes:
            self._apply_mode()  # the trackers ask for the next reading at once, to act on it
            news += [News(reading.at_ns, "", change) for change in self._changes]
            self._changes.clear()
        return news

    def next_due_ns(self) -> int | None:
        """When the next switch is due if the rail keeps its speed; None if none can be foreseen."""
        dues_ns = (tracker.next_due_ns() for tracker in self._trackers.values())
        return min((due_ns for due_ns in dues_ns if due_ns is not None), default=None)

    def _serving(self, order: Order) -> list[Tracker]:
        return [self._trackers[order.actuator]] if order.actuator else self._by_rail[order.rail]

    def _apply_mode(self) -> None:
        mode = self._guard.mode
        for tracker in self._trackers.values():
            tracker.mode = mode


def override(guard: Guard, command: Override) -> list[Change]:
    """Do to the guard what the command says."""
    match command:
        case Hold(cause, mode, reason):
            return guard.hold(cause, mode, reason)
        case Latch(cause, mode, reason):
            return guard.latch(cause, mode, reason)
        case Release(cause, reason):
            return guard.release(cause, reason)
        case Acknowledge(reason):
            return guard.acknowledge(reason)


def latch_missed(guard: Guard, mode: Mode, actuator: str, missed: Missed) -> list[Change]:
    """Have a miss bring about what it is to bring about. What was let by on purpose does not."""
    if mode is Mode.ORDERED or missed.reason is Reason.BYPASSED:
        return []
    order = missed.order
    named = order.tag if order.number is None else f"order {order.number}"
    return guard.latch(
        MISSED,
        mode,
        f"{actuator}: {missed.missed_um} um of the rail from {order.start_um} to {order.end_um} um "
        f"went by ({named}): {missed.reason.value}",
    )
