"""The ledger: every order, pulse, confirmation, miss and change of mode, kept for good in SQLite.

    with Ledger(path, clock) as ledger:
        ledger.add(Entry(EntryKind.ORDER, clock(), number=1, ...))   # never waits
    for entry in read_ledger(path): ...

It is appended to and never changed. Whoever writes hands an entry over and goes on; a thread puts
all that have come on disk together (WAL, synchronous=FULL). So an order is on disk a few
milliseconds after it was given, long before its rail is under the actuator. Where that fails,
because it was due sooner or the disk is full, the reject is fired all the same, and the ledger says
so: in the log, in `trouble`, and as an entry as soon as it can write.

Opening it begins a run. Orders that the run before left without an outcome, because it was killed
or ended, are then entered as missed: they were due while the program was down.
"""

from __future__ import annotations

import fcntl
import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from enum import Enum
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import TextIO

from firmware_bridge.types import SECOND_NS, BridgeError, Clock, Reason

RETRY_NS = SECOND_NS  # between two attempts where the disk refuses
LOCKED_NS = 5 * SECOND_NS  # whoever locks the file for longer is trouble
BACKLOG = 100_000  # entries kept while the disk refuses; about 50 MB

log = logging.getLogger(__name__)


class LedgerError(BridgeError, OSError):
    """A ledger that cannot be opened, read or written."""


class EntryKind(str, Enum):
    """What an entry says; those from FIRED to MISSED end an order."""

    BEGUN = "begun"  # a run
    ENDED = "ended"  # the run, in good order
    ORDER = "order"  # one for each actuator that serves its rail
    FIRED = "fired"  # measure_um: how far from where it was due
    MISSED = "missed"  # measure_um: how much went by
    LATE_PASS = "late pass"  # measure_um: how far the rail was beyond; it lets nothing by
    PULSE = "pulse"
    CONFIRMED = "confirmed"  # the piece was seen to leave
    UNCONFIRMED = "unconfirmed"
    MODE = "mode"  # the outputs are in `tag` from now on
    UNWRITTEN = "unwritten"  # an order that was acted on before it was on disk
    LOST = "lost"  # measure_um: as many entries, when the disk had refused for too long


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


_OUTCOMES = frozenset({EntryKind.FIRED, EntryKind.MISSED})
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
    WHERE kind IN ('fired', 'missed') AND number IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON entries
    BEGIN SELECT RAISE(ABORT, 'the ledger is only appended to'); END;
"""
_UNFINISHED = f"""
SELECT {_COLUMNS}, id FROM entries AS given
WHERE kind = 'order' AND run = (SELECT max(run) FROM entries) AND NOT EXISTS (
    SELECT 1 FROM entries AS outcome WHERE outcome.kind IN ('fired', 'missed')
    AND outcome.run = given.run AND outcome.number = given.number
    AND outcome.actuator = given.actuator)
ORDER BY id
"""


class Ledger:
    """The ledger of one line, open for writing by this program alone.

    `reconciled` holds what the run before left without an outcome, entered as missed. `add` may be
    called from any thread and never waits for the disk.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.trouble: str | None = None
        self._path = path
        self._clock = clock
        self._inbox: queue.SimpleQueue[Entry | threading.Event | None] = queue.SimpleQueue()
        self._backlog: list[Entry] = []  # handed over and not on disk
        self._flushes: list[threading.Event] = []
        self._durable_ns: dict[tuple[int | None, str | None], int] = {}  # orders under way
        self._lost = 0
        with ExitStack() as stack:
            self._lock = stack.enter_context(_lock(path))
            self._database = stack.enter_context(closing(_open(path)))
            self._run_id, self.reconciled = self._begin_run()
            self._resources = stack.pop_all()
        for missed in self.reconciled:
            log.warning("order %s (%s): %s", missed.number, missed.tag, missed.reason)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Have it written. What is handed over first is on disk first."""
        self._inbox.put(self._stamped(entry))

    def flush(self, timeout_ns: int) -> bool:
        """Wait until all that was added is on disk; whether it is."""
        done = threading.Event()
        self._inbox.put(done)
        return done.wait(timeout_ns / SECOND_NS)

    def close(self) -> None:
        """End the run; LedgerError if something could not be written. Again it does nothing."""
        if not self._thread.is_alive():
            return
        self.add(Entry(EntryKind.ENDED, self._clock()))
        self._inbox.put(None)
        self._thread.join()
        self._resources.close()
        if self._backlog:
            raise LedgerError(f"{len(self._backlog)} entries are lost: {self.trouble}")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin_run(self) -> tuple[int, tuple[Entry, ...]]:
        now_ns, reason = self._clock(), Reason.WENT_DOWN.value
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            left = [_entry(row) for row in database.execute(_UNFINISHED)]
            missed = [
                replace(
                    order,
                    kind=EntryKind.MISSED,
                    at_ns=now_ns,
                    utc=_utc(),
                    measure_um=(order.end_um or 0) - (order.start_um or 0),
                    reason=reason,
                )
                for order in left
            ]
            database.executemany(_INSERT, map(_row, missed))
            [(last,)] = database.execute("SELECT coalesce(max(id), 0) FROM entries")
            begun = Entry(EntryKind.BEGUN, now_ns, utc=_utc(), run=last + 1)
            database.execute(_INSERT, _row(begun))
        return begun.run, tuple(missed)

    def _run(self) -> None:
        open_ended = True
        while open_ended:
            open_ended = self._receive()
            if self._backlog:
                self._write()
            if not self._backlog:
                for done in self._flushes:
                    done.set()
                self._flushes.clear()

    def _receive(self) -> bool:
        """Wait for an entry and take all there are; whether more may come."""
        try:
            item = self._inbox.get(timeout=RETRY_NS / SECOND_NS if self._backlog else None)
            while item is not None:
                if isinstance(item, threading.Event):
                    self._flushes.append(item)
                elif len(self._backlog) < BACKLOG:
                    self._backlog.append(item)
                else:
                    self._lost += 1
                item = self._inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _write(self) -> None:
        """Put all of the backlog on disk, or none of it."""
        said = [self._stamped(entry) for entry in self._unwritten()]
        if self._lost:
            lost = Entry(EntryKind.LOST, self._clock(), measure_um=self._lost)
            said.append(self._stamped(lost))
        try:
            self._commit(self._backlog + said)
        except sqlite3.Error as error:
            if self.trouble is None:
                log.error("%s: %s: make room; rejects are fired all the same", self._path, error)
            self.trouble = f"{self._path} cannot be written ({error}): make room on its disk"
            return
        if self.trouble is not None:
            log.warning("%s: written again, %d entries lost", self._path, self._lost)
        self.trouble, self._lost = None, 0
        self._note_durable()

    def _commit(self, entries: list[Entry]) -> None:
        if self._database.in_transaction:  # whose commit the disk had refused
            self._database.rollback()
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(_INSERT, map(_row, entries))

    def _unwritten(self) -> Iterator[Entry]:
        """An entry for each order of the backlog's outcomes that was acted on too soon."""
        for entry in self._backlog:
            if entry.kind not in _OUTCOMES or entry.number is None:
                continue
            durable_ns = self._durable_ns.get((entry.number, entry.actuator))
            acted_ns = entry.at_ns if entry.begun_ns is None else entry.begun_ns
            if durable_ns is None or durable_ns > acted_ns:
                reason = "it was acted on before it was on disk"
                log.warning("order %d: %s", entry.number, reason)
                yield replace(entry, kind=EntryKind.UNWRITTEN, measure_um=None, reason=reason)

    def _note_durable(self) -> None:
        now_ns = self._clock()
        for entry in self._backlog:
            order = (entry.number, entry.actuator)
            if entry.kind is EntryKind.ORDER:
                self._durable_ns[order] = now_ns
            elif entry.kind in _OUTCOMES:
                self._durable_ns.pop(order, None)
        self._backlog.clear()

    def _stamped(self, entry: Entry) -> Entry:
        return replace(entry, utc=_utc(), run=self._run_id)


def read_ledger(path: Path, *, last: int | None = None) -> list[Entry]:
    """The entries in the order in which they were written, or the last of them."""
    if not path.exists():
        raise LedgerError(f"{path}: no such ledger: give the path that the line file has")
    limit = "" if last is None else f"WHERE id > (SELECT max(id) FROM entries) - {int(last)}"
    query = f"SELECT {_COLUMNS}, id FROM entries {limit} ORDER BY id"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return [_entry(row) for row in database.execute(query)]
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: {error}: it is no ledger, or not readable for you") from error


def _lock(path: Path) -> TextIO:
    """Held for as long as the file is open; the system lets go of it however this process ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        locked = path.with_name(path.name + ".lock").open("a")
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}: give a folder you may write to") from error
    try:
        fcntl.flock(locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        locked.close()
        raise LedgerError(f"{path}: another program writes it: give each line its own") from error
    return locked


def _open(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(
            path,
            timeout=LOCKED_NS / SECOND_NS,
            isolation_level=None,
            check_same_thread=False,  # opened here, then used by the ledger's thread alone
        )
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.executescript(_SCHEMA)
    except sqlite3.Error as error:
        raise LedgerError(
            f"{path}: {error}: move it away if it is no ledger, and make room on its disk"
        ) from error
    return database


def _entry(row: tuple[object, ...]) -> Entry:
    kind, *rest = row
    return Entry(EntryKind(kind), *rest)  # type: ignore[arg-type]


def _utc() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
