"""From orders and encoder readings to switches: no I/O, no clock, no thread.

    tracker.order(order)                    whenever an order comes
    for event in tracker.advance(reading):  after each reading: Switch, Fired, Missed or Pulse
    tracker.next_due_ns()                   when to take the next reading, at the present speed

The rules, on the one axis of the rail (`place` is what lies under the actuator):

- An order begins when the place, led by the way the rail goes while the coil rises, reaches its
  start less the margin. It ends when the place itself reaches its end plus the margin: letting go
  early would leave bad rail behind, letting go late rejects a little more.
- Begun and ended are for good, so a rail that creeps or backs up fires nothing twice. While it is
  behind the point it had reached, the actuator is held as it is.
- The actuator is driven while any order has begun and not ended. Orders that overlap, touch or lie
  closer than the minimum gap are therefore one pulse.
- An order that has ended before the actuator could be driven is missed, without a pulse. One of
  which something is left is fired for that, and missed by as much as went by.
- A switch is measured at the first reading after it, which the caller takes once the line has been
  driven. Whether an order was fired or missed rests on measured places alone, never on predictions.

Every order ends as exactly one Fired or Missed, or is still to come.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from operator import attrgetter
from typing import NamedTuple

from firmware_bridge.types import (
    SECOND_NS,
    Event,
    Fired,
    Missed,
    Order,
    Pulse,
    Reading,
    Reason,
    Switch,
)

SPEED_WINDOW_NS = 10_000_000  # long enough for coarse counts, short enough for a line that brakes


@dataclass(frozen=True, slots=True)
class ActuatorSettings:
    """Where one actuator sits and how it moves."""

    offset_um: int  # downstream of the place where the encoder's position is the rail's
    delay_ns: int = 0  # from driving the line to the coil acting
    margin_um: int = 0  # rejected beyond both ends: what timing and speed may be wrong by
    dwell_ns: int = 0  # the coil acts at least this long
    min_gap_um: int = 0  # the coil is not let go for less

    def __post_init__(self) -> None:
        for name in ("delay_ns", "margin_um", "dwell_ns", "min_gap_um"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")


@dataclass(slots=True)
class _Drive:
    """The actuator being driven."""

    until_um: int  # where the last of its orders ends
    acts_ns: int | None = None  # known from the first reading after the switch
    pulse: Pulse | None = None  # the rail rejected so far, once the coil acts


class _Waiting(NamedTuple):
    """An order still to come, sorted by the place where it begins."""

    due_um: int
    number: int  # breaks ties, so that orders are never compared
    order: Order
    late: bool  # its start had gone by when it came


class _Begun(NamedTuple):
    """An order under the actuator, sorted by the place where it ends."""

    end_um: int
    number: int
    order: Order
    late: bool
    opens: bool  # the actuator was driven for it; other orders found it driven


class Tracker:
    """The orders of one actuator."""

    def __init__(self, settings: ActuatorSettings) -> None:
        self._settings = settings
        self._numbers = count()
        self._arrived: list[Order] = []
        self._waiting: list[_Waiting] = []  # heap
        self._under: list[_Begun] = []  # heap
        self._recent: deque[Reading] = deque()  # those in the speed window, and one before it
        self._speed_um_s = 0
        self._drive: _Drive | None = None
        self._released: Pulse | None = None  # let go at the last reading, not yet measured

    def order(self, order: Order) -> None:
        """Take an order; it is first looked at with the next reading."""
        self._arrived.append(order)

    def advance(self, reading: Reading) -> list[Event]:
        """What is to be done, and what has become known, now that the rail is here.

        At most one event is a Switch; drive the line before taking the next reading.
        """
        self._measure_speed(reading)
        place_um = self._place_um(reading)
        events: list[Event] = []
        self._settle(reading, events)
        self._begin(place_um, events)
        self._end(place_um, events)
        self._switch(reading, events)
        return events

    def next_due_ns(self) -> int | None:
        """When the next switch is due if the rail keeps its speed; None if none can be foreseen."""
        if not self._recent:
            return None
        place_um = self._place_um(self._recent[-1])
        drive = self._drive
        if drive is None:
            if not self._waiting:
                return None
            return self._reached_ns(self._waiting[0].due_um - place_um - self._lead_um())
        if drive.acts_ns is None:  # just driven, and to be measured
            return self._recent[-1].at_ns
        if self._bridges_gap(drive):
            return None
        reached_ns = self._reached_ns(drive.until_um - place_um)
        return None if reached_ns is None else max(reached_ns, self._free_ns(drive.acts_ns))

    def _place_um(self, reading: Reading) -> int:
        return reading.position_um - self._settings.offset_um

    def _lead_um(self) -> int:
        """How far the rail goes while the coil rises; nothing comes nearer while it backs up."""
        return max(0, self._speed_um_s) * self._settings.delay_ns // SECOND_NS

    def _free_ns(self, acts_ns: int) -> int:
        return acts_ns + self._settings.dwell_ns

    def _reached_ns(self, distance_um: int) -> int | None:
        now_ns = self._recent[-1].at_ns
        if distance_um <= 0:
            return now_ns
        if self._speed_um_s <= 0:
            return None
        return now_ns - (-distance_um * SECOND_NS // self._speed_um_s)  # rounded up

    def _bridges_gap(self, drive: _Drive) -> bool:
        if not self._waiting:
            return False
        return self._waiting[0].due_um - drive.until_um <= self._settings.min_gap_um

    def _measure_speed(self, reading: Reading) -> None:
        recent = self._recent
        if recent and reading.at_ns < recent[-1].at_ns:
            raise ValueError(
                f"a reading at {reading.at_ns} ns came after one at {recent[-1].at_ns} ns: "
                "give readings in order, on one monotonic clock"
            )
        recent.append(reading)
        while len(recent) > 1 and reading.at_ns - recent[1].at_ns >= SPEED_WINDOW_NS:
            recent.popleft()
        elapsed_ns = reading.at_ns - recent[0].at_ns
        if elapsed_ns:
            travelled_um = reading.position_um - recent[0].position_um
            self._speed_um_s = travelled_um * SECOND_NS // elapsed_ns

    def _settle(self, reading: Reading, events: list[Event]) -> None:
        """Measure the last switch, and the rail rejected so far."""
        place_um = self._place_um(reading)
        if self._released is not None:
            events.append(_reaching(self._released, place_um))
            self._released = None
        drive = self._drive
        if drive is None:
            return
        if drive.acts_ns is None:
            drive.acts_ns = reading.at_ns + self._settings.delay_ns
        if drive.pulse is None and reading.at_ns >= drive.acts_ns:
            acted_um = self._place_at_um(drive.acts_ns)
            drive.pulse = Pulse(acted_um, acted_um)
        if drive.pulse is not None:
            drive.pulse = _reaching(drive.pulse, place_um)

    def _place_at_um(self, at_ns: int) -> int:
        """The place at a time between the last two readings."""
        before, after = self._recent[-2], self._recent[-1]
        elapsed_ns = after.at_ns - before.at_ns
        if elapsed_ns == 0:
            return self._place_um(after)
        travelled_um = after.position_um - before.position_um
        return self._place_um(before) + travelled_um * (at_ns - before.at_ns) // elapsed_ns

    def _begin(self, place_um: int, events: list[Event]) -> None:
        """Move the orders whose time has come from waiting to under."""
        margin_um = self._settings.margin_um
        led_um = place_um + self._lead_um()
        self._arrived.sort(key=attrgetter("start_um"))  # a flood then costs the heap little
        for order in self._arrived:
            due_um, late = order.start_um - margin_um, order.start_um < led_um
            heappush(self._waiting, _Waiting(due_um, next(self._numbers), order, late))
        self._arrived.clear()
        while self._waiting and self._waiting[0].due_um <= led_um:
            _, number, order, late = heappop(self._waiting)
            end_um = order.end_um + margin_um
            if self._drive is None and end_um <= place_um:
                events.append(Missed(order, order.length_um, _reason(late)))
                continue
            if self._drive is not None:
                self._drive.until_um = max(self._drive.until_um, end_um)
            heappush(self._under, _Begun(end_um, number, order, late, self._drive is None))

    def _end(self, place_um: int, events: list[Event]) -> None:
        """Account for the orders that have gone by under the driven actuator."""
        while self._under and self._under[0].end_um <= place_um:
            events.append(self._outcome(heappop(self._under)))

    def _outcome(self, begun: _Begun) -> Fired | Missed:
        order = begun.order
        pulse = self._drive.pulse if self._drive else None
        if pulse is None:  # gone by while the coil was rising
            return Missed(order, order.length_um, _reason(begun.late))
        missed_um = min(pulse.from_um - order.start_um, order.length_um)
        if missed_um > 0:
            return Missed(order, missed_um, _reason(begun.late))
        due_um = order.start_um - self._settings.margin_um
        # where the coil was acting already, it acts exactly where an order is due
        actual_um = pulse.from_um if begun.opens else max(pulse.from_um, due_um)
        return Fired(order, due_um, actual_um)

    def _switch(self, reading: Reading, events: list[Event]) -> None:
        drive = self._drive
        if drive is None:
            if self._under:
                self._drive = _Drive(until_um=max(begun.end_um for begun in self._under))
                events.append(Switch(True, self._place_um(reading)))
            return
        if self._under or drive.acts_ns is None or self._bridges_gap(drive):
            return
        if reading.at_ns >= self._free_ns(drive.acts_ns):
            self._drive, self._released = None, drive.pulse
            events.append(Switch(False, self._place_um(reading)))


def _reaching(pulse: Pulse, place_um: int) -> Pulse:
    return Pulse(min(pulse.from_um, place_um), max(pulse.until_um, place_um))


def _reason(late: bool) -> Reason:
    return Reason.ARRIVED_LATE if late else Reason.ACTED_LATE
