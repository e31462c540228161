"""A ledger and the file of known rail beside it, as they lie on disk for their one writer.

At each commit what is open is held against what lies there by its name. A ledger that was removed
or replaced while the line ran is begun anew, with the orders under way: it goes on under its name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from firmware_bridge.errors import LedgerGone
from firmware_bridge.ledger.known import Known, PassedRail, Piece, Place
from firmware_bridge.ledger.known_file import KnownFile, boot
from firmware_bridge.ledger.ledger_file import OUTCOMES, Entry, EntryKind, lock, utc_now
from firmware_bridge.ledger.open_ledger import OpenLedger
from firmware_bridge.types import Reason

GONE = "the ledger before was removed or replaced while the line ran"

log = logging.getLogger(__name__)

_Key = tuple[int | None, str | None]  # an order's number and actuator


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the run before left."""

    orders: tuple[Entry, ...]  # without an outcome
    known: Known | None


@dataclass(frozen=True, slots=True)
class Beginning:
    """A run begins, and in the same commit all that the one before left has its outcome."""

    begun: Entry
    outcomes: tuple[Entry, ...]
    place: Place | None  # None where the next run cannot find the rail again
    passed: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """Rail that was inspected, and where the encoder was then."""

    piece: Piece
    position_um: int
    at_ns: int  # since the machine's boot


class LedgerDisk:
    """One thread at a time. sqlite3.Error and OSError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.inherited: Inherited | None = None  # None until the file could be read
        self.is_unkept = False  # the file is gone, and no new one could be begun
        self._path = path
        self._lock = lock(path)
        self._file: OpenLedger | None = None
        self._known: KnownFile | None = None
        self._beginning: Beginning | None = None
        self._run_id: int | None = None  # None until the run has begun on disk
        self._commits = 0
        self._under_way: dict[_Key, tuple[Entry, int]] = {}  # orders on disk, and since when
        self._passed = PassedRail()
        self._latest: Pass | None = None  # the latest, while the file does not have it yet

    @property
    def may_begin(self) -> bool:
        return self._beginning is not None

    @property
    def has_begun(self) -> bool:
        return self._run_id is not None

    def open(self) -> None:
        """Find what the run before left."""
        self._file = OpenLedger(self._path)
        known = self._open_known()
        if known is not None and known.run != self._file.last_run():
            known = None  # it belongs to another ledger
        self.inherited = Inherited(tuple(self._file.unfinished()), known)

    def begin(self, beginning: Beginning) -> None:
        """The next commit begins the run."""
        self._beginning = beginning
        self._passed = PassedRail(beginning.passed)

    def append(self, entries: Sequence[Entry]) -> None:
        """All or none of them, in the file that lies there."""
        before = self._commits
        try:
            self._append(entries)
        except LedgerGone as gone:
            log.error("%s; it is begun anew, with the orders under way", gone)
            self.is_unkept = True
            is_whole = self._begin_anew()
            if not is_whole or self._commits == before:
                self._append(entries)
        self.is_unkept = False

    def note_durable(self, entries: Iterable[Entry], now_ns: int) -> None:
        """These are on disk."""
        for entry in entries:
            key = entry.number, entry.actuator
            if entry.kind is EntryKind.ORDER:
                self._under_way[key] = entry, now_ns
            elif entry.kind in OUTCOMES:
                self._under_way.pop(key, None)

    def durable_ns(self, outcome: Entry) -> int | None:
        """Since when its order has been on disk; None while it is not."""
        under_way = self._under_way.get((outcome.number, outcome.actuator))
        return None if under_way is None else under_way[1]

    def know(self, latest: Pass) -> None:
        """The next run may let it by, once all that was given before is on disk."""
        self._passed.add(latest.piece)
        self._latest = latest

    def write_known(self) -> None:
        """All that was given before is on disk."""
        latest, self._latest = self._latest, None
        place = None if self._beginning is None else self._beginning.place
        if latest is None or place is None or self._run_id is None:
            return
        known = Known(
            self._run_id, place, latest.position_um, boot(), latest.at_ns, self._passed.pieces()
        )
        self._write(known)

    def forget(self) -> None:
        """Nobody knows any more where the rail is."""
        if self._beginning is not None:
            self._beginning = replace(self._beginning, place=None)
        self._write(None)

    def close(self) -> None:
        for opened in (self._file, self._known, self._lock):
            if opened is not None:
                opened.close()

    def _append(self, entries: Sequence[Entry]) -> None:
        assert self._beginning is not None
        if self._file is None:
            self._open_late()
        assert self._file is not None
        self._file.check()
        run_id, first = self._run_id, list[Entry]()
        if run_id is None:
            first += self._beginning.outcomes
            run_id = self._file.last_id() + len(first) + 1
            under_way = [entry for entry, _ in self._under_way.values()]
            first += [replace(entry, run=run_id) for entry in (self._beginning.begun, *under_way)]
        self._file.commit([*first, *(replace(entry, run=run_id) for entry in entries)])
        self._commits += 1
        self._run_id = run_id
        self._file.check()

    def _open_late(self) -> None:
        """When nobody asks any more what the run before left, for the disk had refused to tell."""
        self._open_again()
        assert self._beginning is not None and self.inherited is not None
        if self._run_id is None:
            at_ns = self._beginning.begun.at_ns
            late = tuple(went_down(order, at_ns) for order in self.inherited.orders)
            self._beginning = replace(self._beginning, outcomes=late)

    def _begin_anew(self) -> bool:
        """Whether only its log was removed: the file is whole, and goes on."""
        assert self._file is not None and self._beginning is not None
        file, self._file = self._file, None
        is_whole = file.is_in_place
        if not is_whole:
            begun = replace(self._beginning.begun, reason=GONE)
            self._beginning = replace(self._beginning, begun=begun, outcomes=())
            self._run_id = None
        file.leave()
        self._open_again()
        return is_whole

    def _open_again(self) -> None:
        """Folder and lock may be gone too."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock.close()
        self._lock = lock(self._path)
        self.open()

    def _open_known(self) -> Known | None:
        """What the run before knew. Who ends before it is written again leaves nothing known."""
        if self._known is not None:
            self._known.close()
            self._known = None
        try:
            self._known = KnownFile(self._path.with_name(self._path.name + ".passed"))
            known = self._known.read()
        except OSError as error:
            log.warning("%s: %s; the next run will know of no rail", self._path, error)
            return None
        self._write(None)
        return known

    def _write(self, known: Known | None) -> None:
        if self._known is None:
            return
        try:
            self._known.write(known)
        except OSError as error:
            log.warning("%s: %s; the next run will know of no rail", self._path, error)
            self._known.close()
            self._known = None


def went_down(order: Entry, now_ns: int) -> Entry:
    """It was due while nobody knew what became of it."""
    assert order.start_um is not None and order.end_um is not None
    log.warning("order %s (%s): %s", order.number, order.tag, Reason.WENT_DOWN.value)
    missed = replace(order, kind=EntryKind.MISSED, measure_um=order.end_um - order.start_um)
    return replace(missed, at_ns=now_ns, reason=Reason.WENT_DOWN.value, utc=utc_now(), id=0)


def handed_on(order: Entry, now_ns: int) -> Entry:
    """The next run gives it anew."""
    kind, utc = EntryKind.HANDED_ON, utc_now()
    return replace(order, kind=kind, at_ns=now_ns, reason="its rail had not gone by", utc=utc, id=0)
