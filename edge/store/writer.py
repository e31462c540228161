"""The store's writer: the main loop hands an inspection over and goes on; a thread does the rest.

    with EventStore(settings, utc_now) as store:
        store.record(inspection)   # never waits

Pictures are written first, then the event that names them, so that an event's pictures are whole
whenever the program is killed. Where the disk is too slow or too full, pictures are given up first:
the event says why it has none. Where not even events can be written, they wait, and those that
there is no room for are counted, said and entered in the store as soon as it can write again.
A store that is damaged is set aside, and a new one is begun. So is one that was removed or replaced
while it was written: at each commit what is open is held against what lies there by its name.

What is promised: an event is on disk some ten milliseconds after its verdict, on a disk that keeps
up. A kill in between costs the event, and no more: its orders went out before it. A power cut may
cost the last moments besides.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from edge.errors import FrameError, StoreError
from edge.inspect import Inspection
from edge.line_file import StoreSettings
from edge.store.damage import is_damage, set_aside, told
from edge.store.event import (
    DAMAGED,
    DISK_FULL,
    DISK_REFUSES,
    GONE,
    KEPT,
    NO_IMAGE,
    QUEUE_FULL,
    Event,
    Selection,
    confidence,
    event_of,
)
from edge.store.event_file import EventFile, StoreGone, lock
from edge.store.pictures import draw_pictures, sweep, write_pictures
from edge.store.retention import Retention, utc_text
from edge.types import Frame

BACKLOG = 10_000  # events, without pictures, kept while the disk refuses; about 10 MB
_BATCH = 32  # events are entered together, so many at a time
_RETRY_S = 1.0  # between two attempts where the disk refuses
_IDLE_S = 60.0  # between two looks at what has grown too old
_MB = 1_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger("trackside")


@dataclass(frozen=True)
class _Handed:
    """An event on its way to the writer, and what its pictures are made of."""

    event: Event
    inspection: Inspection | None  # None where there are to be no pictures


class EventStore:
    """The store of one line, open for writing by this program alone.

    `record` is called by one thread and never waits for the disk. `trouble` says what is wrong now;
    `pictures_dropped` and `events_lost` count from the start of the run.
    """

    def __init__(
        self,
        settings: StoreSettings,
        now: Callable[[], datetime],
        clock_ns: Callable[[], int] = time.monotonic_ns,
        backlog: int = BACKLOG,
    ) -> None:
        self.pictures_dropped = 0
        self.events_lost = 0
        self._settings = settings
        self._room = backlog  # for events that wait
        self._root: Path = settings.path
        self._now = now
        self._retention = Retention(settings, now, clock_ns)
        self._refused: str | None = None  # what the disk has against it now
        self._damage: str | None = None  # which this run found, and what became of it
        self._selection = Selection(settings)
        self._inbox: queue.SimpleQueue[_Handed | threading.Event | None] = queue.SimpleQueue()
        # Each is counted by one thread alone: given by the loop, taken by the writer.
        self._given = self._taken = self._given_pictures = self._taken_pictures = 0
        self._backlog: list[Event] = []  # taken and not on disk
        self._flushes: list[threading.Event] = []
        self._file: EventFile | None = None  # None while the disk refuses even to open it
        self._run_id = self._last_id = self._losses_told = 0
        self._dropping: str | None = None  # why the latest event went without pictures
        self._is_closed = False
        self._lock: TextIO | None = None
        self._open()
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        return self._refused or self._damage

    def record(self, inspection: Inspection) -> None:
        """Keep it if it is worth keeping."""
        sure = confidence(inspection)
        why = self._selection.why(inspection, sure)
        if why is None:
            return
        if self._given - self._taken + len(self._backlog) >= self._room:
            self.events_lost += 1
            return
        evidence = KEPT if isinstance(inspection.seen, Frame) else NO_IMAGE
        waiting = self._given_pictures - self._taken_pictures
        if evidence == KEPT and waiting >= self._settings.queue_frames:
            evidence = QUEUE_FULL
        event = event_of(inspection, why, sure, utc=utc_text(self._now()), evidence=evidence)
        self._given += 1
        self._given_pictures += evidence == KEPT
        self._inbox.put(_Handed(event, inspection if evidence == KEPT else None))

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was recorded is on disk; whether it is."""
        done = threading.Event()
        self._inbox.put(done)
        return done.wait(timeout_s)

    def close(self, timeout_s: float = 10) -> None:
        """Write what is left; a disk that hangs is waited for no longer than this."""
        if self._is_closed:
            return
        self._is_closed = True
        self._inbox.put(None)
        self._thread.join(timeout_s)
        left = self._given - self._taken + len(self._backlog)
        if left:
            log.error("%d events are lost: %s", left, self.trouble or "the disk hangs")

    def __enter__(self) -> EventStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the writer's thread, but for the first `_open` ---

    def _open(self) -> None:
        """A disk that refuses now may not later. StoreError where another program writes it."""
        try:
            if self._lock is None:
                self._lock = lock(self._root)
            self._file = self._opened()
        except StoreError:
            raise
        except (sqlite3.Error, OSError) as error:
            self._say(self._refusal(error))
            return
        self._last_id = self._file.last_id
        self._run_id = self._last_id + 1
        with suppress(OSError):  # the next start sweeps too
            sweep(self._root, self._last_id)
        self._backlog = [self._numbered(event) for event in self._backlog]

    def _opened(self) -> EventFile:
        try:
            return EventFile(self._root)
        except sqlite3.Error as error:
            if not self._is_new_damage(error):
                raise
            self._set_aside(error)
            return EventFile(self._root)

    def _is_new_damage(self, error: Exception) -> bool:
        """A disk that damages the new one too is not to be filled with them."""
        return is_damage(error) and self._damage is None

    def _set_aside(self, error: Exception) -> None:
        aside = set_aside(self._root, self._now())
        self._damage = (
            f"{self._root} was damaged ({error}) and is begun anew; {aside} has what it held: see "
            "`dmesg` for faults of its disk, then remove that"
        )
        log.error("%s", self._damage)

    def _begin_anew(self, file: EventFile, error: Exception) -> None:
        """In a new file what waits has new numbers, and its pictures are with the damaged one."""
        file.close()
        self._file = None
        self._backlog = [self._stripped(event) for event in self._backlog]
        try:
            self._set_aside(error)
        except OSError as refused:
            self._say(self._refusal(refused))
        else:
            self._write()

    def _begin_where_it_was(self, file: EventFile, gone: StoreGone) -> None:
        """What was entered in files without a name is gone; what waits goes to new ones."""
        self._file = None
        try:
            aside = file.leave(self._now())
            if aside is None:
                self._file = EventFile(self._root)
        except (sqlite3.Error, OSError) as refused:
            self._say(self._refusal(refused))
            return
        said = f"{gone}; it is begun anew, with what waited"
        if aside is None:  # the file is whole, and may have had these before its log went
            assert self._file is not None
            self._backlog = [each for each in self._backlog if each.id > self._file.last_id]
        else:
            self._backlog = [self._stripped(event, GONE) for event in self._backlog]
            said += f"; {aside} has what lay there" if aside.exists() else ""
            if self._lock is not None:  # its file may be gone too
                self._lock.close()
                self._lock = None
        self._damage = said
        log.error("%s", said)

    def _stripped(self, event: Event, why: str = DAMAGED) -> Event:
        had_pictures = event.evidence == KEPT
        self.pictures_dropped += had_pictures
        evidence = why if had_pictures else event.evidence
        return replace(event, id=0, run=0, pictures=(), size_bytes=0, evidence=evidence)

    def _run(self) -> None:
        try:
            open_ended = True
            while open_ended:
                open_ended = self._receive()
                self._write()
        except BaseException as failure:
            log.exception("the store's thread failed; rejects are fired all the same")
            self._refused = f"{self._root} is written no more ({failure!r}): start again"
        finally:
            if self._file is not None:
                self._file.close()
            if self._lock is not None:
                self._lock.close()

    def _receive(self) -> bool:
        """Take some of what has come, pictures first; whether more may come."""
        waits_s = _RETRY_S if self._backlog or self._file is None else _IDLE_S
        try:
            item = self._inbox.get(timeout=waits_s)
            while item is not None:
                self._take(item)
                if len(self._backlog) >= _BATCH:
                    return True
                item = self._inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _take(self, item: _Handed | threading.Event) -> None:
        if isinstance(item, threading.Event):
            self._flushes.append(item)
            return
        event = self._numbered(item.event)
        if item.inspection is not None:
            event = self._with_pictures(event, item.inspection)
            self._taken_pictures += 1
        if event.evidence != NO_IMAGE:
            self._dropping = None if event.evidence == KEPT else event.evidence
            self.pictures_dropped += self._dropping is not None
        self._backlog.append(event)
        self._taken += 1

    def _numbered(self, event: Event) -> Event:
        if self._file is None:
            return event
        self._last_id += 1
        return replace(event, id=self._last_id, run=self._run_id)

    def _with_pictures(self, event: Event, inspection: Inspection) -> Event:
        """What room there is goes to the events, of which a megabyte holds a thousand."""
        assert isinstance(inspection.seen, Frame)
        drawn = draw_pictures(inspection.seen.image, inspection.mask, inspection.verdict)
        try:
            if event.id == 0:
                return replace(event, evidence=DISK_REFUSES)
            if self._free_bytes() < self._settings.keep_free_mb * _MB:
                return replace(event, evidence=DISK_FULL)
            names, size_bytes = write_pictures(self._root, event.id, drawn)
        except OSError as error:
            reason = DISK_FULL if error.errno in _FULL else f"{DISK_REFUSES}: {error.strerror}"
            return replace(event, evidence=reason)
        except FrameError:  # which is why it is UNKNOWN
            return replace(event, evidence=NO_IMAGE)
        return replace(event, pictures=names, size_bytes=size_bytes)

    def _write(self, *, is_second_try: bool = False) -> None:
        """Put all of the backlog on disk, or none of it; then make room for what is to come."""
        if self._file is None:
            self._open()
        if self._file is None:
            return
        lost = self.events_lost - self._losses_told
        losses = [(utc_text(self._now()), lost, self._refused or QUEUE_FULL)] if lost else []
        try:
            if self._backlog or losses:
                self._file.append(self._backlog, losses)
                self._backlog = []
                self._losses_told += lost
            self._retention.retire(self._file)
        except StoreGone as gone:
            self._begin_where_it_was(self._file, gone)
            if not is_second_try:
                self._write(is_second_try=True)
                return
        except (sqlite3.Error, OSError) as error:
            if self._is_new_damage(error):
                self._begin_anew(self._file, error)
            else:
                self._say(self._refusal(error))
        else:
            why = self._dropping
            self._say(None if why is None else f"{self._root}: {why}: events have no pictures")
        if not self._backlog:
            for done in self._flushes:
                done.set()
            self._flushes.clear()

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._root)
        return disk.f_bavail * disk.f_frsize

    def _refusal(self, error: sqlite3.Error | OSError) -> str:
        return f"{self._root} cannot be written: {told(error)}"

    def _say(self, trouble: str | None) -> None:
        """Once when it begins, once when it is over."""
        if trouble is not None and self._refused is None:
            log.error("%s; the line inspects and rejects all the same", trouble)
        elif trouble is None and self._refused is not None:
            dropped, lost = self.pictures_dropped, self.events_lost
            log.warning(
                "%s: well again; so far %d events went without pictures, %d were lost",
                *(self._root, dropped, lost),
            )
        self._refused = trouble


@contextmanager
def keeping(
    settings: StoreSettings | None, now: Callable[[], datetime]
) -> Iterator[EventStore | None]:
    """The store, if there is to be one."""
    if settings is None:
        yield None
        return
    with EventStore(settings, now) as store:
        yield store
