"""What a line's ledger says, for those who may not import the bridge."""

from __future__ import annotations

from pathlib import Path

from edge.bridge.bridge import bridge_errors_as_ours
from firmware_bridge.ledger import (
    Entry,
    EntryKind,
    Span,
    Sum,
    describe,
    entries_of,
    read_ledger,
    sum_ledger,
    try_ledger,
)

_GAPS = {EntryKind.LOST, EntryKind.UNWRITTEN}


def latest_entries(path: Path, last: int) -> list[Entry]:
    """In the order in which they were written; TracksideError where there is no ledger to read."""
    with bridge_errors_as_ours():
        return read_ledger(path, last=last)


def ledger_sums(path: Path, span: Span) -> list[Sum]:
    """What it comes to, by kind and actuator."""
    with bridge_errors_as_ours():
        return sum_ledger(path, span)


def changes_in(path: Path, span: Span) -> list[Entry]:
    """Of mode, in order."""
    with bridge_errors_as_ours():
        return entries_of(path, [EntryKind.MODE], span)


def last_entry(path: Path) -> int:
    """The number of the latest, of a ledger that can be written; nothing is entered."""
    with bridge_errors_as_ours():
        return try_ledger(path)


def find_gaps(path: Path, last: int) -> list[str]:
    """What the latest entries tell of others that the disk did not have, or not in time."""
    return [describe(entry) for entry in latest_entries(path, last) if entry.kind in _GAPS]
