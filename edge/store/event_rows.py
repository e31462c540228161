"""An event as a row of the store's one table, and the table's form."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pydantic_core import from_json  # several times as quick as json's own

from edge.errors import StoreError
from edge.line_file import DATABASE
from edge.store.account import Part
from edge.store.event import Event, Why
from edge.types import Defect, State, Stretch

_NAMES = [column.name for column in fields(Event)]
EVENT_COLUMNS = ", ".join(_NAMES)
INSERT = f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({', '.join('?' * len(_NAMES))})"
_PART_NAMES = [column.name for column in fields(Part)]
PART_COLUMNS = ", ".join(_PART_NAMES)
INSERT_PART = (  # a part grows until its minute is over
    f"INSERT OR REPLACE INTO account ({PART_COLUMNS}) VALUES ({', '.join('?' * len(_PART_NAMES))})"
)
# Of what follows; an older one lacks classes, what rules let by, cameras, the account, or how
# unfamiliar its events are.
VERSION = 6
# An id is never given twice, so a picture never comes to lie under another event's.
SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, utc TEXT NOT NULL,
    camera TEXT NOT NULL, frame INTEGER NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL,
    start_um INTEGER NOT NULL, end_um INTEGER NOT NULL, reasons TEXT NOT NULL,
    defects TEXT NOT NULL, reported TEXT NOT NULL, let_by TEXT NOT NULL, confidence REAL,
    unfamiliar REAL, latency_ns INTEGER NOT NULL, stage_ns TEXT NOT NULL, bundle TEXT NOT NULL,
    evidence TEXT NOT NULL, pictures TEXT NOT NULL, size_bytes INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON events (utc);
CREATE TABLE IF NOT EXISTS losses (
    utc TEXT NOT NULL, events INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS account (
    began TEXT NOT NULL, camera TEXT NOT NULL, part INTEGER NOT NULL, utc TEXT NOT NULL,
    bundle TEXT NOT NULL, ok INTEGER NOT NULL, ng INTEGER NOT NULL, unknown INTEGER NOT NULL,
    start_um INTEGER NOT NULL, end_um INTEGER NOT NULL, inspected_um INTEGER NOT NULL,
    unknown_um INTEGER NOT NULL, latency TEXT NOT NULL, latency_most_ns INTEGER NOT NULL,
    run INTEGER NOT NULL, PRIMARY KEY (began, camera, part));
CREATE INDEX IF NOT EXISTS account_by_time ON account (utc);
"""


def holds_events(database: sqlite3.Connection, root: Path) -> bool:
    """Whether it is a store already. StoreError for one that an older Trackside wrote."""
    [(tables,)] = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'")
    [(version,)] = database.execute("PRAGMA user_version")
    if tables and version < VERSION:
        raise StoreError(
            f"{root / DATABASE} was written by an older Trackside: export "
            f"it with that one, then move {root} away, or give another path"
        )
    if tables and version != VERSION:
        raise sqlite3.DatabaseError(f"it is of version {version}, not {VERSION}")
    return bool(tables)


@contextmanager
def garbage_named() -> Iterator[None]:
    """A page of garbage may pass for one of events, until one looks at its values."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        raise sqlite3.DatabaseError(f"it holds no events ({error})") from error


def row_of(event: Event) -> tuple[Any, ...]:
    values = {name: getattr(event, name) for name in _NAMES}
    values["state"], values["why"] = event.state.value, event.why.value
    for name in ("defects", "reported", "let_by"):
        values[name] = json.dumps([asdict(defect) for defect in values[name]])
    for name in ("reasons", "stage_ns", "pictures"):
        values[name] = json.dumps(values[name])
    return tuple(values.values())


def event_of_row(row: tuple[Any, ...]) -> Event:
    values = dict(zip(_NAMES, row, strict=True))
    values["state"], values["why"] = State(values["state"]), Why(values["why"])
    for name in ("defects", "reported", "let_by"):
        text = values[name]
        values[name] = () if text == "[]" else tuple(map(_defect, from_json(text)))
    stages = values["stage_ns"]
    values["stage_ns"] = {} if stages == "{}" else from_json(stages)
    for name in ("reasons", "pictures"):
        text = values[name]
        values[name] = () if text == "[]" else tuple(from_json(text))
    return Event(**values)


def row_of_part(part: Part) -> tuple[Any, ...]:
    values = {name: getattr(part, name) for name in _PART_NAMES}
    values["latency"] = json.dumps(values["latency"])
    return tuple(values.values())


def part_of_row(row: tuple[Any, ...]) -> Part:
    values = dict(zip(_PART_NAMES, row, strict=True))
    steps = from_json(values["latency"])
    values["latency"] = {int(step): count for step, count in steps.items()}
    return Part(**values)


def _defect(values: dict[str, Any]) -> Defect:
    values["stretch"] = Stretch(**values["stretch"])
    for name in ("box_px", "absorbed"):
        values[name] = tuple(values[name])
    return Defect(**values)
