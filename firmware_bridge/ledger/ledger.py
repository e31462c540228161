"""The ledger: every order, pulse, confirmation, miss and change of mode, kept for good in SQLite.

    with Ledger(path, clock) as ledger:
        ledger.begin(place, ...)             once it is known where the rail is
        ledger.add(Entry(EntryKind.ORDER, clock(), number=1, ...))   # never waits
        ledger.know(piece, position_um)      this rail was inspected
    for entry in read_ledger(path): ...

It is appended to and never changed. Whoever writes hands an entry over and goes on; a thread puts
all that have come on disk together (WAL, synchronous=FULL). So an order is on disk a few
milliseconds after it was given, long before its rail is under the actuator. Where that fails,
because it was due sooner or the disk is full, the reject is fired all the same, and the ledger says
so: in the log, in `trouble`, and as an entry as soon as it can write.

Opening it finds what the run before left: orders without an outcome, because it was killed or
ended, and the rail that it had let pass. Whoever opens it says in `begin` which of the orders are
given anew; the others are entered as missed, for they were due while the program was down. On a
disk that is full or read-only the run begins as soon as it can be written, and until then rejects
are fired.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from firmware_bridge.errors import LedgerError
from firmware_bridge.ledger.known import Piece, Place
from firmware_bridge.ledger.known_file import since_boot_ns
from firmware_bridge.ledger.ledger_disk import (
    Beginning,
    Inherited,
    LedgerDisk,
    Pass,
    handed_on,
    went_down,
)
from firmware_bridge.ledger.ledger_file import OUTCOMES, Entry, EntryKind, refuses, utc_now
from firmware_bridge.types import SECOND_NS, Clock, Closing

RETRY_NS = SECOND_NS  # between two attempts where the disk refuses
BACKLOG = 100_000  # entries kept while the disk refuses; about 50 MB

log = logging.getLogger(__name__)


class _Forget:
    """What is known is not true any more."""


_Item = Entry | Beginning | Pass | _Forget | threading.Event


class Ledger(Closing):
    """The ledger of one line, open for writing by this program alone.

    `add` and `know` may be called from any thread and never wait for the disk. Opening it raises
    LedgerError where another program writes it, and for a file that is no ledger; a disk that
    refuses is a `trouble`, and the line goes on. `run` is what others call the run.
    """

    def __init__(self, path: Path, clock: Clock, run: str | None = None) -> None:
        self.trouble: str | None = None
        self._path = path
        self._clock = clock
        self._run_name = run
        self._inbox: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._backlog: list[Entry] = []  # handed over and not on disk
        self._flushes: list[threading.Event] = []
        self._lost = 0
        self._is_closed = self._is_begun = False
        self._begun_ns = clock()
        self._disk = LedgerDisk(path)
        try:
            self._disk.open()
        except sqlite3.Error as error:
            if not (isinstance(error, sqlite3.OperationalError) and refuses(path.parent)):
                self._disk.close()
                raise LedgerError(
                    f"{path}: {error}: move it away if it is no ledger, and make room on its disk"
                ) from error
            self._say_trouble(error)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def inherited(self) -> Inherited | None:
        """What the run before left; None while the disk refuses to tell."""
        return self._disk.inherited

    @property
    def is_unkept(self) -> bool:
        """Whether the file was removed or replaced, and no new one takes the orders."""
        return self._disk.is_unkept

    def begin(
        self,
        place: Place | None,
        given_anew: Iterable[Entry],
        gone_by: Iterable[Entry],
        passed: Sequence[Piece],
        where: str,
    ) -> None:
        """Begin the run: what becomes of each order of the one before, and what may still pass.

        Those that are given anew were added before, with new numbers; all comes on disk together.
        """
        ended = [handed_on(order, self._begun_ns) for order in given_anew]
        ended += [went_down(order, self._begun_ns) for order in gone_by]
        begun = Entry(
            EntryKind.BEGUN, self._begun_ns, utc=utc_now(), reason=where, tag=self._run_name
        )
        self._is_begun = True
        self._inbox.put(Beginning(begun, tuple(ended), place, tuple(passed)))

    def add(self, entry: Entry) -> None:
        """Have it written. What is handed over first is on disk first."""
        self._inbox.put(replace(entry, utc=utc_now()))

    def know(self, piece: Piece, position_um: int) -> None:
        """This rail was inspected: the next run may let it by, should this one end now."""
        self._inbox.put(Pass(piece, position_um, since_boot_ns()))

    def forget(self) -> None:
        """Where the rail is cannot be known any more: nothing of it is to the next run."""
        self._inbox.put(_Forget())

    def flush(self, timeout_ns: int) -> bool:
        """Wait until all that was added is on disk; whether it is."""
        self._begin_by_itself()
        done = threading.Event()
        self._inbox.put(done)
        return done.wait(timeout_ns / SECOND_NS)

    def close(self) -> None:
        """End the run; LedgerError if something could not be written. Again it does nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        self._begin_by_itself()
        self.add(Entry(EntryKind.ENDED, self._clock()))
        self._inbox.put(None)
        self._thread.join()
        self._disk.close()
        left = len(self._backlog) + self._inbox.qsize()
        if left:
            raise LedgerError(f"{left} entries are lost: {self.trouble}")

    def _begin_by_itself(self) -> None:
        """Where nobody has taken over anything."""
        if not self._is_begun:
            orders = () if self.inherited is None else self.inherited.orders
            self.begin(None, (), orders, (), "nothing was taken over")

    # --- the ledger's thread ---

    def _run(self) -> None:
        open_ended = True
        try:
            while open_ended:
                open_ended = self._receive()
                if self._is_behind:
                    self._write()
                if not self._is_behind:
                    self._disk.write_known()
                    for done in self._flushes:
                        done.set()
                    self._flushes.clear()
        except BaseException as failure:
            log.exception("the ledger's thread failed; rejects are fired all the same")
            self.trouble = f"{self._path} is written no more ({failure!r}): start again"

    @property
    def _is_behind(self) -> bool:
        """Whether entries are not on disk, or not even that the run has begun."""
        return bool(self._backlog) or not self._disk.has_begun

    def _receive(self) -> bool:
        """Wait for something and take all there is; whether more may come."""
        try:
            item = self._inbox.get(timeout=RETRY_NS / SECOND_NS if self._is_behind else None)
            while item is not None:
                self._take(item)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return True
        return False

    def _take(self, item: _Item) -> None:
        match item:
            case Entry() if len(self._backlog) < BACKLOG:
                self._backlog.append(item)
            case Entry():
                self._lost += 1
            case Pass():
                self._disk.know(item)
            case Beginning():
                self._disk.begin(item)
            case _Forget():
                self._disk.forget()
            case threading.Event():
                self._flushes.append(item)

    def _write(self) -> None:
        """Put all of the backlog on disk, or none of it."""
        if not self._disk.may_begin:
            return  # until `begin` has said what is taken over, nothing is written
        now = utc_now()
        unwritten = [replace(entry, utc=now) for entry in self._unwritten()]
        said = list(unwritten)
        if self._lost:
            said.append(Entry(EntryKind.LOST, self._clock(), measure_um=self._lost, utc=now))
        try:
            self._disk.append([*self._backlog, *said])
        except (sqlite3.Error, OSError) as error:
            self._say_trouble(error)
            return
        for entry in unwritten:  # logged only now, and so once, not at each attempt
            log.warning("order %d: %s", entry.number, entry.reason)
        if self.trouble is not None:
            log.warning("%s: written again, %d entries lost", self._path, self._lost)
        self.trouble, self._lost = None, 0
        self._disk.note_durable(self._backlog, self._clock())
        self._backlog.clear()

    def _say_trouble(self, error: Exception) -> None:
        remedy = "make room on its disk"
        if "readonly" in str(error):
            remedy = "see `dmesg` for why its disk is read-only, and let it be written"
        if self.trouble is None:
            log.error("%s: %s: %s; rejects are fired all the same", self._path, error, remedy)
        self.trouble = f"{self._path} cannot be written ({error}): {remedy}"

    def _unwritten(self) -> Iterator[Entry]:
        """An entry for each order of the backlog's outcomes that was acted on too soon."""
        for entry in self._backlog:
            if entry.kind not in OUTCOMES or entry.number is None:
                continue
            durable_ns = self._disk.durable_ns(entry)
            acted_ns = entry.at_ns if entry.begun_ns is None else entry.begun_ns
            if durable_ns is None or durable_ns > acted_ns:
                reason = "it was acted on before it was on disk"
                yield replace(entry, kind=EntryKind.UNWRITTEN, measure_um=None, reason=reason)
