"""A box that boots: Debian with the package, real systemd, a kernel's camera and pins, and a rail.

`make box` builds it, and `make box-short` runs this. What went by the valve is judged by the pins
alone (stands/box_rail.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.types import Stretch
from stands.box_kept import check_ledger, check_store
from stands.box_machine import BoxMachine
from stands.box_rail import OFFSET_UM, defects, got_away, passed, unseen

pytestmark = pytest.mark.timeout(3600)  # on a busy machine


def came_by(box: BoxMachine) -> list[Stretch]:
    """The defects between the first of the rail that was let by and the last."""
    let_by = list(passed(box.report))
    return defects(let_by[0].start_um, let_by[-1].end_um)


def test_a_line_runs_from_boot_without_a_login_and_rejects_every_defect(box: BoxMachine) -> None:
    box.await_passing()
    assert box.shown("ActiveState") == "active"
    assert box.shown("StatusText") == "inspecting"
    box.until(lambda: len(came_by(box)) >= 2)
    assert (unseen(box.report), got_away(box.report)) == ([], [])
    assert box.shown("NRestarts") == "0"


def test_after_a_power_cut_nothing_passes_unseen_and_all_that_was_kept_is_whole(
    box: BoxMachine, tmp_path: Path
) -> None:
    box.await_passing()
    assert got_away(box.report) == []
    at_um = box.position_um
    box.cut()
    box.start(at_um + OFFSET_UM)
    box.await_passing()
    assert (unseen(box.report), got_away(box.report)) == ([], [])
    box.power_off()
    kept = box.kept(tmp_path) / "rail"
    check_ledger(kept / "ledger.sqlite")
    check_store(kept / "events")
