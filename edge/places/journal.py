"""What was said of places, kept for good in SQLite: it outlives the run, and is only appended to.

The line writes what it believes and what it refuses. A command asks it by a row of `asked`, with
the moment of the press on the clock that all programs of a machine share, so that the place is
that of the press however long the line takes to look. Nobody asks a run that has ended: what is
known of it later is entered by its position.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from edge.errors import StoreError
from edge.places.mark import NOWHERE, Along, Kind, Mark, Named
from edge.places.place_map import PlaceMap, map_of

_PATIENCE_S = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run TEXT PRIMARY KEY, utc TEXT NOT NULL, line TEXT NOT NULL, along TEXT NOT NULL,
    falls INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS marks (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, position_um INTEGER NOT NULL,
    chainage_um INTEGER, name TEXT, source TEXT NOT NULL, utc TEXT NOT NULL, refused TEXT);
CREATE TABLE IF NOT EXISTS asked (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, at_ns INTEGER NOT NULL,
    kind TEXT NOT NULL, chainage_um INTEGER, name TEXT, source TEXT NOT NULL, answer TEXT);
CREATE TRIGGER IF NOT EXISTS never_changed BEFORE UPDATE ON marks
    BEGIN SELECT RAISE(ABORT, 'what was said is only added to'); END;
CREATE TRIGGER IF NOT EXISTS never_deleted BEFORE DELETE ON marks
    BEGIN SELECT RAISE(ABORT, 'what was said is only added to'); END;
"""
_NAMES = [column.name for column in fields(Mark)]
_COLUMNS = ", ".join(_NAMES)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a line, from its start to its end."""

    run: str
    utc: str
    line: str
    along: Along
    falls: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command has the line mark, where it was at `at_ns`."""

    id: int
    at_ns: int
    kind: Kind
    chainage_um: int | None
    name: str | None
    source: str


class Journal:
    """The file, for whoever writes it. StoreError where it cannot be opened; sqlite3.Error later.

    One thread at a time.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                path, timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
            )
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")  # or nothing of it
        except (OSError, sqlite3.Error) as error:
            raise StoreError(
                f"{path}: {error}: give `places.journal` a file that you may write to"
            ) from error

    def begin(self, run: Run) -> None:
        row = (run.run, run.utc, run.line, run.along, run.falls)
        self._database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", row)

    def add(self, run: str, marks: Sequence[Mark]) -> None:
        """All of them or none."""
        query = f"INSERT INTO marks (run, {_COLUMNS}) VALUES (?{', ?' * len(_NAMES)})"
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(query, [(run, *_row(mark)) for mark in marks])

    def ask(self, run: str, asked: Asked) -> int:
        """The number under which the answer is to come."""
        row = (run, asked.at_ns, asked.kind.value, asked.chainage_um, asked.name, asked.source)
        columns = "run, at_ns, kind, chainage_um, name, source"
        query = f"INSERT INTO asked ({columns}) VALUES (?, ?, ?, ?, ?, ?)"
        number = self._database.execute(query, row).lastrowid
        assert number is not None
        return number

    def asked(self, run: str) -> list[Asked]:
        """What this run has not answered."""
        columns = "id, at_ns, kind, chainage_um, name, source"
        query = f"SELECT {columns} FROM asked WHERE run = ? AND answer IS NULL ORDER BY id"
        rows = self._database.execute(query, (run,))
        return [Asked(i, at, Kind(kind), *rest) for i, at, kind, *rest in rows]

    def answer(self, number: int, text: str) -> None:
        query = "UPDATE asked SET answer = ? WHERE id = ?"
        self._database.execute(query, (text, number))

    def answered(self, number: int) -> str | None:
        [row] = self._database.execute("SELECT answer FROM asked WHERE id = ?", (number,))
        return None if row[0] is None else str(row[0])

    def withdraw(self, number: int) -> str | None:
        """What nobody has answered is not to be answered later; the answer that came after all."""
        query = "DELETE FROM asked WHERE id = ? AND answer IS NULL"
        gone = self._database.execute(query, (number,)).rowcount
        return None if gone else self.answered(number)

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True)
class PlaceBook:
    """What was said of the places of all runs, as it stands now."""

    runs: tuple[Run, ...]  # in the order in which they began
    maps: dict[str, PlaceMap]
    marks: dict[str, tuple[Mark, ...]]  # with those that were refused

    def named(self, run: str | None, position_um: int) -> Named:
        known = self.maps.get(run or "")
        return NOWHERE if known is None else known.named(position_um)


NO_BOOK = PlaceBook((), {}, {})


def read_book(path: Path) -> PlaceBook:
    """Of a journal; empty where there is none."""
    if not path.exists():
        return NO_BOOK
    with _reading(path) as database:
        if not database.execute("SELECT 1 FROM sqlite_master").fetchall():
            return NO_BOOK  # it is being made at this moment
        rows = database.execute("SELECT run, utc, line, along, falls FROM runs ORDER BY rowid")
        runs = tuple(
            Run(run, utc, line, along, bool(falls)) for run, utc, line, along, falls in rows
        )
        said: dict[str, list[Mark]] = {each.run: [] for each in runs}
        for run, kind, *rest in database.execute(f"SELECT run, {_COLUMNS} FROM marks ORDER BY id"):
            said.setdefault(run, []).append(Mark(Kind(kind), *rest))
    maps = {each.run: map_of(each.along, each.falls, said[each.run]) for each in runs}
    return PlaceBook(runs, maps, {run: tuple(marks) for run, marks in said.items()})


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        uri += "&immutable=1"  # nobody writes it, and without a log SQLite would have to make one
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S)) as database:
            yield database
    except (sqlite3.Error, ValueError) as error:
        raise StoreError(
            f"{path}: {error}: it is no journal of places, or not readable for you"
        ) from error


def _row(mark: Mark) -> tuple[object, ...]:
    values = [getattr(mark, name) for name in _NAMES]
    return (mark.kind.value, *values[1:])
