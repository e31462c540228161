"""A box that boots: Debian with the package, real systemd, a kernel's camera and pins, and a rail.

`make box` builds it, and `make box-test` runs this. What went by the valve is judged by the pins
alone (stands/box_rail.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from stands.box_machine import BoxMachine
from stands.box_rail import OFFSET_UM, defects, got_away, passed, unseen

pytestmark = pytest.mark.timeout(3600)  # on a busy machine
UNIT = "trackside@rail"
LINE = "/etc/trackside/lines/rail.yaml"
LENGTH_UM = 3_000_000  # of rail that goes by before it is judged
COAST_UM = 400_000  # goes by until the relay drops


@pytest.fixture(scope="module")
def box(image: Path) -> Iterator[BoxMachine]:
    with BoxMachine(image) as box:
        box.start(at_um=0)
        yield box


def says(box: BoxMachine, command: str) -> str:
    code, text = box.ask(command)
    assert code == 0, text
    return text


def shown(box: BoxMachine, name: str) -> str:
    """What systemd says of the line."""
    return says(box, f"systemctl show --property={name} --value {UNIT}")


def lets_by(box: BoxMachine, since: int = 0) -> bool:
    """Whether rail passes, from a number of the report's on."""
    return next(passed(box.report[since:]), None) is not None


def await_passing(box: BoxMachine) -> None:
    """Rail that comes from now on passes."""
    since = len(box.report)
    box.until(lambda: lets_by(box, since))


def await_sound_rail(box: BoxMachine) -> None:
    """Until no defect is near the valve, and none comes there before the relay has dropped."""

    def is_sound() -> bool:
        at_um = box.position_um - OFFSET_UM
        return not defects(at_um - COAST_UM // 4, at_um + COAST_UM)

    box.until(is_sound)


def test_a_line_runs_from_boot_without_a_login_and_rejects_every_defect(box: BoxMachine) -> None:
    await_passing(box)
    assert shown(box, "ActiveState") == "active"
    assert shown(box, "StatusText") == "inspecting"
    box.await_rail(LENGTH_UM)
    assert unseen(box.report) == []
    went_by = list(passed(box.report))
    came_by = defects(went_by[0].start_um, went_by[-1].end_um)
    assert len(came_by) >= 3 and got_away(box.report) == []
    assert shown(box, "NRestarts") == "0"


def test_doctor_says_that_all_is_well(box: BoxMachine) -> None:
    await_passing(box)
    box.until(lambda: box.ask("test -e /run/systemd/timesync/synchronized")[0] == 0)
    says(box, f"systemctl stop {UNIT}")  # the camera is for one program
    code, said = box.ask(f"runuser -u trackside -- trackside doctor --json {LINE} 2>/tmp/said")
    says(box, f"systemctl start {UNIT}")
    checks = json.loads(said)["checks"]
    assert [each["detail"] for each in checks if not each["passed"]] == []
    assert code == 0


def test_a_process_that_hangs_is_started_again_with_the_output_at_reject(box: BoxMachine) -> None:
    await_passing(box)
    restarts = int(shown(box, "NRestarts"))
    await_sound_rail(box)
    since = len(box.report)
    says(box, f"kill -STOP $(systemctl show --property=MainPID --value {UNIT})")
    box.until(lambda: not box.report[-1].lets_by)
    box.until(lambda: int(shown(box, "NRestarts")) == restarts + 1)
    hung = sum(piece.length_mm for piece in passed(box.report[since:]))
    assert hung * 1000 <= COAST_UM  # the relay has dropped long before
    await_passing(box)
    assert "watchdog" in says(box, f"journalctl --quiet --unit={UNIT} --grep=watchdog --case=no")


def test_a_camera_that_is_unplugged_makes_the_rail_unknown_until_it_is_back(
    box: BoxMachine,
) -> None:
    await_passing(box)
    process = shown(box, "MainPID")
    box.tell("unplug")
    box.until(lambda: not box.report[-1].lets_by)
    box.await_rail(OFFSET_UM)  # what was seen before has gone by
    since = len(box.report)
    box.await_rail(OFFSET_UM)
    assert not lets_by(box, since)
    box.tell("plug")
    box.until(lambda: lets_by(box, since))
    assert shown(box, "MainPID") == process  # the same, all the while


def test_a_full_disk_stops_nothing_and_is_told_of(box: BoxMachine) -> None:
    await_passing(box)
    process = shown(box, "MainPID")
    says(box, "fallocate -l $(df --output=avail -B1 / | tail -1) /full; sync; true")
    box.await_rail(LENGTH_UM)
    says(box, "rm /full")
    await_passing(box)
    assert shown(box, "MainPID") == process
    says(box, f"journalctl --quiet --unit={UNIT} --grep='full|space|refuse' --case=no")


def test_steps_of_the_clock_are_nothing_to_the_line(box: BoxMachine) -> None:
    await_passing(box)
    process = shown(box, "MainPID")
    for step in ("+1 day", "-1 week", "+1 hour"):
        says(box, f"date --set='{step}'")
        await_passing(box)
    assert shown(box, "MainPID") == process


def test_through_all_of_that_no_defect_went_by(box: BoxMachine) -> None:
    assert got_away(box.report) == []
