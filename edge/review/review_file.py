"""The file of what people said, beside a store's events: nothing in it is ever changed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.review.review import Call, Mark, Review
from edge.review.side_file import Key, SideFile

REVIEWS = "reviews.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS reviews (
    id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL, event_utc TEXT NOT NULL,
    at TEXT NOT NULL, by TEXT NOT NULL, source TEXT NOT NULL, call TEXT NOT NULL, class_name TEXT,
    marks TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_event ON reviews (event, event_utc);
"""
_COLUMNS = "event, event_utc, at, by, source, call, class_name, marks"
_INSERT = f"INSERT INTO reviews ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_FILE = SideFile(REVIEWS, 1, _SCHEMA)


def add_reviews(root: Path, reviews: Iterable[Review]) -> None:
    """All of them or none; StoreError where there is no store, or its disk refuses."""
    _FILE.add(root, _INSERT, map(_row, reviews))


def latest_reviews(root: Path) -> dict[Key, Review]:
    """The last word on each event of which something is said."""
    query = (
        f"SELECT {_COLUMNS} FROM reviews WHERE id IN "
        "(SELECT max(id) FROM reviews GROUP BY event, event_utc) ORDER BY id"
    )
    found = {(each.event, each.event_utc): each for each in _FILE.read(root, _review, query)}
    return {key: each for key, each in found.items() if each.call is not Call.WITHDRAWN}


def reviews_of(root: Path, event: int, event_utc: str) -> list[Review]:
    """All that was ever said of one, the first first."""
    query = f"SELECT {_COLUMNS} FROM reviews WHERE event = ? AND event_utc = ? ORDER BY id"
    return list(_FILE.read(root, _review, query, (event, event_utc)))


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
