"""The file of what people said, beside a store's events: nothing in it is ever changed.

It is a database of its own, so that whoever reviews never waits for the line that writes the store,
nor the line for them. Any number of programs may write it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.errors import StoreError
from edge.line_file import DATABASE
from edge.review.review import Call, Mark, Review

REVIEWS = "reviews.sqlite"
VERSION = 1
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL, event_utc TEXT NOT NULL,
    at TEXT NOT NULL, by TEXT NOT NULL, source TEXT NOT NULL, call TEXT NOT NULL, class_name TEXT,
    marks TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_event ON reviews (event, event_utc);
PRAGMA user_version = {VERSION};
COMMIT;
"""
_COLUMNS = "event, event_utc, at, by, source, call, class_name, marks"
_INSERT = f"INSERT INTO reviews ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

Key = tuple[int, str]  # of an event: its number, its moment


def add_reviews(root: Path, reviews: Iterable[Review]) -> None:
    """All of them or none; StoreError where there is no store, or its disk refuses."""
    if not (root / DATABASE).exists():
        raise StoreError(f"{root} holds no event store: give the path that the line file has")
    with _said_of(root), closing(sqlite3.connect(root / REVIEWS, timeout=10)) as database:
        if not _version(database):
            database.executescript(_SCHEMA)
        with database:
            database.executemany(_INSERT, map(_row, reviews))


def latest_reviews(root: Path) -> dict[Key, Review]:
    """The last word on each event of which something is said."""
    query = (
        f"SELECT {_COLUMNS} FROM reviews WHERE id IN "
        "(SELECT max(id) FROM reviews GROUP BY event, event_utc) ORDER BY id"
    )
    found = {(each.event, each.event_utc): each for each in _read(root, query, ())}
    return {key: each for key, each in found.items() if each.call is not Call.WITHDRAWN}


def reviews_of(root: Path, event: int, event_utc: str) -> list[Review]:
    """All that was ever said of one, the first first."""
    query = f"SELECT {_COLUMNS} FROM reviews WHERE event = ? AND event_utc = ? ORDER BY id"
    return list(_read(root, query, (event, event_utc)))


def _read(root: Path, query: str, values: tuple[Any, ...]) -> Iterator[Review]:
    path = root / REVIEWS
    if not path.exists():
        return
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with _said_of(root), closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
        if not _version(database):  # whoever says the first word is just making it
            return
        for row in database.execute(query, values):
            yield _review(row)


def _version(database: sqlite3.Connection) -> int:
    [(version,)] = database.execute("PRAGMA user_version")
    if version not in {0, VERSION}:
        raise sqlite3.DatabaseError(f"it is of version {version}, not {VERSION}")
    return int(version)


def _row(review: Review) -> tuple[Any, ...]:
    values = asdict(review)
    values["call"], values["marks"] = review.call.value, json.dumps(values["marks"])
    return tuple(values.values())


def _review(row: tuple[Any, ...]) -> Review:
    *known, call, class_name, marks = row
    parsed = tuple(
        Mark(each["label"], tuple(each["box_px"]), each["runs"] and tuple(each["runs"]))
        for each in json.loads(marks)
    )
    event, utc, at, by, source = known
    return Review(event, utc, at, by, source, Call(call), class_name, parsed)


@contextmanager
def _said_of(root: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{root / REVIEWS}: {error}: make room on its disk, or move it away if it is damaged"
        ) from error
