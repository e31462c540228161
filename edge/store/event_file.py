"""What the store is on disk: one SQLite file of events in WAL mode, written by one program."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TextIO

from edge.errors import StoreError
from edge.line_file import DATABASE
from edge.store.account import Part
from edge.store.damage import DISK_FAULTS, is_emptied, set_aside, told
from edge.store.event import TORN, Event
from edge.store.event_rows import (
    EVENT_COLUMNS,
    INSERT,
    INSERT_PART,
    SCHEMA,
    VERSION,
    event_of_row,
    garbage_named,
    holds_events,
    row_of,
    row_of_part,
)
from edge.store.open_files import OpenFiles
from edge.store.pictures import are_whole, remove_pictures

_YOUNG = 1000  # the latest events, of which a power cut may have torn the pictures
_STRIP = "UPDATE events SET evidence = ?, pictures = '[]', size_bytes = 0 WHERE id = ?"


class StoreGone(OSError):
    """What is open is no longer what lies there by its name."""


class EventFile:
    """The events of a store, for its one writer."""

    def __init__(self, root: Path) -> None:
        if is_emptied(root):
            raise sqlite3.DatabaseError("it was emptied")
        self._root = root
        self._database = _connect(root)
        self._files = OpenFiles(root / DATABASE)
        try:
            with garbage_named():
                self.last_id = self._one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")
                self._picture_bytes = self._one("SELECT coalesce(sum(size_bytes), 0) FROM events")
        except sqlite3.Error:
            self._database.close()  # before the file is set aside: SQLite removes its log by name
            raise

    @property
    def size_bytes(self) -> int:
        """Of all that is kept; pages of the file that are free again do not count."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return self._picture_bytes + pages * self._one("PRAGMA page_size")

    def append(
        self,
        events: Iterable[Event],
        losses: Iterable[tuple[str, int, str]],
        parts: Iterable[Part] = (),
    ) -> None:
        """All or none of them, in the files that lie there; sqlite3.Error where the disk refuses.

        StoreGone where they were removed or replaced, and nobody would read what is written.
        """
        events = list(events)
        self._check_place()
        with self._writing() as database:
            database.executemany(INSERT, map(row_of, events))
            database.executemany("INSERT INTO losses VALUES (?, ?, ?)", losses)
            database.executemany(INSERT_PART, map(row_of_part, parts))
        self._check_place()
        self._files.note()
        self.last_id = max([self.last_id, *(event.id for event in events)])
        self._picture_bytes += sum(event.size_bytes for event in events)

    def oldest(self, count: int) -> list[Event]:
        return self._first("id", count)

    def strip_torn(self) -> int:
        """Remove pictures that a power cut has torn; of how many events, which then say so."""
        torn = [e for e in self._first("id DESC", _YOUNG) if not are_whole(self._root, e)]
        with self._writing() as database:
            database.executemany(_STRIP, [(TORN, event.id) for event in torn])
        self._picture_bytes -= sum(event.size_bytes for event in torn)
        for event in torn:
            remove_pictures(self._root, event.id, event.pictures)
        return len(torn)

    def aged_id(self, since_utc: str, now_utc: str, count: int) -> int:
        """The event up to which all are from before `since_utc`; beyond `count` of them, a part.

        What was entered before one of those is older still, though its date be yet to come.
        """
        aged_id = aged = 0
        with closing(self._database.execute("SELECT id, utc FROM events ORDER BY id")) as rows:
            for event_id, utc in rows:
                if since_utc <= str(utc) <= now_utc or aged == count:
                    break
                if str(utc) < since_utc:
                    aged_id, aged = event_id, aged + 1
        return int(aged_id)

    def remove(self, events: list[Event]) -> None:
        with self._writing() as database:
            database.executemany("DELETE FROM events WHERE id = ?", [(e.id,) for e in events])
        self._picture_bytes -= sum(event.size_bytes for event in events)

    def forget_account(self, since_utc: str) -> None:
        """Of what was looked at before that."""
        with self._writing() as database:
            database.execute("DELETE FROM account WHERE utc < ?", (since_utc,))

    def close(self) -> None:
        self._database.close()

    def leave(self, at: datetime) -> Path | None:
        """Close it and clear the place for a new one; which folder has what lay there.

        None where only the log was removed: what that held has come to the file, which is whole.
        """
        in_place, strangers = self._files.is_in_place, self._files.strangers()
        if in_place:
            with suppress(sqlite3.Error):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            self._root.mkdir(parents=True, exist_ok=True)
            self._files.remove_logs()
        # Set aside before closing: SQLite removes the log by its name when it closes, and by now
        # another log may have that name.
        aside = set_aside(self._root, at, only=strangers if in_place else None)
        self._database.close()
        return None if in_place else aside

    def _check_place(self) -> None:
        if (gone := self._files.gone()) is not None:
            raise StoreGone(f"{gone} was removed or replaced while the line ran")

    def _first(self, order: str, count: int) -> list[Event]:
        query = f"SELECT {EVENT_COLUMNS} FROM events ORDER BY {order} LIMIT ?"
        with garbage_named():
            return [event_of_row(row) for row in self._database.execute(query, (count,))]

    def _one(self, query: str) -> int:
        [(value,)] = self._database.execute(query)
        return int(value)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._database.in_transaction:  # left by a commit that the disk refused
            self._database.rollback()
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            yield database


def lock(root: Path) -> TextIO:
    """Held for as long as the file is open; the system lets go of it however this process ends.

    StoreError where another folder is to be given, any other OSError where the disk is at fault.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)  # all that is in it is its owner's
        locked = (root / "lock").open("a")
    except OSError as error:
        if error.errno in DISK_FAULTS:
            raise
        raise StoreError(f"{root}: {error.strerror}: give a folder you may write to") from error
    try:
        fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        locked.close()
        raise StoreError(f"{root}: another program writes it: give each line its own") from error
    return locked


def try_store(root: Path) -> int:
    """Open a store as its writer does, and mend nothing in it; the number of its latest event.

    StoreError where a line could not write it.
    """
    try:
        with lock(root), closing(EventFile(root)) as file:
            return file.last_id
    except StoreError:
        raise
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{root}: {told(error)}") from error


def _connect(root: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        root / DATABASE, timeout=5, isolation_level=None, check_same_thread=False
    )
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last moments, and no more; a kill costs nothing.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -256")  # KiB; who only appends needs few pages
        # The log beside the file stays below half a megabyte, for which `keep_free_mb` has room.
        database.execute("PRAGMA wal_autocheckpoint = 100")
        # before the table, so that no kill leaves one without version
        if not holds_events(database, root):
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.executescript(SCHEMA)
    except (sqlite3.Error, StoreError):
        database.close()
        raise
    return database
