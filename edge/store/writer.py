"""The store's writer: a thread puts on disk what the main loop has handed over.

Pictures are written first, then the event that names them, so that an event's pictures are whole
whenever the program is killed; where the power was cut, the next start finds those that are not,
and their events say so. Where the disk is too slow or too full, pictures are given up first:
the event says why it has none. Where not even events can be written, they wait, and those that
there is no room for are counted, said and entered in the store as soon as it can write again.
A store that is damaged is set aside, and a new one is begun. So is one that was removed or replaced
while it was written: at each commit what is open is held against what lies there by its name.
"""

from __future__ import annotations

import errno
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from edge.errors import FrameError, StoreError
from edge.inspect import Inspection
from edge.line_file import StoreSettings
from edge.store.account import Part
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
)
from edge.store.event_file import EventFile, StoreGone, lock
from edge.store.pictures import draw_pictures, sweep, write_pictures
from edge.store.retention import Retention, utc_text
from edge.types import Frame

_BATCH = 32  # events are entered together, so many at a time
_RETRY_S = 1.0  # between two attempts where the disk refuses
_IDLE_S = 60.0  # between two looks for events that have grown too old
_MB = 1_000_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger("trackside")


@dataclass(frozen=True)
class Handed:
    """An event on its way to the writer, and what its pictures are made of."""

    event: Event
    inspection: Inspection | None  # None where there are to be no pictures


class Writer:
    """Its constructor opens the store, and `run` is the thread; the rest may be read by any thread.

    StoreError where another program writes the store, or an older Trackside did.
    """

    def __init__(
        self,
        settings: StoreSettings,
        now: Callable[[], datetime],
        clock_ns: Callable[[], int],
        *,
        lost: Callable[[], int],
    ) -> None:
        self.inbox: queue.SimpleQueue[Handed | Part | threading.Event | None] = queue.SimpleQueue()
        self.taken = self.taken_pictures = 0  # from the inbox
        self.pictures_dropped = 0
        self._settings = settings
        self._root: Path = settings.path
        self._now = now
        self._lost = lost  # how many events there was no room for
        self._retention = Retention(settings, now, clock_ns)
        self._refused: str | None = None  # what the disk has against it now
        self._damage: str | None = None  # which this run found, and what became of it
        self._backlog: list[Event] = []  # taken and not on disk
        # A row for each minute and camera; a megabyte for a week in which the disk refuses.
        self._parts: dict[tuple[str, int], Part] = {}
        self._flushes: list[threading.Event] = []
        self._file: EventFile | None = None  # None while the disk refuses even to open it
        self._run_id = self._last_id = self._losses_told = 0
        self._dropping: str | None = None  # why the latest event went without pictures
        self._lock: TextIO | None = None
        self._open()

    @property
    def trouble(self) -> str | None:
        return self._refused or self._damage

    @property
    def unwritten(self) -> int:
        """Events that were taken and are not on disk."""
        return len(self._backlog)

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
        with suppress(OSError, sqlite3.Error):  # what cannot be done now is done by the next start
            sweep(self._root, self._last_id)
            if torn := self._file.strip_torn():
                log.warning("%s: %d events lost pictures when the power was cut", self._root, torn)
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
        if aside is None:  # the file is whole, and may hold some of these already
            assert self._file is not None
            self._backlog = [each for each in self._backlog if each.id > self._file.last_id]
        else:
            self._backlog = [self._stripped(event, GONE) for event in self._backlog]
            said += f"; {aside} has what lay there" if aside.exists() else ""
            if self._lock is not None:  # the lock's own file may be gone too
                self._lock.close()
                self._lock = None
        self._damage = said
        log.error("%s", said)

    def _stripped(self, event: Event, why: str = DAMAGED) -> Event:
        had_pictures = event.evidence == KEPT
        self.pictures_dropped += had_pictures
        evidence = why if had_pictures else event.evidence
        return replace(event, id=0, run=0, pictures=(), size_bytes=0, evidence=evidence)

    def run(self) -> None:
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
        is_behind = self._backlog or self._parts or self._file is None
        waits_s = _RETRY_S if is_behind else _IDLE_S
        try:
            item = self.inbox.get(timeout=waits_s)
            while item is not None:
                self._take(item)
                if len(self._backlog) >= _BATCH:
                    return True
                item = self.inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _take(self, item: Handed | Part | threading.Event) -> None:
        if isinstance(item, threading.Event):
            self._flushes.append(item)
            return
        if isinstance(item, Part):
            self._parts[item.camera, item.part] = item
            return
        event = self._numbered(item.event)
        if item.inspection is not None:
            event = self._with_pictures(event, item.inspection)
            self.taken_pictures += 1
        if event.evidence != NO_IMAGE:
            self._dropping = None if event.evidence == KEPT else event.evidence
            self.pictures_dropped += self._dropping is not None
        self._backlog.append(event)
        self.taken += 1

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
        except FrameError:  # the image that made the frame UNKNOWN cannot be drawn
            return replace(event, evidence=NO_IMAGE)
        return replace(event, pictures=names, size_bytes=size_bytes)

    def _write(self, *, is_second_try: bool = False) -> None:
        """Put all of the backlog on disk, or none of it; then make room for what is to come."""
        if self._file is None:
            self._open()
        if self._file is None:
            return
        lost = self._lost() - self._losses_told
        losses = [(utc_text(self._now()), lost, self._refused or QUEUE_FULL)] if lost else []
        try:
            if self._backlog or losses or self._parts:
                parts = [replace(part, run=self._run_id) for part in self._parts.values()]
                self._file.append(self._backlog, losses, parts)
                self._backlog = []
                self._parts.clear()
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
            dropped, lost = self.pictures_dropped, self._lost()
            log.warning(
                "%s: well again; so far %d events went without pictures, %d were lost",
                *(self._root, dropped, lost),
            )
        self._refused = trouble
