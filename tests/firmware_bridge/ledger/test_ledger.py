"""The ledger on a real disk: killed, full, locked by others, and what is left in it afterwards."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge.cli.app import app
from edge.errors import TracksideError
from firmware_bridge.core import Actuator, ActuatorTraits
from firmware_bridge.errors import LedgerError
from firmware_bridge.ledger import Entry, EntryKind, Ledger, describe, read_ledger
from firmware_bridge.types import Mode
from stands.ledgers import (
    CLOCK,
    MM,
    PATIENT_NS,
    a_rig,
    an_order,
    desk,
    here_um,
    start_on_a_full_disk,
    work_on_a_full_disk,
    work_until_killed,
)
from stands.places import STEEL_LINE, TESTS_PATH
from stands.small_disk import a_small_disk
from stands.waiting import eventually

KILLS = 20
OUTCOMES = (EntryKind.FIRED, EntryKind.MISSED)


def kinds(path: Path) -> list[EntryKind]:
    return [entry.kind for entry in read_ledger(path)]


def test_what_was_ordered_and_what_became_of_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "line" / "ledger.db"
    marker = Actuator("marker", ActuatorTraits(0, margin_um=100 * MM))
    gate = Actuator("gate", ActuatorTraits(MM, margin_um=100 * MM))
    rig = a_rig(marker, gate, um_per_s=500_000)
    with Ledger(path, CLOCK) as ledger, desk(rig, ledger) as rejector:
        rejector.hold("bin", Mode.ORDERED, "nearly full")
        start_um = here_um(rig) + 500 * MM
        rejector.submit(start_um, start_um + MM, "frame 7")
        assert ledger.flush(PATIENT_NS)
        eventually(lambda: len(rejector.report().pulses) == 2)
        rejector.confirm("gate", seen=True, reason="5 ms after the pulse")
    entries = read_ledger(path)
    assert Counter(entry.kind for entry in entries) == {
        EntryKind.BEGUN: 1,
        EntryKind.MODE: 1,
        EntryKind.ORDER: 2,
        **Counter(entry.kind for entry in entries if entry.kind in OUTCOMES),
        EntryKind.PULSE: 2,
        EntryKind.CONFIRMED: 1,
        EntryKind.ENDED: 1,
    }
    for actuator in ("marker", "gate"):
        of_it = [entry for entry in entries if entry.actuator == actuator and entry.number == 1]
        assert [entry.kind in OUTCOMES for entry in of_it] == [False, True]
        assert {(e.start_um, e.end_um, e.tag) for e in of_it} == {
            (start_um, start_um + MM, "frame 7")
        }
    [mode] = [entry for entry in entries if entry.kind is EntryKind.MODE]
    assert (mode.tag, mode.reason) == ("as ordered", "bin: nearly full")
    assert read_ledger(path, last=1) == entries[-1:]
    lines = [describe(entry) for entry in entries]
    assert f"{mode.utc} mode (as ordered): bin: nearly full" in lines
    place = f"{start_um / 1000:.3f} to {start_um / 1000 + 1:.3f} mm"
    assert any(line.endswith(f" order marker order 1 (frame 7) {place}") for line in lines)


def test_what_is_written_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path, CLOCK).close()
    with closing(sqlite3.connect(path)) as database:
        for change in ("UPDATE entries SET utc = ''", "DELETE FROM entries"):
            with pytest.raises(sqlite3.IntegrityError, match="only appended to"):
                database.execute(change)


def test_one_program_at_a_time_writes_it_and_others_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path, CLOCK) as ledger:
        with pytest.raises(LedgerError, match="give each line its own"):
            Ledger(path, CLOCK)
        ledger.add(an_order(1))
        assert ledger.flush(PATIENT_NS)
        assert kinds(path) == [EntryKind.BEGUN, EntryKind.ORDER]


def test_a_path_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no ledger, but longer than the header of a database" * 9)
    with pytest.raises(LedgerError, match="move it away"):
        Ledger(tmp_path / "text", CLOCK)
    with pytest.raises(LedgerError, match="a folder you may write to"):
        Ledger(tmp_path / "text" / "ledger.db", CLOCK)
    with pytest.raises(LedgerError, match="no such ledger"):
        read_ledger(tmp_path / "missing.db")
    with pytest.raises(LedgerError, match="it is no ledger"):
        read_ledger(tmp_path / "text")


def test_a_reject_that_the_disk_was_too_slow_for_is_fired_and_said(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    rig = a_rig()
    with Ledger(path, CLOCK) as ledger, desk(rig, ledger) as rejector:
        with closing(sqlite3.connect(path, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            start_um = here_um(rig) + 100 * MM
            rejector.submit(start_um, start_um + 500 * MM, "frame 1")
            eventually(lambda: len(rejector.report().pulses) == 1)
        assert ledger.flush(PATIENT_NS)
    [unwritten] = [entry for entry in read_ledger(path) if entry.kind is EntryKind.UNWRITTEN]
    assert (unwritten.number, unwritten.tag) == (1, "frame 1")


def test_what_was_due_while_down_is_missed_and_brings_about_what_a_miss_does(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path, CLOCK) as ledger:
        ledger.add(an_order(1))
    rig = a_rig()
    with Ledger(path, CLOCK) as ledger:
        assert ledger.inherited is not None
        assert [order.number for order in ledger.inherited.orders] == [1]
        with desk(rig, ledger, on_missed=Mode.REJECT_ALL) as rejector:
            eventually(lambda: rejector.mode is Mode.REJECT_ALL)
            rejector.acknowledge("seen to")
            eventually(lambda: rejector.mode is Mode.ORDERED)
    with Ledger(path, CLOCK) as ledger:
        assert ledger.inherited is not None
        assert ledger.inherited.orders == ()
    [missed] = [entry for entry in read_ledger(path) if entry.kind is EntryKind.MISSED]
    assert (missed.number, missed.measure_um, missed.reason) == (1, 4, "was due while down")
    reasons = [entry.reason for entry in read_ledger(path) if entry.kind is EntryKind.MODE]
    assert reasons == ["missed: 1 orders were due while the program was down", "missed: seen to"]


def remove_file(path: Path) -> None:
    path.unlink()


def replace_file(path: Path) -> None:
    other = path.with_name("other.db")
    with Ledger(other, CLOCK) as ledger:
        ledger.add(replace(an_order(77), tag="another line's"))
    other.rename(path)


def remove_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


def remove_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("attack", [remove_file, replace_file, remove_log, remove_folder])
def test_a_ledger_that_is_removed_or_replaced_while_it_is_open_is_begun_anew(
    attack: Callable[[Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "line" / "ledger.db"
    with Ledger(path, CLOCK) as ledger:
        ledger.add(an_order(1))
        assert ledger.flush(PATIENT_NS)
        attack(path)
        ledger.add(an_order(2))
        ledger.add(replace(an_order(1), kind=EntryKind.FIRED, measure_um=0))
        assert ledger.flush(PATIENT_NS)
        assert ledger.trouble is None
        assert not ledger.is_unkept
    assert "was removed or replaced while it was written" in caplog.text
    entries = read_ledger(path)
    orders = [entry.number for entry in entries if entry.kind is EntryKind.ORDER]
    assert orders == [1, 2]  # the one that was under way too
    assert [entry.number for entry in entries if entry.kind in OUTCOMES] == [1]
    assert ("while the line ran" in str(entries[0].reason)) is (attack is not remove_log)
    if attack is replace_file:  # what lay there is not lost either
        [found] = (each for each in path.parent.glob("ledger.db.found-*") if each.suffix[-1] == "Z")
        assert [entry.tag for entry in read_ledger(found) if entry.tag] == ["another line's"]


def test_while_no_ledger_takes_the_orders_all_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "line" / "ledger.db"
    rig = a_rig()
    with Ledger(path, CLOCK) as ledger, desk(rig, ledger) as rejector:
        assert ledger.flush(PATIENT_NS)
        shutil.rmtree(path.parent)
        path.parent.write_text("a file, where the ledger's folder was")
        ledger.add(an_order(7))
        eventually(lambda: ledger.is_unkept)
        rejector.check()
        eventually(lambda: rejector.mode is Mode.REJECT_ALL)
        assert [change.cause for change in rejector.standing] == ["ledger"]
        path.parent.unlink()
        eventually(lambda: not ledger.is_unkept)
        rejector.check()
        eventually(lambda: rejector.mode is Mode.ORDERED)


# --- processes that are killed, and disks that are full ------------------------------------------


def run_here(function: Callable[[Path], None], path: Path, *wrapper: str) -> subprocess.Popen[str]:
    """A function of `ledgers` in a process of its own."""
    command = (
        f"from stands.ledgers import {function.__name__}; from pathlib import Path; "
        f"{function.__name__}(Path({str(path)!r}))"
    )
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", command],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": TESTS_PATH},
    )


def test_a_ledger_whose_program_is_killed_has_lost_and_doubled_nothing(tmp_path: Path) -> None:
    path, chance = tmp_path / "ledger.db", random.Random(1)
    durable = []  # the highest number that each run said was on disk
    for _ in range(KILLS):
        with run_here(work_until_killed, path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            said = process.stdout.read().splitlines(keepends=True)
        durable.append(max((int(line) for line in said if line.endswith("\n")), default=0))
    Ledger(path, CLOCK).close()
    entries = read_ledger(path)
    runs = sorted({entry.run for entry in entries})
    assert len(runs) == KILLS + 1
    for run, highest in zip(runs, [*durable, 0], strict=True):
        of_run = [entry for entry in entries if entry.run == run]
        orders = [entry.number for entry in of_run if entry.kind is EntryKind.ORDER]
        outcomes = [entry.number for entry in of_run if entry.kind in OUTCOMES]
        assert orders == [*range(1, len(orders) + 1)]
        assert len(orders) >= highest
        assert sorted(outcomes) == orders
    assert sum(durable) > 0
    assert EntryKind.ENDED not in [entry.kind for entry in entries if entry.run != runs[-1]]


def test_on_a_full_disk_rejects_are_fired_and_written_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with run_here(work_on_a_full_disk, path) as process:
        assert process.stdout is not None
        trouble, pulses, flushed, afterwards = json.loads(process.stdout.read())
    assert process.returncode == 0
    assert "make room on its disk" in trouble
    assert (pulses, flushed, afterwards) == (1, True, None)
    written = Counter(kinds(path))
    assert written[EntryKind.ORDER] == written[EntryKind.UNWRITTEN] == 1
    assert written[EntryKind.FIRED] + written[EntryKind.MISSED] == 1


def test_what_was_due_while_down_counts_as_missed_while_a_full_disk_does_not_tell(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with run_here(start_on_a_full_disk, disk, *a_small_disk(disk)) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    assert json.loads(said) == [None, [1]]


def test_the_command_prints_the_latest_entries_of_a_ledger_or_of_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, line = tmp_path / "rejects.sqlite", tmp_path / "line.yaml"
    line.write_text(STEEL_LINE.read_text().replace("reject:\n", f"reject:\n  ledger: {path}\n"))
    with Ledger(path, CLOCK) as ledger:
        order = Entry(EntryKind.ORDER, 0, number=1, actuator="valve", tag="frame 7")
        ledger.add(replace(order, start_um=1_500, end_um=2_000))
    app(["ledger", str(line), "--last", "2"], standalone_mode=False)
    _, ordered, ended = [row.split()[1:] for row in capsys.readouterr().out.splitlines()]
    assert ordered == ["order", "1", "valve", "1.5", "to", "2.0", "frame", "7"]
    assert ended == ["ended"]
    app(["ledger", str(path), "--json"], standalone_mode=False)
    printed = [json.loads(row) for row in capsys.readouterr().out.splitlines()]
    assert [each["kind"] for each in printed] == ["begun", "order", "ended"]
    with pytest.raises(TracksideError, match="no such ledger"):
        app(["ledger", str(tmp_path / "none.sqlite")], standalone_mode=False)
