"""The event store on a real disk: killed, full, overrun, grown too large; what is left in it."""

from __future__ import annotations

import csv
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
from datetime import datetime, timedelta, timezone
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import yaml
from pyarrow import parquet
from pycocotools.coco import COCO

from edge.bundle import open_bundle
from edge.commissioning import doctor
from edge.commissioning.check import check_store
from edge.errors import StoreError
from edge.files.image_file import write_image
from edge.inspect import Inspection
from edge.line_file import read_line
from edge.network import SHIPPED
from edge.run import run_line
from edge.store import (
    KEPT,
    NO_IMAGE,
    TORN,
    EventStore,
    Wanted,
    Why,
    naming_of,
    picture_path,
    read_event,
    read_events,
    read_losses,
    write_annotated,
    write_cvat,
)
from edge.store.annotations import run_lengths
from edge.store.event import DAMAGED, DISK_FULL, DISK_REFUSES, QUEUE_FULL, Event
from edge.store.parquet_table import write_parquet
from edge.types import Frame, State, Stretch, Verdict
from stands.event_stores import DIGEST, SIZE, Clocks, inspection, settings, utc_now
from stands.places import ROOT, STEEL_LINE, TESTS_PATH
from stands.small_disk import a_small_disk
from stands.waiting import PATIENCE_S

KILLS = 50


def picture(root: Path, event: Event, name: str) -> np.ndarray:
    image = cv2.imread(str(picture_path(root, event.id, name)), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def test_what_is_rejected_unsure_or_sampled_is_kept_and_nothing_else(tmp_path: Path) -> None:
    last_of = {"pick": lambda every: every - 1}
    with EventStore(settings(tmp_path, ok_every=3), utc_now, **last_of) as store:
        for index in range(6):
            store.record(inspection(index, State.OK, 0.1))
        store.record(inspection(6, State.OK, 0.45))
        store.record(inspection(7, State.NG, 0.55))
        store.record(inspection(8, State.NG))
        store.record(inspection(9, State.UNKNOWN))
    events = read_events(tmp_path)
    assert [(event.frame, event.why) for event in events] == [
        (0, Why.SAMPLE),  # the first of a run, then one of three as it is picked
        (5, Why.SAMPLE),
        (6, Why.UNSURE),
        (7, Why.UNSURE),
        (8, Why.NG),
        (9, Why.UNKNOWN),
    ]
    rejected, unknown = events[4], events[5]
    asked = inspection(8)
    assert rejected.defects == asked.verdict.defects
    assert (rejected.start_um, rejected.end_um) == (128_000, 144_000)
    assert (rejected.state, rejected.reasons, rejected.bundle) == (State.NG, ("32 mm2",), DIGEST)
    assert (rejected.latency_ns, rejected.stage_ns) == (8_000, {"infer": 700})
    assert rejected.confidence == pytest.approx(0.9)
    assert (unknown.evidence, unknown.reasons, unknown.pictures) == (NO_IMAGE, ("cable",), ())


def test_what_is_unfamiliar_to_the_network_is_kept_and_says_how_much(tmp_path: Path) -> None:
    with EventStore(settings(tmp_path, ok_every=0, unfamiliar_above=1.5), utc_now) as store:
        for index, unfamiliar in enumerate((None, 0.4, 1.5, 1.6, 7.0)):
            store.record(replace(inspection(index, State.OK, 0.1), unfamiliar=unfamiliar))
        store.record(replace(inspection(5, State.NG), unfamiliar=3.0))
    events = read_events(tmp_path)
    assert [(event.frame, event.why, event.unfamiliar) for event in events] == [
        (3, Why.UNFAMILIAR, 1.6),
        (4, Why.UNFAMILIAR, 7.0),
        (5, Why.NG, 3.0),
    ]
    assert [e.frame for e in read_events(tmp_path, Wanted(least_unfamiliar=3.0))] == [4, 5]


def test_frame_and_mask_are_kept_exactly_and_defects_cut_out(tmp_path: Path) -> None:
    asked = inspection(0)
    with EventStore(settings(tmp_path), utc_now) as store:
        store.record(asked)
    [event] = read_events(tmp_path)
    assert event.pictures == ("frame.png", "mask.png", "overlay.jpg", "defect0.jpg")
    assert isinstance(asked.seen, Frame) and asked.mask is not None
    assert (picture(tmp_path, event, "frame.png") == asked.seen.image).all()
    assert ((picture(tmp_path, event, "mask.png") > 0) == asked.mask.binary).all()
    assert picture(tmp_path, event, "overlay.jpg").shape == (SIZE, SIZE, 3)
    assert picture(tmp_path, event, "defect0.jpg").shape == (40, 52)
    on_disk = sum(path.stat().st_size for path in (tmp_path / "images").rglob("*.*"))
    assert event.size_bytes == on_disk


def test_a_frame_that_is_no_image_is_kept_without_pictures(tmp_path: Path) -> None:
    stretch = Stretch(0, 16_000)
    frame = Frame(0, np.zeros((8, 8, 5), np.uint8), 1_000, stretch, 250)
    verdict = Verdict(State.UNKNOWN, 0, stretch, (), ("5 channels",))
    with EventStore(settings(tmp_path), utc_now) as store:
        store.record(Inspection(frame, verdict, None, {}, 2_000, DIGEST))
        store.record(inspection(1))
    assert [event.evidence for event in read_events(tmp_path)] == [NO_IMAGE, KEPT]
    assert not list((tmp_path / "images").rglob("000000001-*"))


def test_events_are_asked_for_by_state_time_run_and_place(tmp_path: Path) -> None:
    clock = [datetime(2030, 1, 1, tzinfo=timezone.utc)]
    for _ in range(2):
        with EventStore(settings(tmp_path), lambda: clock[0]) as store:
            for index, state in enumerate([State.NG, State.UNKNOWN, State.NG]):
                store.record(inspection(index, state))
                clock[0] += timedelta(hours=1)

    def frames(wanted: Wanted) -> list[tuple[int, int]]:
        return [(event.run, event.frame) for event in read_events(tmp_path, wanted)]

    assert frames(Wanted()) == [(1, 0), (1, 1), (1, 2), (4, 0), (4, 1), (4, 2)]
    assert frames(Wanted(states=("UNKNOWN",))) == [(1, 1), (4, 1)]
    assert frames(Wanted(since_utc="2030-01-01T04:00")) == [(4, 1), (4, 2)]
    assert frames(Wanted(run=1, from_um=16_000, to_um=32_000)) == [(1, 1)]
    assert frames(Wanted(last=2)) == [(4, 1), (4, 2)]
    assert read_event(tmp_path, 5).frame == 1
    with pytest.raises(StoreError, match="no event 7"):
        read_event(tmp_path, 7)


def test_a_disk_that_is_too_slow_costs_pictures_and_no_event_and_holds_nobody_up(
    tmp_path: Path,
) -> None:
    with EventStore(settings(tmp_path, queue_frames=4), utc_now) as store:
        with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")  # the writer waits for it, the loop does not
            for index in range(200):
                store.record(inspection(index))
        assert store.flush(PATIENCE_S)
        dropped = store.pictures_dropped
    events = read_events(tmp_path)
    assert [event.frame for event in events] == [*range(200)]
    assert dropped == sum(event.evidence == QUEUE_FULL for event in events) > 0
    assert all(event.pictures for event in events if event.evidence == KEPT)


def test_events_that_there_is_no_room_for_are_counted_and_entered_as_lost(tmp_path: Path) -> None:
    with EventStore(settings(tmp_path), utc_now, backlog=50) as store:
        with closing(sqlite3.connect(tmp_path / "events.sqlite", isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            for index in range(200):
                store.record(inspection(index, State.UNKNOWN))
            lost = store.events_lost
        assert store.flush(PATIENCE_S)
    assert lost > 0
    assert len(read_events(tmp_path)) == 200 - lost
    assert sum(events for _, events, _ in read_losses(tmp_path)) == lost


def test_what_is_too_old_is_removed_with_its_pictures(tmp_path: Path) -> None:
    with dated(tmp_path, clocks := Clocks()) as store:
        record_after(store, clocks, 0, days=[0, 20, 15])
    assert frames_in(tmp_path) == [1, 2]
    assert len(list((tmp_path / "images").rglob("*-frame.png"))) == 2


def dated(root: Path, clocks: Clocks) -> EventStore:
    """A store of thirty days."""
    return EventStore(settings(root, max_age_days=30), lambda: clocks.utc, lambda: clocks.ns)


def record_after(store: EventStore, clocks: Clocks, first: int, days: list[float]) -> None:
    """A frame after each of these times, and all on disk before the next."""
    for index, each in enumerate(days, first):
        clocks.go_on(days=each)
        store.record(inspection(index))
        assert store.flush(PATIENCE_S)


def frames_in(root: Path) -> list[int]:
    return [event.frame for event in read_events(root)]


@pytest.mark.parametrize("leap_days", [40, 4000, -40])
def test_a_clock_that_leaps_removes_nothing_and_what_it_dated_goes_with_its_neighbours(
    tmp_path: Path, leap_days: float
) -> None:
    with dated(tmp_path, clocks := Clocks()) as store:
        record_after(store, clocks, 0, days=[1] * 5)
        clocks.leap(days=leap_days)
        record_after(store, clocks, 5, days=[0, 0.01])
        clocks.leap(days=-leap_days)
        record_after(store, clocks, 7, days=[0.01, 1, 1])
        assert frames_in(tmp_path) == [*range(10)]
        record_after(store, clocks, 10, days=[25.5, 1, 1, 1, 0.2])
    assert frames_in(tmp_path) == [*range(8, 15)]


def test_a_start_with_a_wrong_date_removes_nothing_and_one_with_the_right_date_does(
    tmp_path: Path,
) -> None:
    with dated(tmp_path, clocks := Clocks()) as store:
        record_after(store, clocks, 0, days=[0, 1])
    for _ in range(2):
        clocks.leap(days=40)
        with dated(tmp_path, clocks) as store:
            record_after(store, clocks, 2, days=[0, 0.1])
        clocks.leap(days=-40)
    assert frames_in(tmp_path) == [0, 1, 2, 3, 2, 3]
    clocks.go_on(days=40)
    with dated(tmp_path, clocks) as store:
        record_after(store, clocks, 4, days=[0, 0.1])
        assert len(frames_in(tmp_path)) == 8
        record_after(store, clocks, 6, days=[0.5])
    assert frames_in(tmp_path) == [2, 3, 2, 3, 4, 5, 6]


def test_however_many_are_dated_ahead_do_not_keep_what_is_too_old(tmp_path: Path) -> None:
    with dated(tmp_path, clocks := Clocks()) as store:
        clocks.leap(days=4000)
        record_after(store, clocks, 0, days=[0])
        for _ in range(250):
            store.record(inspection(0, State.UNKNOWN))
        assert store.flush(PATIENCE_S)
        clocks.leap(days=-4000)
        record_after(store, clocks, 1, days=[1, 1, 29.5, 0, 0, 0])
    assert frames_in(tmp_path) == [*range(2, 7)]


def test_beyond_its_size_the_oldest_makes_room_for_the_newest(tmp_path: Path) -> None:
    with EventStore(settings(tmp_path, max_size_mb=0.4), utc_now) as store:
        for index in range(100):
            store.record(inspection(index))
            assert index % 5 or store.flush(PATIENCE_S)
    frames = [event.frame for event in read_events(tmp_path)]
    assert frames == [*range(frames[0], 100)] and 10 < len(frames) < 60
    assert len(list((tmp_path / "images").rglob("*-frame.png"))) == len(frames)
    kept = sum(path.stat().st_size for path in (tmp_path / "images").rglob("*.*"))
    assert kept < 400_000


def test_one_program_at_a_time_writes_a_store(tmp_path: Path) -> None:
    with (
        EventStore(settings(tmp_path / "own"), utc_now),
        pytest.raises(StoreError, match="give each line its own"),
    ):
        EventStore(settings(tmp_path / "own"), utc_now)
    with pytest.raises(StoreError, match="holds no event store"):
        read_events(tmp_path / "nowhere")


def test_a_line_that_runs_keeps_its_events_with_the_bundle_that_saw_them(tmp_path: Path) -> None:
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["store"] = {"path": "events", "ok_every": 1, "unsure_below": 0}
    line["encoder"]["speed_mm_s"] = 2000
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(line))
    config = read_line(tmp_path / "line.yaml")
    tally = run_line(config, frames=12)
    events = read_events(tmp_path / "events")
    count = Counter(event.state for event in events)
    assert count[State.NG] == tally.states[State.NG]
    assert count[State.UNKNOWN] == tally.states[State.UNKNOWN]
    assert count[State.OK] == tally.states[State.OK]
    assert {event.bundle for event in events} == {open_bundle(SHIPPED["strip"]).digest}


def test_a_check_opens_the_store_and_mends_nothing(tmp_path: Path) -> None:
    with EventStore(settings(tmp_path), utc_now) as store:
        store.record(inspection(0))
        with pytest.raises(StoreError, match="another program writes it"):
            check_store(settings(tmp_path))
    orphan = tmp_path / "images" / "000000000" / "000000009-frame.png"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"")
    [check] = check_store(settings(tmp_path))
    assert check.passed and check.detail.endswith("its latest event is 1")
    assert orphan.exists()
    (tmp_path / "events.sqlite").write_bytes(b"no database" * 100)
    for look in (check_store, doctor.check_store):
        with pytest.raises(StoreError, match="or no store: a line that starts with it sets"):
            look(settings(tmp_path))


def emptied(content: bytes) -> bytes:
    return b""


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def headless(content: bytes) -> bytes:
    return b"no header" * 500 + content[4500:]


def with_garbage(content: bytes) -> bytes:
    """In the pages at its end, which are of events."""
    return content[:-8192] + random.Random(0).randbytes(8192)


def with_wrong_values(content: bytes) -> bytes:
    """What only whoever looks at an event can tell."""
    assert b"UNKNOWN" in content
    return content.replace(b"UNKNOWN", b"GARBAGE")


def with_a_damaged_index(content: bytes) -> bytes:
    """Which the first event that is entered finds."""
    pages = [content[at : at + 4096] for at in range(0, len(content), 4096)]
    is_index = [page[0] in {2, 10} for page in pages]
    assert any(is_index)
    garbage = random.Random(0).randbytes(4096)
    return b"".join(garbage if bad else page for page, bad in zip(pages, is_index, strict=True))


@pytest.mark.parametrize(
    "damage", [emptied, cut, headless, with_garbage, with_wrong_values, with_a_damaged_index]
)
def test_a_damaged_store_is_set_aside_with_its_pictures_and_said_and_a_new_one_begun(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    with EventStore(settings(tmp_path), utc_now) as store:
        for index in range(40):
            store.record(inspection(index, State.UNKNOWN if index % 2 else State.NG))
    database, pictures = tmp_path / "events.sqlite", tmp_path / "images"
    damaged = damage(database.read_bytes())
    database.write_bytes(damaged)
    were = sorted(path.name for path in pictures.rglob("*.*"))
    with EventStore(settings(tmp_path), utc_now) as store:
        for index in range(2):
            store.record(inspection(index))
            assert store.flush(PATIENCE_S)
        assert "was damaged" in (store.trouble or "")
    [aside] = tmp_path.glob("events.damaged-*Z")
    # The first may have been entered, or have had its pictures, before the damage was found.
    *first, last = read_events(tmp_path)
    assert (last.id, last.frame, last.evidence) == (len(first) + 1, 1, KEPT)
    assert [event.evidence for event in first] in ([], [KEPT], [DAMAGED])
    assert sorted(path.name for path in (aside / "images").rglob("*.*"))[: len(were)] == were
    if damage is not with_a_damaged_index:
        assert (aside / "events.sqlite").read_bytes() == damaged
    check = doctor.check_store(settings(tmp_path))
    assert not check.passed and f"then remove {aside}" in check.detail
    shutil.rmtree(aside)
    with EventStore(settings(tmp_path), utc_now) as store:
        assert store.trouble is None


def remove_file(root: Path) -> None:
    (root / "events.sqlite").unlink()


def replace_file(root: Path) -> None:
    other = root.parent / "other"
    with EventStore(settings(other), utc_now) as store:
        store.record(inspection(77))
    (other / "events.sqlite").rename(root / "events.sqlite")


def remove_log(root: Path) -> None:
    (root / "events.sqlite-wal").unlink()


@pytest.mark.parametrize("attack", [remove_file, replace_file, remove_log, shutil.rmtree])
def test_a_store_that_is_removed_or_replaced_while_it_is_open_is_begun_anew(
    attack: Callable[[Path], None], tmp_path: Path
) -> None:
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        store.record(inspection(0))
        assert store.flush(PATIENCE_S)
        attack(root)
        for index in (1, 2):
            store.record(inspection(index))
            assert store.flush(PATIENCE_S)
        assert "was removed or replaced while the line ran" in (store.trouble or "")
    events = read_events(root)
    whole = [0] if attack is remove_log else []
    assert [event.frame for event in events] == [*whole, 1, 2]
    assert events[-1].evidence == KEPT
    assert picture(root, events[-1], "frame.png").shape == (SIZE, SIZE)
    if attack is replace_file:  # what lay there is not lost either
        [found] = root.glob("events.damaged-*")
        assert [event.frame for event in read_events(found)] == [77]


def test_a_disk_that_damages_a_new_store_too_is_not_filled_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr("edge.store.event_file.EventFile.append", refuse)
    with EventStore(settings(tmp_path), utc_now) as store:
        store.record(inspection(0))
        while "cannot be written: database disk image is malformed" not in (store.trouble or ""):
            time.sleep(0.01)
        assert not store.flush(0.1)
    assert len(list(tmp_path.glob("events.damaged-*"))) == 1


# --- the command line ----------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        for each in (inspection(0, State.OK, 0.1), inspection(1), inspection(2, State.NG, 0.55)):
            store.record(each)
        store.record(inspection(3, State.UNKNOWN))
    return root


def test_events_are_listed_and_shown(kept: Path, trackside_events: Callable[..., str]) -> None:
    listed = trackside_events("list", kept, "--why", "NG", "--why", "UNKNOWN").splitlines()
    assert len(listed) == 2
    assert listed[0].startswith("2 ") and listed[0].endswith("0.016 to 0.032 m NG: 32 mm2")
    assert listed[1].endswith("UNKNOWN: cable (no picture: no image)")
    shown = trackside_events("show", kept, 2)
    assert f"bundle       {DIGEST}" in shown
    assert f"pictures     {picture_path(kept, 2, 'overlay.jpg')}" in shown


def test_events_become_a_table(
    kept: Path, tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    trackside_events("export", kept, "--format", "csv", "-o", tmp_path / "events.csv")
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["OK", "NG", "NG", "UNKNOWN"]
    assert (rows[1]["start_mm"], rows[1]["defect_area_mm2"]) == ("16.0", "32.0")
    write_parquet(read_events(kept), kept, tmp_path / "events.parquet", naming_of(kept))
    table = parquet.read_table(tmp_path / "events.parquet").to_pylist()
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in table] == rows


def test_what_was_rejected_or_unsure_goes_out_to_be_labelled_with_its_exact_masks(
    kept: Path, tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    said = trackside_events("export", kept, "--format", "coco", "-o", tmp_path / "coco")
    assert said.startswith("2 images")
    coco = COCO(tmp_path / "coco" / "annotations" / "events.json")
    asked = inspection(1)
    assert asked.mask is not None
    assert [image["file_name"] for image in coco.loadImgs(coco.getImgIds())] == [
        "000000002.png",
        "000000003.png",
    ]
    [annotation] = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    assert (coco.annToMask(annotation) == asked.mask.binary).all()
    assert (annotation["bbox"], annotation["area"]) == ([4, 8, 32, 16], 512)

    write_annotated(read_events(kept, Wanted(why=("NG",))), kept, tmp_path / "cvat", write_cvat)
    tree = ElementTree.parse(tmp_path / "cvat" / "annotations.xml")
    [image] = tree.findall("image")
    assert (tmp_path / "cvat" / "images" / image.attrib["name"]).is_file()
    [mask] = image.findall("mask")
    assert (mask.attrib["left"], mask.attrib["top"], mask.attrib["rle"]) == ("4", "8", "0, 512")


def test_pictures_that_are_torn_gone_or_of_another_size_are_counted_and_hold_up_no_other(
    tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        for index in range(4):
            store.record(inspection(index))
    picture_path(root, 1, "frame.png").unlink()
    torn = picture_path(root, 2, "frame.png")
    torn.write_bytes(torn.read_bytes()[:200])
    write_image(picture_path(root, 3, "mask.png"), np.zeros((SIZE, SIZE + 1), np.uint8))
    said = trackside_events("export", root, "--format", "coco", "-o", tmp_path / "out")
    assert said == f"1 images in {tmp_path / 'out'}; 3 events have no whole picture\n"
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["000000004.png"]


def named_events(path: Path) -> Path:
    """A crush against a joint, which is one piece of the mask; and a frame with a joint alone."""
    [both, alone] = [inspection(index) for index in (0, 1)]
    [defect] = both.verdict.defects
    joint = replace(defect, class_name="gap", class_score=0.8, number=2)
    crush = replace(defect, box_px=(20, 8, 16, 16), class_name="crush", class_score=0.9, code="227")
    dent = replace(defect, class_name="dent", class_score=0.7, number=3)
    verdicts = [
        replace(both.verdict, defects=(crush,), reported=(joint,)),
        Verdict(State.OK, 1, alone.verdict.stretch, reported=(joint,), let_by=(dent,)),
    ]
    with EventStore(settings(path), utc_now) as store:
        for seen, verdict in zip((both, alone), verdicts, strict=True):
            store.record(replace(seen, verdict=verdict))
    return path


def test_what_was_found_is_kept_asked_for_and_labelled_by_its_class(
    tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    kept = named_events(tmp_path / "kept")
    assert [event.why for event in read_events(kept)] == [Why.NG, Why.REPORTED]
    for asked, ids in (
        ("gap", [1, 2]),
        ("crush", [1]),
        ("dent", [2]),
        ("227", [1]),
        ("unsure", []),
    ):
        assert [event.id for event in read_events(kept, Wanted(classes=(asked,)))] == ids
    listed = trackside_events("list", kept, "--class", "gap").splitlines()
    assert listed[1].endswith("OK: reported gap 0.80; let by dent 0.70")
    shown = trackside_events("show", kept, 2)
    assert "state        OK" in shown and "let_by       {" in shown
    trackside_events("export", kept, "--format", "coco", "-o", tmp_path / "coco")
    coco = COCO(tmp_path / "coco" / "annotations" / "events.json")
    categories = {each["id"]: each for each in coco.loadCats(coco.getCatIds())}
    found = {
        (categories[each["category_id"]]["name"], tuple(each["bbox"]), each["area"])
        for each in coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    }
    assert found == {("gap", (4, 8, 16, 16), 256), ("crush", (20, 8, 16, 16), 256)}
    assert {each["name"]: each.get("code") for each in categories.values()} == {
        "crush": "227",
        "defect": None,
        "gap": None,
    }
    trackside_events("export", kept, "--format", "cvat", "-o", tmp_path / "cvat")
    [both] = ElementTree.parse(tmp_path / "cvat" / "annotations.xml").findall("image")
    assert {
        (mask.attrib["label"], mask.attrib["left"], mask.findtext("attribute[@name='code']"))
        for mask in both.findall("mask")
    } == {("gap", "4", None), ("crush", "20", "227")}
    trackside_events("export", kept, "--format", "label-studio", "-o", tmp_path / "studio")
    labels = ElementTree.parse(tmp_path / "studio" / "config.xml").findall("BrushLabels/Label")
    assert {each.attrib["value"]: each.get("hint") for each in labels} == {
        "crush": "227",
        "defect": None,
        "gap": None,
    }
    said = trackside_events("export", kept, "--class", "dent", "--format", "coco", "-o", tmp_path)
    assert said.startswith("1 images"), "let by, and asked for by its class"
    trackside_events("call", kept, 1, "class", "--class", "crush", "--by", "Kim")
    trackside_events("export", kept, "--format", "cvat", "-o", tmp_path / "called")
    masks = ElementTree.parse(tmp_path / "called" / "annotations.xml").findall("image/mask")
    assert [mask.findtext("attribute[@name='code']") for mask in masks] == ["227", "227"]


def test_a_store_from_before_there_were_classes_is_left_alone(kept: Path) -> None:
    with closing(sqlite3.connect(kept / "events.sqlite")) as database:
        database.execute("ALTER TABLE events DROP COLUMN reported")
        database.execute("PRAGMA user_version = 0")
    before = (kept / "events.sqlite").read_bytes()
    with pytest.raises(StoreError, match=r"older Trackside.*move .* away"):
        EventStore(settings(kept), utc_now)
    with pytest.raises(StoreError, match="older Trackside"):
        read_events(kept)
    assert (kept / "events.sqlite").read_bytes() == before


def test_a_mask_is_told_by_its_runs() -> None:
    assert run_lengths(np.array([0, 0, 1, 0, 1, 1], bool)) == [2, 1, 1, 2]
    assert run_lengths(np.array([1, 0], bool)) == [0, 1, 1]


# --- processes that are killed, and disks that are full ------------------------------------------


def run_here(function: str, path: Path, *wrapper: str) -> subprocess.Popen[str]:
    """A function of `event_stores` in a process of its own."""
    command = (
        f"from pathlib import Path; from stands.event_stores import {function}; "
        f"{function}(Path({str(path)!r}))"
    )
    return subprocess.Popen(
        [*wrapper, sys.executable, "-c", command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": TESTS_PATH},
    )


def killed_after(forker: subprocess.Popen[str], messages: int, seconds: float) -> int:
    """How many events a process said were on disk before it was killed."""
    assert forker.stdin is not None and forker.stdout is not None
    print(file=forker.stdin, flush=True)
    victim = int(forker.stdout.readline())
    said = [0] + [int(forker.stdout.readline()) for _ in range(messages)]
    time.sleep(seconds)
    os.kill(victim, signal.SIGKILL)
    return [*said, *map(int, iter(forker.stdout.readline, "dead\n"))][-1]


def test_a_store_whose_program_is_killed_is_readable_and_its_pictures_are_whole(
    tmp_path: Path,
) -> None:
    path, chance = tmp_path / "store", random.Random(1)
    durable = []
    with run_here("fork_when_told", path) as forker:
        for number in range(KILLS):
            durable.append(killed_after(forker, number % 4, chance.random() * 0.05))
            if not durable[-1]:
                continue
            events = read_events(path)
            latest = [event for event in events if event.run == events[-1].run]
            assert latest[-1].frame + 1 >= durable[-1]
            for event in latest:
                assert event.evidence == KEPT
                assert all(picture(path, event, name).size for name in event.pictures)
    assert sum(durable) > 0
    with closing(sqlite3.connect(path / "events.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with EventStore(settings(path), utc_now):
        pass  # which removes what the last run left half done
    named = {
        picture_path(path, event.id, name) for event in read_events(path) for name in event.pictures
    }
    assert set((path / "images").rglob("*.*")) <= named


@pytest.mark.parametrize("left", [b"", b"half", None])
def test_pictures_that_a_power_cut_has_torn_are_removed_by_the_next_start_and_it_is_told(
    tmp_path: Path, left: bytes | None
) -> None:
    with EventStore(settings(tmp_path), utc_now) as store:
        for frame in range(3):
            store.record(inspection(frame, State.NG))
    whole, torn, _ = read_events(tmp_path)
    path = picture_path(tmp_path, torn.id, torn.pictures[-1])
    path.unlink() if left is None else path.write_bytes(left)
    with EventStore(settings(tmp_path), utc_now):
        pass
    after = {event.id: event for event in read_events(tmp_path)}
    assert after[whole.id] == whole
    assert (after[torn.id].evidence, after[torn.id].pictures) == (TORN, ())
    assert not any(picture_path(tmp_path, torn.id, name).exists() for name in torn.pictures)
    assert doctor.check_store(settings(tmp_path)).passed  # nobody is to do anything about it


def test_a_full_disk_costs_pictures_first_then_is_said_and_no_event_is_lost(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with run_here("record_on_a_small_disk", disk, *a_small_disk(disk)) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    dropped, trouble, refused, afterwards, lost, evidence = json.loads(said)
    assert 0 < dropped < 200
    assert DISK_FULL in trouble
    assert "make room" in refused
    assert (afterwards, lost) == (None, 0)
    assert len(evidence) == 401
    assert evidence[: 200 - dropped] == [KEPT] * (200 - dropped)
    assert set(evidence[200 - dropped : 400]) == {DISK_FULL}
    assert evidence[400] == KEPT


def test_a_line_starts_on_a_full_disk_and_its_events_are_entered_when_there_is_room(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with run_here("start_on_a_full_disk", disk, *a_small_disk(disk)) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    assert json.loads(said) == [[0, KEPT], [1, DISK_REFUSES], [2, KEPT]]


def test_a_line_starts_on_a_read_only_disk_and_its_events_are_entered_when_it_may_be_written(
    tmp_path: Path,
) -> None:
    disk = tmp_path / "disk"
    with run_here("start_on_a_read_only_disk", disk, *a_small_disk(disk)) as process:
        assert process.stdout is not None
        said = process.stdout.read()
    assert process.returncode == 0
    evidence, trouble, afterwards, (read, writing) = json.loads(said)
    assert evidence == [[0, KEPT], [1, DISK_REFUSES], [2, KEPT]]
    assert "Read-only file system: see `dmesg`" in trouble and afterwards is None
    assert read == [True, "each of the latest 1 events is whole"]
    assert writing[0] is False and f"{disk / 'store'}, " in writing[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another")
def test_whoever_may_not_write_a_store_may_read_it(kept: Path) -> None:
    for folder in (kept, *kept.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(0o755)
    # Not a fork of this process: another thread's locks would stay held in it.
    reading = "from pathlib import Path; import os, sys; from edge.store import read_events\n"
    reading += "os.setuid(65534); print(len(read_events(Path(sys.argv[1]))))"
    command = [sys.executable, "-c", reading, str(kept)]
    assert subprocess.run(command, capture_output=True, check=True, cwd=ROOT).stdout == b"4\n"
