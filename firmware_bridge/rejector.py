"""The thread that turns orders into pulses in real time."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType

from firmware_bridge.encoder import Encoder
from firmware_bridge.line import OutputLine
from firmware_bridge.tracker import ActuatorSettings, Tracker
from firmware_bridge.types import (
    SECOND_NS,
    BridgeError,
    Clock,
    Event,
    Fired,
    Missed,
    Order,
    Pulse,
    Switch,
)

POLL_NS = 2_000_000  # between two readings of the encoder while no switch is near
SPIN_NS = 200_000  # sleep wakes up late by less than this, so the rest is waited out awake
LATEST = 10_000  # outcomes and pulses kept for the report; the sums go back to the start

log = logging.getLogger(__name__)


class RejectorStopped(BridgeError, RuntimeError):
    """Orders are no longer fired; the cause, where there is one, is chained."""


@dataclass(frozen=True, slots=True)
class RejectReport:
    """What became of the orders so far: `scheduled == fired + missed + pending`."""

    scheduled: int
    fired: int
    missed: int
    pending: int  # not yet gone by the actuator, or going by
    error_um_max: int  # the largest |error_um| of those fired
    outcomes: tuple[Fired | Missed, ...]  # the latest
    pulses: tuple[Pulse, ...]  # the latest


class Rejector:
    """Fires orders on `line`, whose `active` means reject, as `encoder` brings them along.

    Fails safe: the line is released (not reject) only while the thread runs. If the thread fails,
    the line goes to reject, and `submit`, `check` and `close` raise what happened. After an orderly
    `close` the line rejects too, because nobody inspects any more, unless `release_on_close`.
    A thread that is stuck inside an encoder or a line cannot drive the line: `submit` and
    `check` raise once it has been stuck for `stall_ns`, and the heartbeat, which the caller then
    no longer beats, is what rejects.

    Pulses lie where they should only if the thread runs when a switch is due. On a machine with
    other work give it a real-time `priority` (1 to 99; 0 is an ordinary thread), and in a process
    with other Python threads shorten `sys.setswitchinterval`; the margin has to cover the rest.

    From making it to `close`, encoder and line belong to its thread; it closes neither.
    `submit`, `check` and `report` may be called from any thread, and never wait for I/O.
    """

    def __init__(
        self,
        encoder: Encoder,
        line: OutputLine,
        settings: ActuatorSettings,
        clock: Clock,
        *,
        release_on_close: bool = False,
        stall_ns: int = SECOND_NS // 2,
        priority: int = 0,
    ) -> None:
        self._encoder = encoder
        self._line = line
        self._tracker = Tracker(settings)
        self._clock = clock
        self._release_on_close = release_on_close
        self._stall_ns = stall_ns
        self._priority = priority
        self._inbox: deque[Order] = deque()
        self._lock = threading.Lock()  # guards the record, never held before a switch or during I/O
        self._scheduled = self._fired = self._missed = self._error_um_max = 0
        self._outcomes: deque[Fired | Missed] = deque(maxlen=LATEST)
        self._pulses: deque[Pulse] = deque(maxlen=LATEST)
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._alive_ns = clock()
        self._thread = threading.Thread(target=self._run, name="rejector", daemon=True)
        self._thread.start()

    def submit(self, start_um: int, end_um: int, tag: str) -> None:
        """Have the rail from `start_um` to `end_um` rejected."""
        order = Order(start_um, end_um, tag)
        self.check()
        with self._lock:
            self._scheduled += 1
        self._inbox.append(order)

    def check(self) -> None:
        """Raise RejectorStopped unless orders are being fired; call it before each heartbeat."""
        self._raise_failure()
        if self._stopping.is_set():
            raise RejectorStopped("the rejector is closed: make a new one")
        if self._clock() - self._alive_ns > self._stall_ns:
            raise RejectorStopped(
                f"no encoder reading for {self._stall_ns // 1_000_000} ms: "
                "the encoder or the reject line blocks; check its cable and bus"
            )

    def report(self) -> RejectReport:
        with self._lock:
            return RejectReport(
                scheduled=self._scheduled,
                fired=self._fired,
                missed=self._missed,
                pending=self._scheduled - self._fired - self._missed,
                error_um_max=self._error_um_max,
                outcomes=tuple(self._outcomes),
                pulses=tuple(self._pulses),
            )

    def close(self) -> None:
        """Stop; orders still to come stay pending. Closing again does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join(timeout=self._stall_ns / SECOND_NS)
        if self._thread.is_alive():
            raise RejectorStopped(
                "the reject thread does not stop: the encoder or the reject line blocks, "
                "and the line was left as it is; check its cable and bus"
            )
        self._raise_failure()

    def __enter__(self) -> Rejector:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RejectorStopped(
                f"the reject thread stopped: {self._failure!r}; mend the cause and start again"
            ) from self._failure

    def _run(self) -> None:
        try:
            if self._priority:
                _take_priority(self._priority)
            self._line.set(False)
            while not self._stopping.is_set():
                self._round()
        except BaseException as failure:
            log.exception("the reject thread failed; the line goes to reject")
            self._failure = failure
        self._rest()

    def _rest(self) -> None:
        """Drive the line to the level it is left at."""
        try:
            self._line.set(self._failure is not None or not self._release_on_close)
        except BaseException as failure:  # only the heartbeat can reject now
            log.exception("the line cannot be driven to reject")
            self._failure = self._failure or failure

    def _round(self) -> None:
        """Receive, advance, drive, and wait for the next switch or the next poll."""
        while self._inbox:
            self._tracker.order(self._inbox.popleft())
        reading = self._encoder.read()
        events = self._tracker.advance(reading)
        switched = False
        for event in events:
            if isinstance(event, Switch):
                self._line.set(event.active)
                switched = True
        self._alive_ns = self._clock()
        if events:
            self._record(events)
        if not switched:  # a switch is measured by a reading at once
            self._wait(self._tracker.next_due_ns())

    def _record(self, events: list[Event]) -> None:
        with self._lock:
            for event in events:
                if isinstance(event, Fired):
                    self._fired += 1
                    self._error_um_max = max(self._error_um_max, abs(event.error_um))
                    self._outcomes.append(event)
                elif isinstance(event, Missed):
                    self._missed += 1
                    self._outcomes.append(event)
                elif isinstance(event, Pulse):
                    self._pulses.append(event)

    def _wait(self, due_ns: int | None) -> None:
        """Sleep until shortly before `due_ns`, then watch the clock; or sleep until the poll."""
        now_ns = self._clock()
        poll_ns = now_ns + POLL_NS
        if due_ns is None or due_ns - SPIN_NS > poll_ns:
            time.sleep(POLL_NS / SECOND_NS)
            return
        if due_ns - SPIN_NS > now_ns:
            time.sleep((due_ns - SPIN_NS - now_ns) / SECOND_NS)
        while self._clock() < due_ns:
            pass


def _take_priority(priority: int) -> None:
    """Have this thread run ahead of every ordinary one."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as refused:
        raise RejectorStopped(
            f"real-time priority {priority} is refused ({refused.strerror}): "
            f"choose 1 to 99 and give the service LimitRTPRIO={priority}, or choose 0"
        ) from refused
