"""The event store as the main loop has it: an inspection is handed over, and the loop goes on.

    with EventStore(settings, utc_now) as store:
        store.record(inspection)   # never waits

What is promised: an event is on disk some ten milliseconds after its verdict, on a disk that keeps
up. A kill in between costs the event, and no more: its orders went out before it. A power cut may
cost the last moments besides.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from secrets import randbelow

from edge.inspect import Inspection
from edge.line_file import StoreSettings
from edge.store.account import Account
from edge.store.event import KEPT, NO_IMAGE, QUEUE_FULL, Selection, confidence, event_of
from edge.store.retention import utc_text
from edge.store.writer import Handed, Writer
from edge.types import Frame

BACKLOG = 10_000  # events, without pictures, kept while the disk refuses; about 10 MB
# What was looked at is told so often, and more often beside events: a kill costs that much.
_ACCOUNT_NS, _BESIDE_EVENTS_NS = 2_000_000_000, 200_000_000

log = logging.getLogger("trackside")


class EventStore:
    """The store of one line, open for writing by this program alone.

    Opening it raises StoreError where another program writes it, or an older Trackside did; a disk
    that refuses is a `trouble`, and the line goes on. `record` is called by one thread and never
    waits for the disk. `pictures_dropped` and `events_lost` count from the start of the run.
    """

    def __init__(
        self,
        settings: StoreSettings,
        now: Callable[[], datetime],
        clock_ns: Callable[[], int] = time.monotonic_ns,
        backlog: int = BACKLOG,
        *,
        began: str | None = None,
        pick: Callable[[int], int] = randbelow,
    ) -> None:
        self.events_lost = 0
        self._settings = settings
        self._room = backlog  # for events that wait
        self._now, self._clock_ns = now, clock_ns
        self._account = Account(began or utc_text(now()))
        self._account_told_ns: int | None = None
        self._selection = Selection(settings, pick)
        self._given = self._given_pictures = 0  # to the writer, who counts what it has taken
        self._is_closed = False
        self._writer = Writer(settings, now, clock_ns, lost=lambda: self.events_lost)
        self._thread = threading.Thread(target=self._writer.run, name="store", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """What is wrong now, and what to do."""
        return self._writer.trouble

    @property
    def pictures_dropped(self) -> int:
        return self._writer.pictures_dropped

    def record(self, inspection: Inspection) -> None:
        """Keep it if it is worth keeping; that it was looked at in any case."""
        sure = confidence(inspection)
        why = self._selection.why(inspection, sure)
        self._account.add(inspection, self._now())
        told_ns = self._account_told_ns
        due_ns = _ACCOUNT_NS if why is None else _BESIDE_EVENTS_NS
        if told_ns is None or self._clock_ns() - told_ns >= due_ns:
            self._tell_account()
        if why is None:
            return
        if self._waiting() >= self._room:
            self.events_lost += 1
            return
        evidence = KEPT if isinstance(inspection.seen, Frame) else NO_IMAGE
        pictures = self._given_pictures - self._writer.taken_pictures
        if evidence == KEPT and pictures >= self._settings.queue_frames:
            evidence = QUEUE_FULL
        event = event_of(inspection, why, sure, utc=utc_text(self._now()), evidence=evidence)
        self._given += 1
        self._given_pictures += evidence == KEPT
        self._writer.inbox.put(Handed(event, inspection if evidence == KEPT else None))

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was recorded is on disk; whether it is."""
        done = threading.Event()
        self._tell_account()
        self._writer.inbox.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 10) -> None:
        """Write what is left; a disk that hangs is waited for no longer than this."""
        if self._is_closed:
            return
        self._is_closed = True
        self._tell_account()
        self._writer.inbox.put(None)
        self._thread.join(timeout_s)
        if left := self._waiting():
            log.error("%d events are lost: %s", left, self.trouble or "the disk hangs")

    def __enter__(self) -> EventStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tell_account(self) -> None:
        self._account_told_ns = self._clock_ns()
        for part in self._account.take():
            self._writer.inbox.put(part)

    def _waiting(self) -> int:
        """Events that are not on disk."""
        return self._given - self._writer.taken + self._writer.unwritten


@contextmanager
def keeping(
    settings: StoreSettings | None, now: Callable[[], datetime], began: str | None = None
) -> Iterator[EventStore | None]:
    """The store, if there is to be one, for a run that is named by when it began."""
    if settings is None:
        yield None
        return
    with EventStore(settings, now, began=began) as store:
        yield store
