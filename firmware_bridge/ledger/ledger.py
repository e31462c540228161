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
or ended, are then entered as missed: they were due while the program was down. On a disk that is
full or read-only the run begins as soon as it can be written, and until then rejects are fired.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from firmware_bridge.errors import LedgerError
from firmware_bridge.ledger.ledger_file import (
    OUTCOMES,
    Entry,
    EntryKind,
    append,
    last_id,
    lock,
    open_database,
    refuses,
    unfinished,
    utc_now,
)
from firmware_bridge.types import SECOND_NS, Clock, Closing, Reason

RETRY_NS = SECOND_NS  # between two attempts where the disk refuses
BACKLOG = 100_000  # entries kept while the disk refuses; about 50 MB

log = logging.getLogger(__name__)


class Ledger(Closing):
    """The ledger of one line, open for writing by this program alone.

    `reconciled` holds what the run before left without an outcome, entered as missed; None while
    the disk refuses to tell. `add` may be called from any thread and never waits for the disk.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self.trouble: str | None = None
        self.reconciled: tuple[Entry, ...] | None = None
        self._path = path
        self._clock = clock
        self._inbox: queue.SimpleQueue[Entry | threading.Event | None] = queue.SimpleQueue()
        self._backlog: list[Entry] = []  # handed over and not on disk
        self._flushes: list[threading.Event] = []
        self._durable_ns: dict[tuple[int | None, str | None], int] = {}  # orders under way
        self._lost = 0
        self._is_closed = False
        self._database: sqlite3.Connection | None = None
        self._begun = Entry(EntryKind.BEGUN, clock(), utc=utc_now())
        self._lock = lock(path)
        try:
            self._begin_run()
        except sqlite3.Error as error:
            if not (isinstance(error, sqlite3.OperationalError) and refuses(path.parent)):
                self._lock.close()
                raise LedgerError(
                    f"{path}: {error}: move it away if it is no ledger, and make room on its disk"
                ) from error
            self._say_trouble(error)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    def add(self, entry: Entry) -> None:
        """Have it written. What is handed over first is on disk first."""
        self._inbox.put(replace(entry, utc=utc_now()))

    def flush(self, timeout_ns: int) -> bool:
        """Wait until all that was added is on disk; whether it is."""
        done = threading.Event()
        self._inbox.put(done)
        return done.wait(timeout_ns / SECOND_NS)

    def close(self) -> None:
        """End the run; LedgerError if something could not be written. Again it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self.add(Entry(EntryKind.ENDED, self._clock()))
        self._inbox.put(None)
        self._thread.join()
        if self._database is not None:
            self._database.close()
        self._lock.close()
        left = len(self._backlog) + self._inbox.qsize()
        if left:
            raise LedgerError(f"{left} entries are lost: {self.trouble}")

    def _begin_run(self) -> None:
        """Enter what the run before left, and that this one begins; sqlite3.Error if it cannot."""
        database = open_database(self._path)
        try:
            with database:
                database.execute("BEGIN IMMEDIATE")
                missed = tuple(_went_down(o, self._begun.at_ns) for o in unfinished(database))
                append(database, missed)
                self._run_id = last_id(database) + 1
                append(database, [replace(self._begun, run=self._run_id)])
        except sqlite3.Error:
            database.close()
            raise
        self._database, self.reconciled = database, missed
        for order in missed:
            log.warning("order %s (%s): %s", order.number, order.tag, order.reason)

    def _run(self) -> None:
        open_ended = True
        try:
            while open_ended:
                open_ended = self._receive()
                if self._is_behind:
                    self._write()
                if not self._is_behind:
                    for done in self._flushes:
                        done.set()
                    self._flushes.clear()
        except BaseException as failure:
            log.exception("the ledger's thread failed; rejects are fired all the same")
            self.trouble = f"{self._path} is written no more ({failure!r}): start again"

    @property
    def _is_behind(self) -> bool:
        """Whether entries are not on disk, or not even that the run has begun."""
        return bool(self._backlog) or self._database is None

    def _receive(self) -> bool:
        """Wait for an entry and take all there are; whether more may come."""
        try:
            item = self._inbox.get(timeout=RETRY_NS / SECOND_NS if self._is_behind else None)
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
        now = utc_now()
        unwritten = [replace(entry, utc=now) for entry in self._unwritten()]
        said = list(unwritten)
        if self._lost:
            said.append(Entry(EntryKind.LOST, self._clock(), measure_um=self._lost, utc=now))
        try:
            if self._database is None:
                self._begin_run()
            self._commit(self._backlog + said)
        except sqlite3.Error as error:
            self._say_trouble(error)
            return
        for entry in unwritten:  # said once it is written, and not with every attempt
            log.warning("order %d: %s", entry.number, entry.reason)
        if self.trouble is not None:
            log.warning("%s: written again, %d entries lost", self._path, self._lost)
        self.trouble, self._lost = None, 0
        self._note_durable()

    def _say_trouble(self, error: sqlite3.Error) -> None:
        remedy = "make room on its disk"
        if "readonly" in str(error):
            remedy = "see `dmesg` for why its disk is read-only, and let it be written"
        if self.trouble is None:
            log.error("%s: %s: %s; rejects are fired all the same", self._path, error, remedy)
        self.trouble = f"{self._path} cannot be written ({error}): {remedy}"

    def _commit(self, entries: list[Entry]) -> None:
        assert self._database is not None
        if self._database.in_transaction:  # whose commit the disk had refused
            self._database.rollback()
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            append(database, [replace(entry, run=self._run_id) for entry in entries])

    def _unwritten(self) -> Iterator[Entry]:
        """An entry for each order of the backlog's outcomes that was acted on too soon."""
        for entry in self._backlog:
            if entry.kind not in OUTCOMES or entry.number is None:
                continue
            durable_ns = self._durable_ns.get((entry.number, entry.actuator))
            acted_ns = entry.at_ns if entry.begun_ns is None else entry.begun_ns
            if durable_ns is None or durable_ns > acted_ns:
                reason = "it was acted on before it was on disk"
                yield replace(entry, kind=EntryKind.UNWRITTEN, measure_um=None, reason=reason)

    def _note_durable(self) -> None:
        now_ns = self._clock()
        for entry in self._backlog:
            order = (entry.number, entry.actuator)
            if entry.kind is EntryKind.ORDER:
                self._durable_ns[order] = now_ns
            elif entry.kind in OUTCOMES:
                self._durable_ns.pop(order, None)
        self._backlog.clear()


def _went_down(order: Entry, now_ns: int) -> Entry:
    assert order.start_um is not None and order.end_um is not None
    return replace(
        order,
        kind=EntryKind.MISSED,
        at_ns=now_ns,
        measure_um=order.end_um - order.start_um,
        reason=Reason.WENT_DOWN.value,
        utc=utc_now(),
        id=0,
    )
