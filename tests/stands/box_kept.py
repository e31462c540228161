"""What the box has kept through power cuts: its ledger and its store, held to their word."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import cv2

from edge.bridge import EntryKind
from edge.line_file import DATABASE
from edge.store import KEPT, kept_aside, picture_path, read_events, read_losses
from firmware_bridge.ledger import OUTCOMES, read_ledger


def check_ledger(path: Path) -> None:
    """Every order has one outcome, and the last run, which ended in good order, says so."""
    check_whole(path)
    entries = read_ledger(path)
    kinds = Counter(entry.kind for entry in entries)
    print(f"ledger: {', '.join(f'{count} {kind.value}' for kind, count in kinds.items())}")
    ordered = Counter((e.run, e.number, e.actuator) for e in entries if e.kind is EntryKind.ORDER)
    ended = Counter((e.run, e.number, e.actuator) for e in entries if e.kind in OUTCOMES)
    assert set(ordered.values()) <= {1} and set(ended.values()) <= {1}
    last = max(entry.run for entry in entries)
    assert {key for key in ordered if key not in ended} <= {
        key for key in ordered if key[0] == last
    }
    assert set(ended) <= set(ordered) | {key for key in ended if key[1] is None}
    assert kinds[EntryKind.LOST] == 0 and kinds[EntryKind.ENDED] >= 1


def check_store(root: Path) -> None:
    """Each event that says it has pictures has them, and they are pictures."""
    check_whole(root / DATABASE)
    events = read_events(root)
    print(f"store: {len(events)} events, {Counter(event.evidence for event in events)}")
    torn = [
        (event.id, name)
        for event in events
        if event.evidence == KEPT
        for name in event.pictures
        if cv2.imread(str(picture_path(root, event.id, name))) is None
    ]
    assert torn == []
    assert (kept_aside(root), read_losses(root)) == ([], [])


def check_whole(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
