"""What was submitted, and what became of it: counted, logged, and entered in the ledger."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from firmware_bridge.core import Actuator, Change, News
from firmware_bridge.ledger import Entry, EntryKind, Ledger
from firmware_bridge.types import Fired, Missed, Mode, Order, Passed, Pulse, Reading

LATEST = 500  # outcomes and pulses kept for the report; the sums go back to the start
_NEWEST = 40  # outcomes that any thread may see at once

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RejectReport:
    """What became of the orders so far: `ordered == fired + missed + pending`.

    An order counts once for each actuator that serves its rail.
    """

    mode: Mode
    ordered: int
    fired: int
    missed: int
    pending: int  # not yet gone by the actuator, or going by
    passed: int
    late_passes: int  # passes that came too late, so that their rail was rejected
    error_um_max: int  # the largest |error_um| of those fired
    uninspected_um: int  # how much rail was rejected because nobody had looked at it
    outcomes: tuple[Fired | Missed, ...]  # the latest
    pulses: tuple[Pulse, ...]  # the latest


class Record:
    """Numbers the orders, and knows them by their numbers when news of them comes.

    One thread at a time.
    """

    def __init__(self, actuators: Sequence[Actuator], ledger: Ledger | None) -> None:
        self.mode = Mode.ORDERED
        # for each cause that stands the change that brought it
        self.standing: tuple[Change, ...] = ()
        self.newest: tuple[Fired | Missed, ...] = ()
        self._ledger = ledger
        self._serving: dict[str, list[str]] = {}  # rail -> names of actuators
        for actuator in actuators:
            self._serving.setdefault(actuator.rail, []).append(actuator.name)
        self._number = 0
        self._awaited: dict[int, int] = {}  # by order: how many actuators have not told of it yet
        self._ordered = self._fired = self._missed = self._error_um_max = 0
        self._passed = self._late_passes = self._uninspected_um = 0
        self._offsets_um = {each.name: each.settings.offset_um for each in actuators}
        self._spoken_um: dict[str, int] = {}  # by actuator: all rail before it is accounted for
        self._outcomes: deque[Fired | Missed] = deque(maxlen=LATEST)
        self._pulses: deque[Pulse] = deque(maxlen=LATEST)

    def enter(self, order: Order, now_ns: int, *, is_pass: bool = False) -> Order:
        """The order with its number."""
        serving = [order.actuator] if order.actuator else self._serving.get(order.rail)
        if serving is None:
            raise ValueError(
                f"order {order.tag!r} is for rail {order.rail!r}, which no actuator serves: "
                f"give one of {sorted(self._serving)}"
            )
        self._number += 1
        order = replace(order, number=self._number)
        self._awaited[self._number] = len(serving)
        if not is_pass:
            self._ordered += len(serving)
            for actuator in serving:
                self._add(_entry(EntryKind.ORDER, now_ns, actuator, order))
        return order

    def take(self, news: Iterable[News]) -> None:
        """Enter what became known."""
        for each in news:
            self._take(each)

    def report(self) -> RejectReport:
        return RejectReport(
            mode=self.mode,
            ordered=self._ordered,
            fired=self._fired,
            missed=self._missed,
            pending=self._ordered - self._fired - self._missed,
            passed=self._passed,
            late_passes=self._late_passes,
            error_um_max=self._error_um_max,
            uninspected_um=self._uninspected_um,
            outcomes=tuple(self._outcomes),
            pulses=tuple(self._pulses),
        )

    @property
    def uninspected_um(self) -> int:
        """Of rail that was rejected because nobody had looked at it, so far."""
        return self._uninspected_um

    def begin(self, reading: Reading, *, went_um: int) -> None:
        """From here on rail is rejected that no pass comes for; `went_um` went by unseen before."""
        for actuator, offset_um in self._offsets_um.items():
            place_um = reading.position_um - offset_um
            self._spoken_um[actuator] = place_um - max(0, went_um)
            if went_um > 0:
                reason = "it went by while the program was down"
                self._reject_uninspected(reading.at_ns, actuator, place_um, reason)

    def end(self, reading: Reading) -> None:
        """What has gone by since the last pass."""
        for actuator, offset_um in self._offsets_um.items():
            place_um = reading.position_um - offset_um
            self._reject_uninspected(reading.at_ns, actuator, place_um, "no pass had come for it")

    def confirm(self, now_ns: int, actuator: str, *, seen: bool, reason: str) -> None:
        kind = EntryKind.CONFIRMED if seen else EntryKind.UNCONFIRMED
        self._add(Entry(kind, now_ns, actuator=actuator, reason=reason))

    def _take(self, news: News) -> None:
        at_ns, actuator, event = news
        match event:
            case Change(mode, cause, reason):
                others = tuple(each for each in self.standing if each.cause != cause)
                self.standing = others if event.standing is None else (*others, event)
                self.mode = mode
                log.warning("%s: %s: now %s", cause, reason, mode.value)
                self._add(Entry(EntryKind.MODE, at_ns, reason=f"{cause}: {reason}", tag=mode.value))
            case Pulse(from_um, until_um):
                self._pulses.append(event)
                entry = Entry(EntryKind.PULSE, at_ns, actuator=actuator)
                self._add(replace(entry, start_um=from_um, end_um=until_um))
            case Fired() | Missed():
                self._end(at_ns, actuator, event)
            case Passed():
                self._hear(at_ns, actuator, event)

    def _end(self, at_ns: int, actuator: str, event: Fired | Missed) -> None:
        if event.order.number is None:  # rail that no pass came for, and that was not all rejected
            self._ordered += 1
        else:
            self._close(event.order.number)
        self._outcomes.append(event)
        self.newest = (*self.newest[1 - _NEWEST :], event)
        if isinstance(event, Fired):
            self._fired += 1
            self._error_um_max = max(self._error_um_max, abs(event.error_um))
            kind, measure_um, reason = EntryKind.FIRED, event.error_um, None
        else:
            self._missed += 1
            kind, measure_um, reason = EntryKind.MISSED, event.missed_um, event.reason.value
            log.warning("%s: %s: %d um missed: %s", actuator, event.order.tag, measure_um, reason)
        entry = _entry(kind, at_ns, actuator, event.order)
        self._add(replace(entry, measure_um=measure_um, reason=reason, begun_ns=event.begun_ns))

    def _hear(self, at_ns: int, actuator: str, event: Passed) -> None:
        assert event.order.number is not None, "somebody submitted it"
        self._close(event.order.number)
        self._passed += not event.late
        if not event.late:
            start_um, end_um = event.order.start_um, event.order.end_um
            self._reject_uninspected(at_ns, actuator, start_um, "no pass came for it in time")
            self._spoken_um[actuator] = max(end_um, self._spoken_um.get(actuator, end_um))
        if event.late:
            self._late_passes += 1
            tag, over_um = event.order.tag, event.over_um
            log.warning("%s: %s: %d um too late to pass; rejected", actuator, tag, over_um)
            entry = _entry(EntryKind.LATE_PASS, at_ns, actuator, event.order)
            self._add(replace(entry, measure_um=over_um))

    def _reject_uninspected(self, at_ns: int, actuator: str, until_um: int, reason: str) -> None:
        """Of the rail up to here nobody spoke, where there is any."""
        from_um = self._spoken_um.get(actuator, until_um)
        if until_um <= from_um:
            return
        self._spoken_um[actuator] = until_um
        self._uninspected_um += until_um - from_um
        mm = (until_um - from_um) / 1000
        log.warning("%s: %.1f mm rejected for want of inspection: %s", actuator, mm, reason)
        entry = Entry(EntryKind.UNINSPECTED, at_ns, actuator=actuator, reason=reason)
        self._add(replace(entry, start_um=from_um, end_um=until_um, measure_um=until_um - from_um))

    def _close(self, number: int) -> None:
        """One more of its actuators has spoken of it."""
        self._awaited[number] -= 1
        if not self._awaited[number]:
            del self._awaited[number]

    def _add(self, entry: Entry) -> None:
        if self._ledger is not None:
            self._ledger.add(entry)


def _entry(kind: EntryKind, at_ns: int, actuator: str, order: Order) -> Entry:
    return Entry(
        kind,
        at_ns,
        number=order.number,
        actuator=actuator,
        rail=order.rail,
        start_um=order.start_um,
        end_um=order.end_um,
        tag=order.tag,
    )
