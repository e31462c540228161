"""From orders and encoder readings to switches: no I/O, no clock, no thread.

    tracker.order(order)                    whenever an order comes
    tracker.let_pass(order)                 whenever a pass comes
    tracker.mode = Mode.REJECT_ALL          whenever something overrides the orders
    for event in tracker.advance(reading):  after each reading
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
- Rail is rejected as if an order for it lay here, unless a pass for it comes before that order
  would begin; without default_reject, which is for trials, all passes that no order is for. Passes
  come in the order of the rail: what lies before the end of the last one that was in time is spoken
  for. A late pass lets nothing by. Orders hold on passed rail too. The first reading finds the
  actuator driven.
- While all is rejected, the actuator is driven whatever the orders say. In bypass it is let go,
  and the orders under it are missed.

Every order ends as exactly one Fired or Missed, and every pass as one Passed, or is still to come.
Rail that no pass came for is spoken of only where some of it went by, as a Missed of `no pass`.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import count
from operator import itemgetter

from firmware_bridge.core.motion import Motion
from firmware_bridge.core.tracked import ActuatorTraits, Begun, Beyond, Drive, Waiting
from firmware_bridge.types import (
    Event,
    Fired,
    Missed,
    Mode,
    Order,
    Passed,
    Pulse,
    Reading,
    Reason,
    Switch,
)

NO_PASS = "no pass"  # the tag of rail that no pass came for
_NOWHERE_UM = -(2**80)  # behind every place
_ALL_REJECTED = (Mode.REJECT_ALL, Mode.STOP_LINE)


class Tracker:
    """The orders of one actuator."""

    def __init__(self, settings: ActuatorTraits, *, default_reject: bool) -> None:
        self.mode = Mode.ORDERED
        self._settings = settings
        self._default_reject = default_reject
        self._numbers = count()
        self._arrived: list[tuple[int, bool, Order]] = []  # start_um, is a pass
        self._waiting: list[Waiting] = []  # heap
        self._under: list[Begun] = []  # heap
        self._motion = Motion()
        self._drive: Drive | None = None
        self._released: Pulse | None = None  # let go at the last reading, not yet measured
        self._beyond: Beyond | None = None  # with default_reject, from the first reading on
        self._reached_um = _NOWHERE_UM  # the furthest that led places have come

    def order(self, order: Order) -> None:
        """Take an order; it is first looked at with the next reading."""
        self._arrived.append((order.start_um, False, order))

    def let_pass(self, order: Order) -> None:
        """Take a pass; it is first looked at with the next reading."""
        if not self._default_reject:
            raise ValueError(f"pass {order.tag!r} lets nothing by: track with default_reject")
        self._arrived.append((order.start_um, True, order))

    def advance(self, reading: Reading) -> list[Event]:
        """What is to be done, and what has become known, now that the rail is here.

        At most one event is a Switch; drive the line before taking the next reading.
        """
        self._motion.take(reading)
        place_um = self._place_um(reading)
        events: list[Event] = []
        if self._default_reject and self._beyond is None:
            self._start_rejecting(reading, place_um, events)
        self._settle(reading, place_um, events)
        if self._arrived or self._waiting or self._beyond:
            self._begin(reading, place_um, events)
        self._end(place_um, events)
        self._switch(reading, place_um, events)
        return events

    def next_due_ns(self) -> int | None:
        """When the next switch is due if the rail keeps its speed; None if none can be foreseen."""
        reading = self._motion.last
        if reading is None:
            return None
        if self._drive is None:
            return self._drives_ns(reading)
        return self._lets_go_ns(self._drive, reading)

    def _drives_ns(self, reading: Reading) -> int | None:
        if self._is_all_rejected():
            return reading.at_ns
        due_um = self._next_um()
        if due_um is None or self.mode is Mode.BYPASS:
            return None
        return self._motion.reached_ns(due_um - self._place_um(reading) - self._lead_um())

    def _lets_go_ns(self, drive: Drive, reading: Reading) -> int | None:
        if drive.acts_ns is None or self.mode is Mode.BYPASS:  # to measure it, or to let go
            return reading.at_ns
        if self._is_all_rejected() or self._is_beyond() or self._bridges_gap(drive):
            return None
        reached_ns = self._motion.reached_ns(drive.until_um - self._place_um(reading))
        return None if reached_ns is None else max(reached_ns, self._free_ns(drive.acts_ns))

    def _next_um(self) -> int | None:
        """Where the next order begins, or the rail that no pass came for."""
        due_um = self._waiting[0].due_um if self._waiting else None
        if self._beyond is None:
            return due_um
        beyond_um = self._beyond.start_um - self._settings.margin_um
        return beyond_um if due_um is None else min(due_um, beyond_um)

    def _place_um(self, reading: Reading) -> int:
        return reading.position_um - self._settings.offset_um

    def _lead_um(self) -> int:
        """How far the rail goes while the coil rises."""
        return self._motion.way_um(self._settings.delay_ns)

    def _free_ns(self, acts_ns: int) -> int:
        return acts_ns + self._settings.dwell_ns

    def _is_all_rejected(self) -> bool:
        return self.mode in _ALL_REJECTED

    def _is_beyond(self) -> bool:
        return self._beyond is not None and self._beyond.begun

    def _bridges_gap(self, drive: Drive) -> bool:
        due_um = self._next_um()
        return due_um is not None and due_um - drive.until_um <= self._settings.min_gap_um

    def _start_rejecting(self, reading: Reading, place_um: int, events: list[Event]) -> None:
        """An output rejects from the moment it is claimed, and here it goes on to."""
        self._beyond = Beyond(place_um, begun=True)
        self._drive = Drive(_NOWHERE_UM, reading.at_ns, Pulse(place_um, place_um))
        events.append(Switch(True, place_um))

    def _settle(self, reading: Reading, place_um: int, events: list[Event]) -> None:
        """Measure the last switch, and the rail rejected so far."""
        if self._released is not None:
            events.append(_reaching(self._released, place_um))
            self._released = None
        drive = self._drive
        if drive is None:
            return
        if drive.acts_ns is None:
            drive.acts_ns = reading.at_ns + self._settings.delay_ns
        if drive.pulse is None and reading.at_ns >= drive.acts_ns:
            acted_um = self._motion.position_at_um(drive.acts_ns) - self._settings.offset_um
            drive.pulse = Pulse(acted_um, acted_um)
        if drive.pulse is not None:
            drive.pulse = _reaching(drive.pulse, place_um)

    def _begin(self, reading: Reading, place_um: int, events: list[Event]) -> None:
        """Move the orders whose time has come from waiting to under."""
        margin_um, bypass = self._settings.margin_um, self.mode is Mode.BYPASS
        led_um = place_um + self._lead_um()
        self._reached_um = max(self._reached_um, led_um)
        self._take_arrived(reading, led_um, events)
        while self._waiting and self._waiting[0].due_um <= led_um:
            _, number, order, late, by_default = heappop(self._waiting)
            end_um = order.end_um + margin_um
            reason = Reason.ARRIVED_LATE if late else Reason.ACTED_LATE
            if bypass:
                reason = Reason.BYPASSED
            if self._drive is None and end_um <= place_um:
                events.append(Missed(order, order.length_um, reason, reading.at_ns))
                continue
            opens = self._drive is None
            self._put_under(Begun(end_um, number, order, reason, by_default, opens, reading.at_ns))
        beyond = self._beyond
        if beyond is not None and beyond.start_um - margin_um <= led_um:
            beyond.begun = True

    def _take_arrived(self, reading: Reading, led_um: int, events: list[Event]) -> None:
        margin_um = self._settings.margin_um
        # sorted, a flood of them is entered in the heap quickly
        self._arrived.sort(key=itemgetter(0))
        for start_um, is_pass, order in self._arrived:
            if is_pass:
                self._take_pass(order, reading, events)
            else:
                late = start_um < led_um
                waiting = Waiting(start_um - margin_um, next(self._numbers), order, late, False)
                heappush(self._waiting, waiting)
        self._arrived.clear()

    def _take_pass(self, order: Order, reading: Reading, events: list[Event]) -> None:
        """Have the rail between the last pass and this one rejected; beyond it all waits anew."""
        beyond, margin_um = self._beyond, self._settings.margin_um
        assert beyond is not None, "there is a first reading by now"
        start_um = max(order.start_um, beyond.start_um)
        over_um = self._reached_um - (start_um - margin_um)
        late = over_um >= 0 or order.end_um <= start_um
        events.append(Passed(order, over_um, late))
        if late:
            return
        if beyond.begun or beyond.start_um < start_um:
            number = next(self._numbers)
            gap = Order(beyond.start_um, start_um, NO_PASS, order.rail)
            if beyond.begun:
                reason = Reason.BYPASSED if beyond.bypassed else Reason.ACTED_LATE
                end_um = start_um + margin_um
                self._put_under(Begun(end_um, number, gap, reason, True, False, reading.at_ns))
            else:
                due_um = gap.start_um - margin_um
                heappush(self._waiting, Waiting(due_um, number, gap, False, True))
        self._beyond = Beyond(order.end_um, begun=False)

    def _put_under(self, begun: Begun) -> None:
        if self._drive is not None:
            self._drive.until_um = max(self._drive.until_um, begun.end_um)
        heappush(self._under, begun)

    def _end(self, place_um: int, events: list[Event]) -> None:
        """Account for the orders that have gone by under the actuator."""
        while self._under and self._under[0].end_um <= place_um:
            outcome = self._outcome(heappop(self._under))
            if outcome is not None:
                events.append(outcome)

    def _outcome(self, begun: Begun) -> Fired | Missed | None:
        order = begun.order
        pulse = self._drive.pulse if self._drive else None
        missed_um = order.length_um  # gone by before the coil acted
        if pulse is not None and begun.reason is not Reason.BYPASSED:
            missed_um = min(pulse.from_um - order.start_um, order.length_um)
        if missed_um > 0:
            return Missed(order, missed_um, begun.reason, begun.begun_ns)
        if begun.by_default or pulse is None:
            return None
        due_um = order.start_um - self._settings.margin_um
        # where the coil was acting already, it acts exactly where an order is due
        actual_um = pulse.from_um if begun.opens else max(pulse.from_um, due_um)
        return Fired(order, due_um, actual_um, begun.begun_ns)

    def _switch(self, reading: Reading, place_um: int, events: list[Event]) -> None:
        drive = self._drive
        if self.mode is Mode.BYPASS:
            self._let_by(place_um, events)
            return
        rejects = bool(self._under) or self._is_beyond() or self._is_all_rejected()
        if drive is None:
            if rejects:
                until_um = max((begun.end_um for begun in self._under), default=_NOWHERE_UM)
                self._drive = Drive(until_um)
                events.append(Switch(True, place_um))
            return
        if self._is_all_rejected():
            drive.until_um = max(drive.until_um, place_um)
        if rejects or drive.acts_ns is None or self._bridges_gap(drive):
            return
        if reading.at_ns >= self._free_ns(drive.acts_ns):
            self._released, self._drive = drive.pulse, None
            events.append(Switch(False, place_um))

    def _let_by(self, place_um: int, events: list[Event]) -> None:
        """Let go at once; what is under the actuator counts as missed, all of it."""
        self._under = [begun._replace(reason=Reason.BYPASSED) for begun in self._under]
        heapify(self._under)
        if self._beyond is not None and self._beyond.begun:
            self._beyond.bypassed = True
        if self._drive is not None:
            self._released, self._drive = self._drive.pulse, None
            events.append(Switch(False, place_um))


def _reaching(pulse: Pulse, place_um: int) -> Pulse:
    return Pulse(min(pulse.from_um, place_um), max(pulse.until_um, place_um))
