"""From the loop to the spool: the loop leaves a verdict and goes on, a thread writes it down."""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from edge.health import LineHealth
from edge.inspect import Inspection
from edge.places import NOWHERE, Named
from edge.telemetry.messages import Stamp, health_message, verdict_message
from edge.telemetry.spool import Message, Spool
from edge.types import Verdict

log = logging.getLogger("trackside")

_BATCH = 500  # verdicts that are written at once
_RETRY_S = 1.0  # after a disk that would not have them


@dataclass(frozen=True, slots=True)
class _Told:
    camera: str
    verdict: Verdict
    latency_ns: int
    at: datetime
    place: Named  # as it was then


class Outbox:
    """The messages of one run. `tell` belongs to the main loop, and waits for nothing."""

    def __init__(
        self,
        spool: Spool,
        *,
        line: str,
        topic: str,
        health: Callable[[int], LineHealth],  # at a time of the clock
        health_every_s: float,
        clock_ns: Callable[[], int],
        utc_now: Callable[[], datetime],
        limit: int,
        named: Callable[[int], Named] = lambda _: NOWHERE,
    ) -> None:
        self.added = Event()  # something new is in the spool
        self.given_up = 0
        self._spool = spool
        self._line, self._topic, self._run = line, topic, uuid4().hex
        self._health, self._every_ns = health, round(health_every_s * 1e9)
        self._clock_ns, self._utc_now = clock_ns, utc_now
        self._limit, self._named = limit, named
        self._numbers = Counter[str]()  # by topic
        self._queue: SimpleQueue[_Told | None] = SimpleQueue()
        self._waiting: list[Message] = []  # not in the spool yet
        self._fails = False
        self._thread = Thread(target=self._work, name="outbox", daemon=True)

    def tell(self, inspection: Inspection) -> None:
        if not self._thread.is_alive():  # it failed and said so; what nobody takes must not pile up
            self.given_up += 1
            return
        verdict, latency_ns = inspection.verdict, inspection.latency_ns
        place = self._named(verdict.stretch.start_um)
        self._queue.put(_Told(inspection.camera, verdict, latency_ns, self._utc_now(), place))

    @property
    def spooled(self) -> int:
        """How many messages wait for the broker."""
        return len(self._spool)

    def __enter__(self) -> Outbox:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """All that was told is in the spool afterwards, and the last state of health."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        due_ns = self._clock_ns()
        open_ = True
        while open_:
            told, open_ = self._take(due_ns)
            self._waiting += [self._verdict(each) for each in told]
            if not open_ or self._clock_ns() >= due_ns:
                self._waiting.append(self._state())
                due_ns = self._clock_ns() + self._every_ns
            self._write()

    def _take(self, due_ns: int) -> tuple[list[_Told], bool]:
        """What was told since, once anything was or health is due; and whether more may come."""
        wait_s = max(0, due_ns - self._clock_ns()) / 1e9
        told: list[_Told] = []
        try:
            each = self._queue.get(timeout=min(wait_s, _RETRY_S) if self._waiting else wait_s)
            while each is not None:
                told.append(each)
                if len(told) == _BATCH:
                    return told, True
                each = self._queue.get_nowait()
        except Empty:
            return told, True
        return told, False

    def _write(self) -> None:
        if not self._waiting:
            return
        try:
            over = self._spool.append(self._waiting)
        except sqlite3.Error as error:
            if not self._fails:
                log.warning("messages cannot be spooled (%s) and are kept in memory", error)
            self._fails = True
            over = max(0, len(self._waiting) - self._limit)
            del self._waiting[:over]
        else:
            self._fails = False
            self._waiting.clear()
            self.added.set()
        if over and not self.given_up:
            log.warning("the spool is full: the oldest messages are given up")
        self.given_up += over

    def _verdict(self, told: _Told) -> Message:
        topic = f"verdict/{told.camera}"
        stamp = self._stamp(topic, told.at) | {"camera": told.camera}
        message = verdict_message(stamp, told.verdict, told.latency_ns, told.place)
        return self._message(topic, message)

    def _state(self) -> Message:
        stamp = self._stamp("health", self._utc_now())
        return self._message("health", health_message(stamp, self._health(self._clock_ns())))

    def _stamp(self, name: str, at: datetime) -> dict[str, Any]:
        self._numbers[name] += 1
        return {
            "line": self._line,
            "run": self._run,
            "number": self._numbers[name],
            "at": at.isoformat(timespec="milliseconds"),
        }

    def _message(self, name: str, message: Stamp) -> Message:
        return Message(f"{self._topic}/{name}", message.model_dump_json().encode())
