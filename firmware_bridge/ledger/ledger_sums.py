"""What a ledger comes to, by kind of entry and actuator: summed by SQLite, however long it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from firmware_bridge.ledger.ledger_file import Entry, EntryKind, reading, rows_of


@dataclass(frozen=True, slots=True)
class Span:
    """Which entries: of the runs of these names, entered within a time, of a piece of rail; all if
    left out. What is of no rail belongs to each piece.
    """

    runs: Sequence[str] | None = None
    since_utc: str | None = None
    until_utc: str | None = None
    from_um: int | None = None
    to_um: int | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """All entries of one kind and actuator."""

    kind: EntryKind
    actuator: str | None
    count: int
    unnumbered: int  # of which so many are of rail that nobody ordered
    measure_um: int
    most_um: int  # the greatest measure, either way
    length_um: int  # of their stretches


_SUMS = """
SELECT kind, actuator, count(*), count(*) - count(number), coalesce(sum(measure_um), 0),
    coalesce(max(abs(measure_um)), 0), coalesce(sum(end_um - start_um), 0)
FROM entries {where} GROUP BY kind, actuator ORDER BY kind, actuator
"""


def sum_ledger(path: Path, span: Span = Span()) -> list[Sum]:
    """LedgerError for a file that is not there, is no ledger, or is damaged."""
    where, values = _where(span)
    with reading(path) as database:
        rows = database.execute(_SUMS.format(where=where), values)
        return [Sum(EntryKind(kind), *rest) for kind, *rest in rows]


def entries_of(path: Path, kinds: Sequence[EntryKind], span: Span = Span()) -> list[Entry]:
    """Those of some kinds, in order."""
    where, values = _where(span)
    among = f"kind IN ({', '.join('?' * len(kinds))})"
    where = f"{where} AND {among}" if where else f"WHERE {among}"
    with reading(path) as database:
        return rows_of(database, where, [*values, *(kind.value for kind in kinds)])


def _where(span: Span) -> tuple[str, list[str | int]]:
    parts, values = list[str](), list[str | int]()
    if span.runs is not None:
        marks = ", ".join("?" * len(span.runs))
        parts.append(f"run IN (SELECT id FROM entries WHERE kind = 'begun' AND tag IN ({marks}))")
        values += span.runs
    for condition, value in (
        ("utc >= ?", span.since_utc),
        ("utc < ?", span.until_utc),
        ("(end_um IS NULL OR end_um > ?)", span.from_um),
        ("(start_um IS NULL OR start_um < ?)", span.to_um),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    return f"WHERE {' AND '.join(parts)}" if parts else "", values
