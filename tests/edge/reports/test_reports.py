"""A report's totals are the ledger's and the store's, and it is written whole or not at all."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.cameras import Fault, Faults
from edge.cli.app import app
from edge.errors import ConfigurationError, StoreError, UsageError
from edge.inspect import Inspection
from edge.line_file import LineSettings, read_line
from edge.reports import a_run, a_time, content, gather, sources_of, writing_reports
from edge.reports.timetable import files_of, latest_due
from edge.run import run_line
from edge.store import EventStore, read_account, read_events, read_runs
from edge.types import State
from firmware_bridge.ledger import Ledger
from stands.event_stores import inspection, settings, utc_now
from stands.line_files import CAMERA, changed
from stands.places import STEEL_LINE
from stands.waiting import eventually

NG_A_METRE = {"fps": 60, "defects_per_metre": 6}


def a_line(folder: Path, **sections: Any) -> LineSettings:
    line = changed(yaml.safe_load(STEEL_LINE.read_text()), **sections)
    line["store"] = {"path": "events", "keep_free_mb": 0.001}
    line["reject"]["ledger"] = "rejects.sqlite"
    (folder / "line.yaml").write_text(yaml.safe_dump(line))
    return read_line(folder / "line.yaml")


def faulty_run(config: LineSettings, seen: list[Inspection]) -> None:
    """One in which the camera is lost for a while, and orders come too late for their rail."""
    faults = Faults()

    def record(inspection: Inspection) -> None:
        seen.append(inspection)
        if len(seen) == 8:
            faults.begin(Fault.VANISHED)
        elif inspection.verdict.state is State.UNKNOWN:
            faults.mend()

    run_line(config, frames=30, camera_faults={CAMERA: faults}, watch=lambda line: record)


def killed_run(folder: Path) -> None:
    """One that is killed once it has kept something."""
    before = len(read_events(folder / "events"))
    command = [sys.executable, "-m", "edge.cli", "run", str(folder / "line.yaml")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: len(read_events(folder / "events")) > before)
        finally:
            process.kill()


def asked_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_the_totals_are_the_ledgers_and_the_stores_to_the_unit_over_faulty_runs(
    tmp_path: Path,
) -> None:
    began = utc_now()
    config = a_line(tmp_path, camera=NG_A_METRE, reject={"offset_mm": 60})
    seen: list[Inspection] = []
    faulty_run(config, seen)
    killed_run(tmp_path)
    run_line(config, frames=4)  # which ends what the killed one left
    sources = sources_of(config)
    runs = read_runs(sources.store)
    assert len(runs) == 3

    first = gather(sources, a_run(sources, runs[0].run)).report
    states = Counter(each.verdict.state for each in seen)
    assert (first.rail.ok, first.rail.ng, first.rail.unknown) == tuple(states[s] for s in State)
    assert first.rail.unknown > 0
    (rail,) = first.runs[0].cameras.values()
    assert rail.run_um == seen[-1].verdict.stretch.end_um - seen[0].verdict.stretch.start_um
    assert rail.inspected_um + rail.unknown_um + rail.unseen_um == rail.run_um
    assert sum(first.kept.by_why.values()) == len(read_events_of(sources.store, runs[0].run))

    whole = gather(sources, a_time(began, utc_now() + timedelta(minutes=1))).report
    ledger, outputs = sources.ledger, whole.outputs
    assert ledger is not None and outputs is not None and len(whole.runs) == 3
    (sums,) = outputs.actuators.values()
    kinds = dict(asked_of(ledger, "SELECT kind, count(*) FROM entries GROUP BY kind"))
    told = sums.ordered, sums.fired, sums.missed, sums.handed_on, sums.pulses
    assert told == tuple(
        kinds.get(k, 0) for k in ("order", "fired", "missed", "handed on", "pulse")
    )
    assert sums.ordered
    assert sums.missed_um == total(ledger, "measure_um", "missed")
    assert sums.uninspected_um == total(ledger, "measure_um", "uninspected")
    assert sums.rejected_um == total(ledger, "end_um - start_um", "pulse")
    ended = sums.fired + sums.missed - sums.missed_unordered + sums.handed_on
    assert sums.ordered - ended == sums.open
    events = read_events(sources.store)
    assert whole.kept.events == len(events)
    assert whole.kept.by_why == dict(Counter(event.why.value for event in events))
    found = {(event.run, each.number) for event in events for each in event.found}
    gone = {(e.run, number) for e in events for d in e.found for number in d.absorbed}
    assert whole.things == len(found - gone)
    assert sum(sum(each.by_size) for each in whole.classes) == whole.things
    frames = [sum(row) for row in asked_of(sources.store / "events.sqlite", FRAMES)]
    assert whole.rail.frames == whole.latency.frames == sum(frames)


FRAMES = "SELECT ok, ng, unknown FROM account"


def total(ledger: Path, what: str, kind: str) -> int:
    [(value,)] = asked_of(
        ledger, f"SELECT coalesce(sum({what}), 0) FROM entries WHERE kind='{kind}'"
    )
    return int(value)


def read_events_of(store: Path, run: int) -> list[Any]:
    return [event for event in read_events(store) if event.run == run]


@pytest.fixture
def kept(tmp_path: Path) -> LineSettings:
    """A line that has run, as far as its store knows."""
    config = a_line(tmp_path)
    assert config.store is not None and config.reject.ledger is not None
    began = "2030-01-01T00:00:00.000+00:00"
    with Ledger(config.reject.ledger, time.monotonic_ns, began):
        pass
    with EventStore(config.store, utc_now, began=began) as store:
        for index in range(20):
            state = State.UNKNOWN if index == 7 else State.NG if index % 3 else State.OK
            store.record(inspection(index, state))
    return config


def test_rail_counts_once_and_what_lies_between_frames_is_unseen(tmp_path: Path) -> None:
    with EventStore(settings(tmp_path), utc_now) as store:
        for index in (0, 1, 1, 4):
            store.record(inspection(index, State.UNKNOWN if index == 4 else State.OK))
    parts = read_account(tmp_path)
    assert sum(part.frames for part in parts) == 4
    assert sum(part.inspected_um for part in parts) == 32_000
    assert sum(part.unknown_um for part in parts) == 16_000
    assert sum(part.unseen_um for part in parts) == 32_000  # where frames 2 and 3 would lie
    assert (parts[0].start_um, parts[-1].end_um) == (0, 80_000)


def test_a_page_a_paper_a_table_and_json_tell_the_same(kept: LineSettings) -> None:
    sources = sources_of(kept)
    gathered = gather(sources, a_run(sources, None))
    report = gathered.report
    page, paper = content(gathered, "html"), content(gathered, "pdf")
    assert isinstance(page, str) and isinstance(paper, bytes)
    assert "http" not in page.replace("http://www.w3.org", "")
    rejected = [each.rejected for each in report.classes]
    assert rejected == [1]  # one defect that twelve frames show
    for said in ("0.3 m of rail, 95.00% inspected", "1 defect rejected", "0.016 m"):
        assert said in page
    words = b"".join(
        zlib.decompress(stream)
        for stream in re.findall(rb"stream\n(.+?)\nendstream", paper, re.DOTALL)
        if stream[:1] == b"x"
    )
    assert paper.startswith(b"%PDF") and b"95.00%" in words
    told = json.loads(content(gathered, "json"))
    assert told["rail"]["unknown_um"] == 16_000
    assert len(str(content(gathered, "csv")).splitlines()) == 2


def test_the_command_writes_what_it_is_asked_for_and_nothing_by_halves(
    kept: LineSettings, tmp_path: Path
) -> None:
    line, page = str(tmp_path / "line.yaml"), tmp_path / "out.html"
    said = command("report", line, "--html", str(page), "--json", "-")
    assert json.loads(said.stdout)["what"].startswith("run ")
    assert page.read_text().startswith("<!doctype html>")
    assert command("report", line, "--html", "-").stdout.startswith("<!doctype html>")
    for wrong, code, remedy in (
        (["--run", "999"], 2, "has no run 999"),
        (["--html", str(tmp_path / "no" / "out.html")], 2, "a folder that exists"),
        (["--until", "2030-01-01"], 2, "give that too"),
        (["--html", "-", "--json", "-"], 2, "go to standard output"),
        (["--ledger", str(tmp_path / "none.sqlite")], 1, "no such ledger"),
    ):
        refused = command("report", line, "--csv", str(tmp_path / "out.csv"), *wrong)
        assert (refused.returncode, remedy in refused.stderr) == (code, True), refused.stderr
        assert not (tmp_path / "out.csv").exists()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_store_without_a_run_and_a_time_that_ends_before_it_begins_are_refused(
    tmp_path: Path,
) -> None:
    config = a_line(tmp_path)
    assert config.store is not None
    with EventStore(config.store, utc_now):
        pass
    with pytest.raises(StoreError, match="knows of no run"):
        a_run(sources_of(config), None)
    with pytest.raises(UsageError, match="is not after"):
        a_time(utc_now(), utc_now() - timedelta(hours=1))
    with pytest.raises(ConfigurationError, match="give it a `store:`"):
        sources_of(config.model_copy(update={"store": None}))


def test_shifts_end_when_the_line_file_says() -> None:
    times = [datetime.strptime(at, "%H:%M").time() for at in ("06:00", "14:00", "22:00")]
    noon = datetime(2026, 11, 29, 12, 0).astimezone()
    assert latest_due(times, noon).strftime("%d %H:%M") == "29 06:00"
    assert latest_due(times, noon.replace(hour=6)).strftime("%d %H:%M") == "29 06:00"
    assert latest_due(times, noon.replace(hour=3)).strftime("%d %H:%M") == "28 22:00"


@pytest.mark.parametrize(
    ("at", "remedy"),
    [(840, "write it in quotes"), ("24:61", "is no time of day"), ([], "give each time once")],
)
def test_a_time_that_is_none_is_named_with_the_remedy(at: Any, remedy: str, tmp_path: Path) -> None:
    a_line(tmp_path)
    line = yaml.safe_load((tmp_path / "line.yaml").read_text())
    line["reports"] = {"at": at, "folder": "reports"}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    with pytest.raises(ConfigurationError, match=remedy):
        read_line(tmp_path / "line.yaml")


def test_a_running_line_has_the_report_of_the_last_shift_written_beside_it(
    kept: LineSettings, tmp_path: Path
) -> None:
    line = yaml.safe_load((tmp_path / "line.yaml").read_text())
    at = (utc_now().astimezone() + timedelta(minutes=3)).replace(second=0)
    line["reports"] = {"at": f"{at:%H:%M}", "folder": "reports", "formats": ["html", "json"]}
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    config = read_line(tmp_path / "line.yaml")
    assert config.reports is not None
    due = latest_due(config.reports.times, at.astimezone(timezone.utc) + timedelta(minutes=1))
    files = files_of(config.reports, config.name, due)
    with writing_reports(config, lambda: due + timedelta(minutes=1)):
        eventually(lambda: all(path.exists() for path in files.values()))
    assert json.loads(files["json"].read_text())["rail"]["frames"] == 20
    assert sorted(each.name for each in (tmp_path / "reports").iterdir()) == sorted(
        path.name for path in files.values()
    )


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--since", "0001-01-01"], "give a time that the line ran in"),
        (["--html", "one", "--csv", "./one"], "two forms of the report go to one file"),
    ],
)
def test_a_report_that_cannot_be_made_says_what_to_ask_for(
    asked: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")  # where the year 1 began before there were years
    time.tzset()
    try:
        with pytest.raises(UsageError, match=said):
            app(["report", str(tmp_path), *asked], standalone_mode=False)
    finally:
        monkeypatch.undo()
        time.tzset()
