"""What is read of a store, also while a line writes it: some of its events, and what was lost.

Each raises StoreError where there is no store, or none that can be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.errors import StoreError
from edge.line_file import DATABASE
from edge.store.account import Part
from edge.store.damage import is_damage, told
from edge.store.event import Event
from edge.store.event_rows import (
    EVENT_COLUMNS,
    PART_COLUMNS,
    event_of_row,
    garbage_named,
    holds_events,
    part_of_row,
)
from edge.types import UNNAMED, UNSURE

# Whether anything in an event has one of these classes or codes.
_FOUND = f"""EXISTS (
    SELECT 1 FROM (SELECT value FROM json_each(defects) UNION ALL SELECT value FROM
    json_each(reported) UNION ALL SELECT value FROM json_each(let_by))
    WHERE json_extract(value, '$.code') IN ({{among}}) OR coalesce(
    json_extract(value, '$.class_name'), CASE WHEN json_extract(value, '$.class_score') IS NULL
    THEN '{UNNAMED}' ELSE '{UNSURE}' END) IN ({{among}}))"""


Outline = tuple[int, str, str, str, str, float | None, float | None, str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; the latest `last` of them."""

    states: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    since_utc: str | None = None
    until_utc: str | None = None
    classes: tuple[str, ...] = ()  # or codes, of what is found in them
    run: int | None = None
    camera: str | None = None
    from_um: int | None = None
    to_um: int | None = None
    least_unfamiliar: float | None = None
    last: int | None = None


def read_events(root: Path, wanted: Wanted = Wanted()) -> list[Event]:
    """Those that are wanted, in the order in which they were entered."""
    where, values = _conditions(wanted)
    limit = "" if wanted.last is None else f"LIMIT {int(wanted.last)}"
    query = f"SELECT {EVENT_COLUMNS} FROM events {where} ORDER BY id DESC {limit}"
    with _reading(root) as database:
        return [event_of_row(row) for row in database.execute(query, values)][::-1]


def scan_events(root: Path, wanted: Wanted = Wanted()) -> Iterator[Event]:
    """As `read_events`, one after the other: there may be more than memory is to hold. They come
    without the times of their stages, which take long to read and are in no sum.
    """
    where, values = _conditions(wanted)
    columns = EVENT_COLUMNS.replace("stage_ns", "'{}'")
    with _reading(root) as database:
        query = f"SELECT {columns} FROM events {where} ORDER BY id"
        yield from map(event_of_row, database.execute(query, values))


def read_event(root: Path, event_id: int) -> Event:
    """The one with this number; StoreError where there is none."""
    query = f"SELECT {EVENT_COLUMNS} FROM events WHERE id = ?"
    with _reading(root) as database:
        known = event_id.bit_length() < 64  # SQLite counts no further
        for row in database.execute(query, (event_id,)) if known else ():
            return event_of_row(row)
    raise StoreError(f"{root} has no event {event_id}: `trackside events list` shows what it has")


def read_outlines(root: Path, after: int) -> Iterator[Outline]:
    """Number, moment, camera, state, why, confidence, how unfamiliar, and all that was found, as
    JSON, of each event beyond this number that has pictures.
    """
    query = (
        "SELECT id, utc, camera, state, why, confidence, unfamiliar, CASE WHEN reported = '[]' "
        "AND let_by = '[]' THEN defects ELSE (SELECT json_group_array(json(value)) FROM (SELECT "
        "value FROM json_each(defects) UNION ALL SELECT value FROM json_each(reported) UNION ALL "
        "SELECT value FROM json_each(let_by))) END FROM events WHERE id > ? AND pictures != '[]' "
        "ORDER BY id"
    )
    with _reading(root) as database:
        yield from database.execute(query, (after,))


def read_losses(root: Path) -> list[tuple[str, int, str]]:
    """When, how many events, and why they could not even be entered."""
    with _reading(root) as database:
        return list(database.execute("SELECT utc, events, reason FROM losses ORDER BY utc"))


def read_account(
    root: Path,
    *,
    began: str | None = None,
    since_utc: str | None = None,
    until_utc: str | None = None,
) -> list[Part]:
    """What was looked at, in its order: of one run, or of the minutes that began within a time."""
    conditions = {"began = ?": began, "utc >= ?": since_utc, "utc < ?": until_utc}
    given = {text: value for text, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    query = f"SELECT {PART_COLUMNS} FROM account {where} ORDER BY rowid"
    with _reading(root) as database:
        return [part_of_row(row) for row in database.execute(query, list(given.values()))]


@dataclass(frozen=True, slots=True)
class Run:
    """One run, in sum: frames and rail of all its cameras together."""

    began: str
    run: int
    last_utc: str  # of the minute in which it looked last
    frames: int
    ng: int
    unknown: int
    run_um: int
    inspected_um: int


def read_runs(root: Path) -> list[Run]:
    """Every run that has looked at something, in order."""
    query = (
        "SELECT began, max(run), max(utc), sum(ok + ng + unknown), sum(ng), sum(unknown), "
        "sum(end_um - start_um), sum(inspected_um) FROM account GROUP BY began ORDER BY min(rowid)"
    )
    with _reading(root) as database:
        return [Run(*row) for row in database.execute(query)]


@contextmanager
def _reading(root: Path) -> Iterator[sqlite3.Connection]:
    path = root / DATABASE
    if not path.exists():
        raise StoreError(f"{root} holds no event store: give the path that the line file has")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not (root / f"{DATABASE}-wal").exists():
        uri += "&immutable=1"  # nobody writes it now; else SQLite would make a log, to read it
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=5)) as database, garbage_named():
            holds_events(database, root)
            yield database
    except sqlite3.Error as error:
        if is_damage(error):
            raise StoreError(f"{path}: {told(error)}") from error
        raise StoreError(f"{path}: {error}: it is no store, or not readable for you") from error


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
        ("utc < ?", wanted.until_utc),
        ("run = ?", wanted.run),
        ("camera = ?", wanted.camera),
        ("end_um > ?", wanted.from_um),
        ("start_um < ?", wanted.to_um),
        ("unfamiliar >= ?", wanted.least_unfamiliar),
    ):
        if value is not None:
            parts.append((condition, [value]))
    where = "WHERE " + " AND ".join(text for text, _ in parts) if parts else ""
    return where, [value for _, values in parts for value in values]
