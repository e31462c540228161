"""The ledger's file as its one writer has it open, held against what lies there by its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from firmware_bridge.errors import LedgerGone
from firmware_bridge.ledger.ledger_file import Entry, append, last_id, open_database, unfinished

_BESIDE = ("-wal", "-shm")  # which SQLite keeps beside its file

Identity = tuple[int, int]


class OpenLedger:
    """A connection, and the files that it has open. sqlite3.Error where the disk refuses.

    A file that was removed or replaced is written all the same, and nobody will ever read it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = open_database(path)
        self._opened = self._there()

    def unfinished(self) -> list[Entry]:
        return unfinished(self._database)

    def last_id(self) -> int:
        return last_id(self._database)

    def last_run(self) -> int:
        [(run,)] = self._database.execute("SELECT coalesce(max(run), 0) FROM entries")
        return int(run)

    def check(self) -> None:
        """Raise LedgerGone where a file is gone from its place, or is another one."""
        for path, opened in self._opened.items():
            if _identity(path) != opened:
                raise LedgerGone(f"{path} was removed or replaced while it was written")

    def commit(self, entries: Sequence[Entry]) -> None:
        """All of them, or none."""
        if self._database.in_transaction:  # whose commit the disk had refused
            self._database.rollback()
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            append(database, entries)
        for path in self._paths():  # a log comes with the first commit
            self._opened.setdefault(path, _identity(path) or (0, 0))

    @property
    def is_in_place(self) -> bool:
        """Whether the file itself is, whatever became of its log."""
        return _identity(self._path) == self._opened[self._path]

    def leave(self) -> None:
        """Close it, and leave nothing under its name that a new ledger would be written over.

        What a log held that was removed comes to the file, if that is in its place.
        """
        in_place = self.is_in_place
        if in_place:
            with suppress(sqlite3.Error):
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # SQLite goes by names: closing, it would remove another ledger's log, or write ours into
        # another's file. So what lies there is set aside first.
        found = f"{self._path.name}.found-{datetime.now(timezone.utc):%Y%m%dT%H%M%S%fZ}"
        for end in ("", *_BESIDE):
            path = self._path.with_name(self._path.name + end)
            there = _identity(path)
            if there is None or (in_place and path == self._path):
                continue
            if there == self._opened.get(path):
                path.unlink()
            else:
                path.rename(path.with_name(found + end))
        self._database.close()

    def close(self) -> None:
        self._database.close()

    def _paths(self) -> list[Path]:
        return [self._path, *(self._path.with_name(self._path.name + end) for end in _BESIDE)]

    def _there(self) -> dict[Path, Identity]:
        found = {path: _identity(path) for path in self._paths()}
        return {path: identity for path, identity in found.items() if identity is not None}


def _identity(path: Path) -> Identity | None:
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino
