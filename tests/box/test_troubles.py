"""What a plant does to the box that boots, and what its line makes of that."""

from __future__ import annotations

import json

import pytest

from stands.box_machine import UNIT, BoxMachine
from stands.box_rail import OFFSET_UM, got_away

pytestmark = pytest.mark.timeout(3600)  # on a busy machine
LINE = "/etc/trackside/lines/rail.yaml"
LENGTH_UM = 3_000_000  # of rail that goes by


def test_doctor_says_that_all_is_well(box: BoxMachine) -> None:
    box.await_passing()
    box.until(lambda: box.ask("test -e /run/systemd/timesync/synchronized")[0] == 0)
    box.says(f"systemctl stop {UNIT}")  # the camera is for one program
    code, said = box.ask(f"runuser -u trackside -- trackside doctor --json {LINE} 2>/tmp/said")
    box.says(f"systemctl start {UNIT}")
    checks = json.loads(said)["checks"]
    assert [each["detail"] for each in checks if not each["passed"]] == []
    assert code == 0


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
