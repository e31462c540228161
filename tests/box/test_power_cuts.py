"""The power of the box is cut at random moments: its ledger, its store, and where it starts again.

What was not flushed to the disk is lost with it, all of it or any part (tests/box/disk.py). While
the box is dark the rail goes on, and nobody knows how far. `make box-test CUTS=30` cuts so often.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import cv2
import pytest

from edge.bridge import EntryKind
from edge.line_file import DATABASE
from edge.store import KEPT, kept_aside, picture_path, read_events, read_losses
from firmware_bridge.ledger import OUTCOMES, read_ledger
from stands.box_machine import BoxMachine
from stands.box_rail import defects, got_away, passed, unseen

CUTS = int(os.environ.get("TRACKSIDE_CUTS", "3"))
SEED = int(os.environ.get("TRACKSIDE_SEED", "1"))
LONGEST_RUN_UM, LONGEST_DARK_UM = 2_000_000, 1_000_000
AT_BOOT, LONGEST_BOOT_S = 0.2, 60  # so many cuts come before the line has dealt with a picture


@pytest.mark.timeout(6 * 3600)  # thirty of them, on a busy machine
def test_no_power_cut_loses_an_order_or_tears_what_is_kept(image: Path, tmp_path: Path) -> None:
    dice, at_um = random.Random(SEED), 0
    went_by_um = came_by = 0
    with BoxMachine(image, seed=SEED) as box:
        for number in range(CUTS):
            box.start(at_um)
            started_s = time.monotonic()
            if dice.random() < AT_BOOT:
                time.sleep(dice.uniform(0, LONGEST_BOOT_S))
            else:
                box.until(lambda: box.beats() > 0)
                print(f"the first picture after {time.monotonic() - started_s:.0f} s", flush=True)
                box.await_rail(dice.randrange(LONGEST_RUN_UM))
            box.cut()
            print(f"cut {number + 1}: {box.lost()[-1]}", flush=True)
            assert unseen(box.report) == []
            assert got_away(box.report) == []
            for piece in passed(box.report):
                went_by_um += piece.end_um - piece.start_um
            came_by += len(defects(at_um, box.position_um))
            at_um = max(at_um, box.position_um) + dice.randrange(LONGEST_DARK_UM)
        box.start(at_um)
        box.until(lambda: next(passed(box.report), None) is not None)
        box.power_off()
        kept = box.kept(tmp_path) / "rail"
    assert went_by_um > 0 and came_by > 0  # else there was nothing to be judged
    check_ledger(kept / "ledger.sqlite")
    check_store(kept / "events")


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
