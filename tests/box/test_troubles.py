"""What a plant does to the box that boots, and what its line makes of that."""

from __future__ import annotations

import json

import pytest

from stands.box_machine import UNIT, BoxMachine
from stands.box_rail import OFFSET_UM, defects, got_away, passed

pytestmark = pytest.mark.timeout(3600)  # on a busy machine
LINE = "/etc/trackside/lines/rail.yaml"
LENGTH_UM = 3_000_000  # of rail that goes by
COAST_UM = 400_000  # goes by until the relay drops


def test_doctor_says_that_all_is_well(box: BoxMachine) -> None:
    box.await_passing()
    box.until(lambda: box.ask("test -e /run/systemd/timesync/synchronized")[0] == 0)
    box.says(f"systemctl stop {UNIT}")  # the camera is for one program
    code, said = box.ask(f"runuser -u trackside -- trackside doctor --json {LINE} 2>/tmp/said")
    box.says(f"systemctl start {UNIT}")
    checks = json.loads(said)["checks"]
    assert [each["detail"] for each in checks if not each["passed"]] == []
    assert code == 0


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


def test_a_camera_that_is_unplugged_makes_the_rail_unknown_until_it_is_back(
    box: BoxMachine,
) -> None:
    box.await_passing()
    process = box.shown("MainPID")
    box.tell("unplug")
    box.until(lambda: not box.report[-1].lets_by)
    box.await_rail(OFFSET_UM)  # what was seen before has gone by
    since = len(box.report)
    box.await_rail(OFFSET_UM)
    assert not box.lets_by(since)
    box.tell("plug")
    box.until(lambda: box.lets_by(since))
    assert box.shown("MainPID") == process  # the same, all the while


def test_a_full_disk_stops_nothing_and_is_told_of(box: BoxMachine) -> None:
    box.await_passing()
    process = box.shown("MainPID")
    box.says("fallocate -l $(df --output=avail -B1 / | tail -1) /full; sync; true")
    box.await_rail(LENGTH_UM)
    box.says("rm /full")
    box.await_passing()
    assert box.shown("MainPID") == process
    box.says(f"journalctl --quiet --unit={UNIT} --grep='full|space|refuse' --case=no")


def test_steps_of_the_clock_are_nothing_to_the_line(box: BoxMachine) -> None:
    box.await_passing()
    process = box.shown("MainPID")
    for step in ("+1 day", "-1 week", "+1 hour"):
        box.says(f"date --set='{step}'")
        box.await_passing()
    assert box.shown("MainPID") == process


def test_through_all_of_that_no_defect_went_by(box: BoxMachine) -> None:
    assert got_away(box.report) == []


def await_sound_rail(box: BoxMachine) -> None:
    """Until no defect is near the valve, and none comes there before the relay has dropped."""

    def is_sound() -> bool:
        at_um = box.position_um - OFFSET_UM
        return not defects(at_um - COAST_UM // 4, at_um + COAST_UM)

    box.until(is_sound)
