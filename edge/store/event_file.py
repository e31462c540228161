"""What the store is on disk: one SQLite file of events in WAL mode, written by one program."""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from edge.errors import StoreError
from edge.line_file import DATABASE
from edge.store.damage import DISK_FAULTS, is_damage, is_emptied, set_aside, told
from edge.store.event import Event, Why
from edge.store.open_files import OpenFiles
from edge.types import UNNAMED, UNSURE, Defect, State, Stretch

_NAMES = [column.name for column in fields(Event)]
_COLUMNS = ", ".join(_NAMES)
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
# An id is never given twice, so a picture never comes to lie under another event's.
_VERSION = 2  # of what follows; 0 is a store from before there were classes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, utc TEXT NOT NULL,
    frame INTEGER NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL,
    start_um INTEGER NOT NULL, end_um INTEGER NOT NULL, reasons TEXT NOT NULL,
    defects TEXT NOT NULL, reported TEXT NOT NULL, confidence REAL, latency_ns INTEGER NOT NULL,
    stage_ns TEXT NOT NULL, bundle TEXT NOT NULL, evidence TEXT NOT NULL, pictures TEXT NOT NULL,
    size_bytes INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON events (utc);
CREATE TABLE IF NOT EXISTS losses (utc TEXT NOT NULL, events INTEGER NOT NULL, reason TEXT NOT NULL)
"""


# Whether anything in an event has one of these classes or codes.
_FOUND = f"""EXISTS (
    SELECT 1 FROM (SELECT value FROM json_each(defects) UNION ALL SELECT value FROM
    json_each(reported)) WHERE json_extract(value, '$.code') IN ({{among}}) OR coalesce(
    json_extract(value, '$.class_name'), CASE WHEN json_extract(value, '$.class_score') IS NULL
    THEN '{UNNAMED}' ELSE '{UNSURE}' END) IN ({{among}}))"""


class StoreGone(OSError):
    """What is open is no longer what lies there by its name."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; the latest `last` of them."""

    states: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    since_utc: str | None = None
    classes: tuple[str, ...] = ()  # or codes, of what is found in them
    run: int | None = None
    from_um: int | None = None
    to_um: int | None = None
    last: int | None = None


class EventFile:
    """The events of a store, for its one writer."""

    def __init__(self, root: Path) -> None:
        if is_emptied(root):
            raise sqlite3.DatabaseError("it was emptied")
        self._root = root
        self._database = _connect(root)
        self._files = OpenFiles(root / DATABASE)
        try:
            with _garbage_named():
                self.last_id = self._one("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")
                self._picture_bytes = self._one("SELECT coalesce(sum(size_bytes), 0) FROM events")
        except sqlite3.Error:
            self._database.close()  # before it is set aside: SQLite removes a log by its name
            raise

    @property
    def size_bytes(self) -> int:
        """Of all that is kept; pages of the file that are free again do not count."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return self._picture_bytes + pages * self._one("PRAGMA page_size")

    def append(self, events: Iterable[Event], losses: Iterable[tuple[str, int, str]]) -> None:
        """All or none of them, in the files that lie there; sqlite3.Error where the disk refuses.

        StoreGone where they were removed or replaced, and nobody would read what is written.
        """
        events = list(events)
        self._check_place()
        with self._writing() as database:
            database.executemany(_INSERT, map(_row, events))
            database.executemany("INSERT INTO losses VALUES (?, ?, ?)", losses)
        self._check_place()
        self._files.note()
        self.last_id = max([self.last_id, *(event.id for event in events)])
        self._picture_bytes += sum(event.size_bytes for event in events)

    def oldest(self, count: int) -> list[Event]:
        query = f"SELECT {_COLUMNS} FROM events ORDER BY id LIMIT ?"
        with _garbage_named():
            return [_event(row) for row in self._database.execute(query, (count,))]

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
        # First, because SQLite would remove another's log by its name when it closes.
        aside = set_aside(self._root, at, only=strangers if in_place else None)
        self._database.close()
        return None if in_place else aside

    def _check_place(self) -> None:
        if (gone := self._files.gone()) is not None:
            raise StoreGone(f"{gone} was removed or replaced while the line ran")

    def _one(self, query: str) -> int:
        [(value,)] = self._database.execute(query)
        return int(value)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        if self._database.in_transaction:  # whose commit the disk had refused
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


def read_events(root: Path, wanted: Wanted = Wanted()) -> list[Event]:
    """Those that are wanted, in the order in which they were entered."""
    where, values = _conditions(wanted)
    limit = "" if wanted.last is None else f"LIMIT {int(wanted.last)}"
    query = f"SELECT {_COLUMNS} FROM events {where} ORDER BY id DESC {limit}"
    with _reading(root) as database:
        return [_event(row) for row in database.execute(query, values)][::-1]


def read_event(root: Path, event_id: int) -> Event:
    """One of them."""
    query = f"SELECT {_COLUMNS} FROM events WHERE id = ?"
    with _reading(root) as database:
        for row in database.execute(query, (event_id,)):
            return _event(row)
    raise StoreError(f"{root} has no event {event_id}: `trackside events list` shows what it has")


def read_losses(root: Path) -> list[tuple[str, int, str]]:
    """When, how many events, and why they could not even be entered."""
    with _reading(root) as database:
        return list(database.execute("SELECT utc, events, reason FROM losses ORDER BY utc"))


def try_store(root: Path) -> int:
    """Open a store as its writer does, and mend nothing in it; the number of its latest event."""
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
        database.execute("PRAGMA cache_size = -256")  # KiB; one that appends wants few pages
        # The log beside the file stays below half a megabyte, for which `keep_free_mb` has room.
        database.execute("PRAGMA wal_autocheckpoint = 100")
        if not _holds_events(database, root):  # first, so that no kill leaves events without it
            database.execute(f"PRAGMA user_version = {_VERSION}")
        database.executescript(_SCHEMA)
    except (sqlite3.Error, StoreError):
        database.close()
        raise
    return database


def _holds_events(database: sqlite3.Connection, root: Path) -> bool:
    """Whether it is a store already. StoreError for one that an older Trackside wrote."""
    [(tables,)] = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'")
    [(version,)] = database.execute("PRAGMA user_version")
    if tables and version == 0:
        raise StoreError(
            f"{root / DATABASE} was written by an older Trackside, which knew no classes: export "
            f"it with that one, then move {root} away, or give another path"
        )
    if tables and version != _VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}")
    return bool(tables)


@contextmanager
def _reading(root: Path) -> Iterator[sqlite3.Connection]:
    path = root / DATABASE
    if not path.exists():
        raise StoreError(f"{root} holds no event store: give the path that the line file has")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not (root / f"{DATABASE}-wal").exists():
        uri += "&immutable=1"  # nobody writes it, and without a log SQLite would have to make one
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as database, _garbage_named():
            _holds_events(database, root)
            yield database
    except sqlite3.Error as error:
        if is_damage(error):
            raise StoreError(f"{path}: {told(error)}") from error
        raise StoreError(f"{path}: {error}: it is no store, or not readable for you") from error


@contextmanager
def _garbage_named() -> Iterator[None]:
    """A page of garbage may pass for one of events, until one looks at its values."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"it holds no events ({error})") from error


def _conditions(wanted: Wanted) -> tuple[str, list[Any]]:
    parts: list[tuple[str, list[Any]]] = []
    for column, among in (("state", wanted.states), ("why", wanted.why)):
        if among:
            parts.append((f"{column} IN ({', '.join('?' * len(among))})", [*among]))
    if wanted.classes:
        marks = ", ".join("?" * len(wanted.classes))
        parts.append((_FOUND.format(among=marks), [*wanted.classes] * 2))
    for condition, value in (
        ("utc >= ?", wanted.since_utc),
        ("run = ?", wanted.run),
        ("end_um > ?", wanted.from_um),
        ("start_um < ?", wanted.to_um),
    ):
        if value is not None:
            parts.append((condition, [value]))
    where = "WHERE " + " AND ".join(text for text, _ in parts) if parts else ""
    return where, [value for _, values in parts for value in values]


def _row(event: Event) -> tuple[Any, ...]:
    values = {name: getattr(event, name) for name in _NAMES}
    values["state"], values["why"] = event.state.value, event.why.value
    for name in ("defects", "reported"):
        values[name] = json.dumps([asdict(defect) for defect in values[name]])
    for name in ("reasons", "stage_ns", "pictures"):
        values[name] = json.dumps(values[name])
    return tuple(values.values())


def _event(row: tuple[Any, ...]) -> Event:
    values = dict(zip(_NAMES, row, strict=True))
    values["state"], values["why"] = State(values["state"]), Why(values["why"])
    for name in ("defects", "reported"):
        values[name] = tuple(map(_defect, json.loads(values[name])))
    values["stage_ns"] = json.loads(values["stage_ns"])
    for name in ("reasons", "pictures"):
        values[name] = tuple(json.loads(values[name]))
    return Event(**values)


def _defect(values: dict[str, Any]) -> Defect:
    values["stretch"] = Stretch(**values["stretch"])
    for name in ("box_px", "absorbed"):
        values[name] = tuple(values[name])
    return Defect(**values)
