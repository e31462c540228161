"""The thread that reads the inputs and has the desk do what they say."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from firmware_bridge.core import (
    Acknowledge,
    Command,
    Confirmation,
    Confirmed,
    EjectCheck,
    Hold,
    News,
    Panel,
    Release,
    Role,
    SettledLevel,
    Unasked,
    Unconfirmed,
)
from firmware_bridge.desk.desk import OrderDesk
from firmware_bridge.errors import InputsStopped
from firmware_bridge.lines import InputLine
from firmware_bridge.types import SECOND_NS, Clock, Mode, Switch

POLL_NS = 5_000_000  # between two readings of the inputs

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Statement:
    """An input that states something about the line."""

    role: Role
    line: InputLine


@dataclass(frozen=True, slots=True)
class Sensor:
    """An input that sees one actuator act, and the mode that is latched where it sees nothing."""

    actuator: str
    line: InputLine
    within_ns: int
    settle_ns: int
    unconfirmed: Mode


class InputWatch:
    """Reads the inputs in a thread of its own; hand `take` to the desk as its `watch`.

        watch = InputWatch(statements, sensors, clock)
        with Rejector(rig, clock, settings, watch=watch.take) as desk, watch.reporting_to(desk):
            watch.check()   # before each heartbeat

    An input that cannot be read stops it, and `check` raises what happened: a line whose keys and
    sensors nobody reads is not to go on. `hear` is told what becomes of each pulse, on its thread.
    It closes no input.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        sensors: Sequence[Sensor],
        clock: Clock,
        *,
        default_reject: bool = True,
        silence_ns: int = SECOND_NS // 2,
        hear: Callable[[str, Confirmation], None] = lambda _actuator, _confirmation: None,
    ) -> None:
        self._lines = [statement.line for statement in statements]
        self._panel = Panel([statement.role for statement in statements])
        # With default_reject an actuator is driven from the start, which is no pulse.
        self._sensors = [_Watched(sensor, driven=default_reject) for sensor in sensors]
        self._clock = clock
        self._silence_ns = silence_ns
        self._hear_confirmation = hear
        self._watched = {sensor.actuator for sensor in sensors}
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._alive_ns: int | None = None  # when it last read; None where there is nothing to read

    def take(self, news: News) -> None:
        """Hear what the desk heard; from any thread, and without waiting."""
        # Nobody takes the news of an actuator without sensor: it would pile up for months.
        if news.actuator in self._watched and isinstance(news.event, Switch):
            self._news.put(news)

    @contextmanager
    def reporting_to(self, desk: OrderDesk) -> Iterator[None]:
        """Read the inputs, and have the desk do what they say, until the block is left.

        They have been read once when it is entered: a key that is turned already counts.
        """
        if not self._lines and not self._sensors:
            yield
            return
        self._round(desk)
        thread = threading.Thread(target=self._run, args=(desk,), name="inputs", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(timeout=self._silence_ns / SECOND_NS)

    def is_active(self, name: str) -> bool:
        """The level of the input of this name as it last settled; any thread may ask."""
        return self._panel.is_active(name)

    def check(self) -> None:
        """Raise InputsStopped unless the inputs are being read; call it before each heartbeat."""
        if self._failure is not None:
            raise InputsStopped(
                f"the inputs are no longer read: {self._failure!r}; mend the cause and start again"
            ) from self._failure
        if self._alive_ns is not None and self._clock() - self._alive_ns > self._silence_ns:
            raise InputsStopped(
                f"no input was read for {self._silence_ns // 1_000_000} ms: one of them blocks; "
                "check its cable and bus"
            )

    def _run(self, desk: OrderDesk) -> None:
        try:
            while not self._stopping.wait(POLL_NS / SECOND_NS):
                self._round(desk)
        except BaseException as failure:
            log.exception("the inputs are no longer read; the heartbeat will stop")
            self._failure = failure

    def _round(self, desk: OrderDesk) -> None:
        now_ns = self._clock()
        levels = [line.read() for line in self._lines]
        for command in self._panel.take(levels, now_ns):
            _obey(command, desk)
        with suppress(queue.Empty):
            while True:
                self._hear(self._news.get_nowait())
        for watched in self._sensors:
            watched.look(now_ns)
            for confirmation in watched.check.advance(now_ns):
                _tell(watched.sensor, confirmation, desk)
                self._hear_confirmation(watched.sensor.actuator, confirmation)
        self._alive_ns = now_ns

    def _hear(self, news: News) -> None:
        assert isinstance(news.event, Switch)
        for watched in self._sensors:
            if watched.sensor.actuator == news.actuator:
                watched.switch(news.event.active, news.at_ns)


class _Watched:
    """A sensor, its level, and the pulses of its actuator."""

    def __init__(self, sensor: Sensor, *, driven: bool) -> None:
        self.sensor = sensor
        self.check = EjectCheck(sensor.within_ns, sensor.settle_ns)
        self._level = SettledLevel(sensor.settle_ns)
        self._driven = driven

    def switch(self, active: bool, at_ns: int) -> None:
        if active and not self._driven:
            self.check.pulse(at_ns)
        self._driven = active

    def look(self, now_ns: int) -> None:
        is_first = self._level.active is None
        changed = self._level.take(self.sensor.line.read(), now_ns)
        if changed and self._level.active and not is_first:
            self.check.seen(self._level.since_ns)


def _obey(command: Command, desk: OrderDesk) -> None:
    match command:
        case Hold(cause, mode, reason):
            desk.hold(cause, mode, reason)
        case Release(cause, reason):
            desk.release(cause, reason)
        case Acknowledge(reason):
            desk.acknowledge(reason)


def _tell(sensor: Sensor, confirmation: Confirmation, desk: OrderDesk) -> None:
    match confirmation:
        case Confirmed(_, after_ns):
            reason = f"seen to act {after_ns / 1e6:.0f} ms after it was driven"
            desk.confirm(sensor.actuator, seen=True, reason=reason)
        case Unconfirmed():
            reason = f"not seen to act within {sensor.within_ns / 1e6:.0f} ms of being driven"
            desk.confirm(sensor.actuator, seen=False, reason=reason)
            desk.latch(f"{sensor.actuator} unconfirmed", sensor.unconfirmed, reason)
        case Unasked():
            reason = "seen to act, though nothing had driven it"
            desk.latch(f"{sensor.actuator} unasked", Mode.ORDERED, reason)
