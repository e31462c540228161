"""What the doctor says of a box: each fault with its remedy, and nothing of a sound one."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from edge.box import Box
from edge.checks import Check
from edge.checks import box as box_checks
from edge.commissioning import doctor
from edge.line_file import LineSettings, RejectSettings, read_line
from edge.store import EventStore
from firmware_bridge.ledger import Entry, EntryKind, Ledger
from stands.event_stores import inspection, settings, utc_now
from stands.inspections import write
from stands.line_files import changed
from stands.places import STEEL_LINE

CPU0 = "sys/devices/system/cpu/cpu0"
PI_FLAGS = "sys/devices/platform/soc/soc:firmware/get_throttled"
CLOCK = "sys/devices/system/clocksource/clocksource0/current_clocksource"


@pytest.mark.parametrize(
    ("files", "look", "remedy"),
    [
        (
            {f"{CPU0}/cpufreq/scaling_governor": "powersave"},
            box_checks.check_governor,
            "powersave: .* cpupower frequency-set --governor performance",
        ),
        ({PI_FLAGS: "1"}, box_checks.check_heat, "held back now: see to fan, heat sink and power"),
        (
            {f"{CPU0}/thermal_throttle/core_throttle_count": "9"},
            box_checks.check_heat,
            "held back 9 times .*: see to fan",
        ),
        (
            {"sys/class/thermal/thermal_zone0/temp": "91000"},
            box_checks.check_heat,
            "thermal_zone0 is at 91 degrees: see to fan",
        ),
        ({CLOCK: "hpet"}, box_checks.check_clock, "hpet is slow to read: .*tsc"),
        (
            {"proc/meminfo": "MemAvailable: 90000 kB"},
            box_checks.check_memory,
            "92 MB .*: stop other",
        ),
    ],
)
def test_each_fault_of_a_box_is_named_with_what_to_do(
    tmp_path: Path, files: dict[str, str], look: Callable[[Box], Check], remedy: str
) -> None:
    healthy = look(Box(tmp_path / "shows nothing"))
    assert healthy.passed
    ill = look(write(tmp_path, files))
    assert not ill.passed
    assert re.search(remedy, ill.detail)


def test_a_sound_box_passes_with_what_was_found(tmp_path: Path) -> None:
    box = write(
        tmp_path,
        {
            f"{CPU0}/cpufreq/scaling_governor": "performance",
            f"{CPU0}/thermal_throttle/core_throttle_count": "0",
            "sys/class/thermal/thermal_zone0/temp": "51000",
            "proc/meminfo": "MemAvailable: 4000000 kB",
            CLOCK: "tsc",
        },
    )
    looks = (
        box_checks.check_governor,
        box_checks.check_heat,
        box_checks.check_clock,
        box_checks.check_memory,
    )
    assert all(look(box).passed for look in looks)


def test_a_full_disk_and_a_clock_that_nobody_keeps_are_faults(tmp_path: Path) -> None:
    assert box_checks.check_disk(tmp_path, 2_000_000_000).passed
    assert "delete" in box_checks.check_disk(tmp_path, 900_000_000).detail
    assert box_checks.check_time(kept=True).passed
    assert "chrony" in box_checks.check_time(kept=False).detail


def test_a_device_that_is_not_there_is_told_from_one_that_may_not_be_opened(
    tmp_path: Path,
) -> None:
    missing = box_checks.check_device(tmp_path / "ttyACM0", ("encoder.port",))
    assert "ttyACM0 of encoder.port is not there: see to its cable" in missing.detail
    assert box_checks.check_device(Path("/dev/null"), ("encoder.port",)).passed


@pytest.mark.parametrize(
    ("priority", "limit", "passed"), [(0, 0, True), (50, 50, True), (50, 0, False)]
)
def test_a_real_time_priority_must_be_allowed(priority: int, limit: int, passed: bool) -> None:
    output = {"output": {"type": "memory"}, "offset_mm": 9.0, "delay_ms": 1.0}
    check = box_checks.check_realtime(RejectSettings(**output, priority=priority), limit)
    assert check.passed is passed
    assert passed or "LimitRTPRIO=50" in check.detail


def test_a_broker_that_does_not_answer_is_named_with_its_place() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert doctor.check_broker("127.0.0.1", port).passed
    check = doctor.check_broker("127.0.0.1", port)
    assert not check.passed
    assert f"127.0.0.1 port {port}: " in check.detail


def a_line(folder: Path, **sections: object) -> tuple[Path, LineSettings]:
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(changed(yaml.safe_load(STEEL_LINE.read_text()), **sections)))
    return path, read_line(path)


def examined(config: LineSettings) -> dict[str, Check]:
    return {check.name: check for check in doctor.examine(config, Box())}


def test_what_a_line_needs_is_looked_at_besides(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    camera = {"type": "folder", "path": str(folder), "along_um": 250, "across_um": 250}
    encoder = {"type": "serial", "port": "/dev/no-such", "um_per_count": 25, "speed_mm_s": 9}
    _, config = a_line(
        tmp_path,
        camera=camera | {"baseline": "no-such.json"},
        encoder=encoder,
        bundle="no-such.bundle",
    )
    checks = examined(config)
    for name in ("camera", "device", "bundle", "baseline"):
        assert not checks[name].passed
        assert "no-such" in checks[name].detail or name == "camera"


def test_what_a_disk_refused_to_keep_is_told_with_its_reason(tmp_path: Path) -> None:
    for keep_free_mb, passed in ((0.001, True), (1e9, False)):
        kept = settings(tmp_path / "store", keep_free_mb=keep_free_mb)
        with EventStore(kept, utc_now) as store:
            store.record(inspection(0))
        check = doctor.check_store(kept)
        assert check.passed is passed
    assert "1 of the latest 2 events have no picture" in check.detail
    path = tmp_path / "rejects.sqlite"
    for kind in (EntryKind.ORDER, EntryKind.LOST):
        with Ledger(path, time.monotonic_ns) as ledger:
            ledger.add(
                Entry(kind, 0, number=1, actuator="valve", start_um=0, end_um=9, measure_um=7)
            )
        check = doctor.check_ledger(path)
        assert check.passed is (kind is EntryKind.ORDER)
    assert "by 7 entries: make room on its disk" in check.detail


def test_what_may_not_be_written_is_named_be_it_a_file_or_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, spool = tmp_path / "store", tmp_path / "spool.sqlite"
    _, config = a_line(
        tmp_path,
        store={"path": "store"},
        swap={"folder": "swap"},
        mqtt={"host": "127.0.0.1", "port": 1, "topic": "line", "spool": "spool.sqlite"},
    )
    assert examined(config)["writing"].passed
    store.mkdir()
    spool.touch()
    # Root may write whatever its modes say; a mount that is read-only is among the store's tests.
    monkeypatch.setattr("os.access", lambda path, mode: path not in {store, spool})
    check = examined(config)["writing"]
    assert not check.passed
    assert check.detail.startswith(f"{spool}, {store} cannot be written by you: mount its disk")


def test_the_command_prints_one_object_and_fails_if_anything_is_wrong(tmp_path: Path) -> None:
    path, _ = a_line(tmp_path, camera={"baseline": "no-such.json"})
    answer = subprocess.run(
        [sys.executable, "-m", "edge.cli", "doctor", str(path), "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    result = json.loads(answer.stdout)
    checks = {check["name"]: check["passed"] for check in result["checks"]}
    assert (answer.returncode, result["passed"], checks["baseline"]) == (1, False, False)
    assert checks["bundle"] and checks["camera"]
