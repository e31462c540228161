"""The power of the box is cut at random moments: its ledger, its store, and where it starts again.

What was not flushed to the disk is lost with it, all of it or any part (tests/box/disk.py). While
the box is dark the rail goes on, and nobody knows how far. `make box-test CUTS=30` cuts so often.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from stands.box_kept import check_ledger, check_store
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
        box.await_passing()
        box.power_off()
        kept = box.kept(tmp_path) / "rail"
    assert went_by_um > 0 and came_by > 0  # else there was nothing to be judged
    check_ledger(kept / "ledger.sqlite")
    check_store(kept / "events")
