"""What the ledger is on disk: its entries, its SQLite file, and reading it."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import TextIO

from firmware_bridge.errors import LedgerError
from firmware_bridge.types import SECOND_NS

_CACHE_KIB = 256  # whoever only appends needs few pages
_ROOM = 1_000_000  # bytes: what SQLite takes to begin with, a few times over
LOCKED_NS = 5 * SECOND_NS  # a file that somebody locks for longer is a trouble


class EntryKind(str, Enum):
    """What an entry says; those from FIRED to HANDED_ON end an order."""

    BEGUN = "begun"  # the run
    ENDED = "ended"  # the run, in good order
    ORDER = "order"  # one for each actuator that serves its rail
    FIRED = "fired"  # measure_um: how far from where it was due
    MISSED = "missed"  # measure_um: how much went by
    HANDED_ON = "handed on"  # the run that came next gave it anew
    UNINSPECTED = "uninspected"  # rail that was rejected because nobody had looked at it
    LATE_PASS = "late pass"  # measure_um: how much too far the rail was; it lets nothing by
    PULSE = "pulse"
    CONFIRMED = "confirmed"  # the piece was seen to leave
    UNCONFIRMED = "unconfirmed"
    MODE = "mode"  # the outputs are in `tag` from now on
    BUNDLE = "bundle"  # the network of digest `tag` judges from now on, and by whose word
    UNWRITTEN = "unwritten"  # an order that was acted on before it was on disk
    LOST = "lost"  # measure_um: how many entries, because the disk refused for too long


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. `id`, `run` and `utc` are given when it is handed over."""

    kind: EntryKind
    at_ns: int  # on the monotonic clock of the run
    number: int | None = None  # of the order, in its run
    actuator: str | None = None
    rail: str | None = None
    start_um: int | None = None
    end_um: int | None = None
    measure_um: int | None = None
    begun_ns: int | None = None  # when the actuator was driven for it
    reason: str | None = None
    tag: str | None = None
    utc: str = ""
    run: int = 0  # id of the entry that began it
    id: int = 0


OUTCOMES = frozenset({EntryKind.FIRED, EntryKind.MISSED, EntryKind.HANDED_ON})
_NAMES = [column.name for column in fields(Entry)][:-1]  # SQLite gives the id
_row = attrgetter(*_NAMES)
_COLUMNS = ", ".join(_NAMES)
_INSERT = f"INSERT INTO entries ({_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, utc TEXT NOT NULL, at_ns INTEGER NOT NULL,
    kind TEXT NOT NULL, number INTEGER, actuator TEXT, rail TEXT, start_um INTEGER, end_um INTEGER,
    measure_um INTEGER, begun_ns INTEGER, reason TEXT, tag TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS one_order ON entries (run, number, actuator)
    WHERE kind = 'order';
CREATE UNIQUE INDEX IF NOT EXISTS one_outcome ON entries (run, number, actuator)
    WHERE kind IN ('fired', 'missed', 'handed on') AND number IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
"""
_UNFINISHED = f"""
SELECT {_COLUMNS}, id FROM entries AS given
WHERE kind = 'order' AND run = (SELECT max(run) FROM entries) AND NOT EXISTS (
    SELECT 1 FROM entries AS outcome WHERE outcome.kind IN ('fired', 'missed', 'handed on')
    AND outcome.run = given.run AND outcome.number = given.number
    AND outcome.actuator = given.actuator)
ORDER BY id
"""


def read_ledger(path: Path, *, last: int | None = None) -> list[Entry]:
    """The entries in the order in which they were written, or the last of them.

    LedgerError for a file that is not there, is no ledger, or is damaged.
    """
    limit = "" if last is None else f"WHERE id > (SELECT max(id) FROM entries) - {int(last)}"
    with reading(path) as database:
        return rows_of(database, limit, ())


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger for whoever reads it; LedgerError as `read_ledger`."""
    if not path.exists():
        raise LedgerError(f"{path}: no such ledger: give the path that the line file has")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: {error}: it is no ledger, or not readable for you") from error


def rows_of(database: sqlite3.Connection, where: str, values: Sequence[str | int]) -> list[Entry]:
    """The entries of which a condition is true, in order."""
    query = f"SELECT {_COLUMNS}, id FROM entries {where} ORDER BY id"
    return [_entry(row) for row in database.execute(query, values)]


def describe(entry: Entry) -> str:
    """An entry as a line for people."""
    said = [entry.utc, entry.kind.value]
    if entry.actuator is not None:
        said.append(entry.actuator)
    if entry.number is not None:
        said.append(f"order {entry.number}")
    if entry.tag is not None:
        said.append(f"({entry.tag})")
    if entry.start_um is not None and entry.end_um is not None:
        rail = f" of rail {entry.rail}" if entry.rail else ""
        said.append(f"{entry.start_um / 1000:.3f} to {entry.end_um / 1000:.3f} mm{rail}")
    if entry.measure_um is not None:
        unit = "entries" if entry.kind is EntryKind.LOST else "um"
        said.append(f"by {entry.measure_um} {unit}")
    line = " ".join(said)
    return line if entry.reason is None else f"{line}: {entry.reason}"


def lock(path: Path) -> TextIO:
    """Held for as long as the file is open; the system lets go of it however this process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        locked = _lock_file(path.with_name(path.name + ".lock"))
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}: give a folder you may write to") from error
    try:
        fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        locked.close()
        raise LedgerError(f"{path}: another program writes it: give each line its own") from error
    return locked


def _lock_file(path: Path) -> TextIO:
    try:
        # For its owner alone: whoever may open it may lock it, and keep the line from starting.
        return open(path, "a", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        if error.errno == errno.EROFS and path.exists():
            return path.open()  # on a read-only disk: a file open for reading can be locked as well
        raise


def try_ledger(path: Path) -> int:
    """Open a ledger as its writer does, and enter nothing; the number of its latest entry."""
    with lock(path):
        try:
            with closing(open_database(path)) as database:
                return last_id(database)
        except sqlite3.Error as error:
            raise LedgerError(
                f"{path}: {error}: move it away if it is no ledger, and make room on its disk"
            ) from error


def refuses(folder: Path) -> bool:
    """Whether its disk is full or read-only: a run waits for the end of that."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _ROOM or bool(disk.f_flag & os.ST_RDONLY)


def open_database(path: Path) -> sqlite3.Connection:
    """The ledger, made if there is none, for its owner alone; sqlite3.Error if it cannot be."""
    with suppress(OSError):  # it is there already, or cannot be made: SQLite will say so
        # SQLite gives its log the same rights
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    database = sqlite3.connect(
        path,
        timeout=LOCKED_NS / SECOND_NS,
        isolation_level=None,
        check_same_thread=False,  # opened by one thread, then used by the ledger's alone
    )
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.executescript(_SCHEMA)
    except sqlite3.Error:
        database.close()
        raise
    return database


def append(database: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    database.executemany(_INSERT, map(_row, entries))


def unfinished(database: sqlite3.Connection) -> list[Entry]:
    """The orders of the last run without an outcome."""
    return [_entry(row) for row in database.execute(_UNFINISHED)]


def last_id(database: sqlite3.Connection) -> int:
    [(last,)] = database.execute("SELECT coalesce(max(id), 0) FROM entries")
    return int(last)


def _entry(row: tuple[object, ...]) -> Entry:
    kind, *rest = row
    return Entry(EntryKind(kind), *rest)  # type: ignore[arg-type]


def utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
