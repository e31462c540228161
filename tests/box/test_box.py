"""A box that boots: Debian with the package, real systemd, a kernel's camera and pins, and a rail.

`make box` builds it, and `make box-short` runs this. What went by the valve is judged by the pins
alone (stands/box_rail.py).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stands.box_kept import check_ledger, check_store
from stands.box_machine import UNIT, BoxMachine
from stands.box_rail import OFFSET_UM, defects, got_away, passed, unseen

pytestmark = pytest.mark.timeout(3600)  # on a busy machine
LENGTH_UM = 3_000_000  # of rail that goes by before it is judged
COAST_UM = 400_000  # goes by until the relay drops


def test_a_line_runs_from_boot_without_a_login_and_rejects_every_defect(box: BoxMachine) -> None:
    box.await_passing()
    assert box.shown("ActiveState") == "active"
    assert box.shown("StatusText") == "inspecting"
    box.await_rail(LENGTH_UM)
    assert unseen(box.report) == []
    went_by = list(passed(box.report))
    came_by = defects(went_by[0].start_um, went_by[-1].end_um)
    assert len(came_by) >= 3 and got_away(box.report) == []
    assert box.shown("NRestarts") == "0"


def test_a_process_that_hangs_is_started_again_with_the_output_at_reject(box: BoxMachine) -> None:
    box.await_passing()
    restarts = int(box.shown("NRestarts"))
    await_sound_rail(box)
    since = len(box.report)
    box.says(f"kill -STOP $(systemctl show --property=MainPID --value {UNIT})")
    box.until(lambda: not box.report[-1].lets_by)
    box.until(lambda: int(box.shown("NRestarts")) == restarts + 1)
    hung = sum(piece.length_mm for piece in passed(box.report[since:]))
    assert hung * 1000 <= COAST_UM  # the relay has dropped long before
    box.await_passing()
    assert "watchdog" in box.says(f"journalctl --quiet --unit={UNIT} --grep=watchdog --case=no")


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


def await_sound_rail(box: BoxMachine) -> None:
    """Until no defect is near the valve, and none comes there before the relay has dropped."""

    def is_sound() -> bool:
        at_um = box.position_um - OFFSET_UM
        return not defects(at_um - COAST_UM // 4, at_um + COAST_UM)

    box.until(is_sound)
