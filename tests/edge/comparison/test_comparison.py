"""The same defect is found again in another run, and a scar on a roll is named by its marks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.run_to_run import defects, look
from edge.cli.app import app
from edge.comparison import RollWatch, Spot, align, compare, read_pass, roll_marks
from edge.errors import TracksideError, UsageError
from edge.inspect import Inspection
from edge.line_file import JOURNAL
from edge.places.journal import Journal
from edge.places.journal import Run as PlacesRun
from edge.places.mark import Kind, Mark, chainage_of
from edge.store import EventStore, read_runs
from edge.types import Defect, Frame, State, Stretch, Verdict
from stands.event_stores import DIGEST, settings, utc_now

ROLL_UM = 1_570_796  # round a roll of 500 mm


@pytest.mark.parametrize("seed", [0, 1])
def test_defects_are_matched_between_runs_whatever_wheel_and_slip_did(seed: int) -> None:
    rng, true = np.random.default_rng(seed), defects(seed, 0.2)
    one, two = look(true, rng, 0, 0), look(true, rng, 0.003, 6)
    pairs = align(one.seen, two.seen)
    both = {number for number in one.truth if number is not None} & {*two.truth}
    right = sum(one.truth[i] is not None and one.truth[i] == two.truth[j] for i, j in pairs)
    assert right >= 0.98 * len(both) > 200


def test_nothing_is_matched_where_nothing_is_alike() -> None:
    rng = np.random.default_rng(0)
    one, two = look(defects(0, 0.05), rng, 0, 0), look(defects(9, 0.05), rng, 0, 0)
    pairs = align(one.seen, two.seen)
    assert len(pairs) < 0.3 * len(one.seen)
    assert align(one.seen, []) == align([], two.seen) == []


def marks(first_um: int, turns: int, without: int | None = None) -> list[Spot]:
    return [
        Spot(first_um + turn * ROLL_UM, 40_000, 20.0 + turn % 2)
        for turn in range(turns)
        if turn != without
    ]


@pytest.mark.parametrize("without", [None, 1, 3])
def test_a_scarred_roll_is_named_within_five_turns_though_a_mark_was_missed(
    without: int | None,
) -> None:
    watch = RollWatch()
    named = [watch.see(spot) for spot in marks(2_000_000, 12, without)]
    (mark,) = [each for each in named if each is not None]
    assert (mark.last_um - 2_000_000) / ROLL_UM <= 5
    assert mark.diameter_mm == pytest.approx(500, abs=0.5)
    assert "look at rolls of 500.0 mm" in str(mark)
    assert watch.known[0].last_um == 2_000_000 + 11 * ROLL_UM  # one roll, as far as it goes


def test_marks_at_other_places_across_or_of_other_sizes_are_of_no_roll() -> None:
    wandering = [replace(s, across_um=5_000 * n) for n, s in enumerate(marks(0, 12))]
    growing = [replace(s, area_mm2=3.0**n) for n, s in enumerate(marks(0, 12))]
    assert roll_marks(wandering) == roll_marks(growing) == []


def kept_run(root: Path, found: dict[int, float]) -> None:
    """Frames of 16 mm, some with a defect of so many square millimetres."""
    with EventStore(settings(root, ok_every=1), utc_now) as store:
        for index in range(60):
            stretch = Stretch(index * 16_000, (index + 1) * 16_000)
            frame = Frame(index, np.full((64, 64), 90 + index, np.uint8), 1_000, stretch, 250)
            area_mm2 = found.get(index)
            defect = Defect(
                Stretch(stretch.start_um + 3_000, stretch.start_um + 9_000),
                1_000 * (index % 9),
                1_000 * (index % 9) + 4_000,
                area_mm2 or 0.0,
                0.9,
                (4, 12, 16, 24),
                number=index + 1,
            )
            some = () if area_mm2 is None else (defect,)
            verdict = Verdict(State.NG if some else State.OK, index, stretch, some)
            store.record(Inspection(frame, verdict, None, {}, 9_000, DIGEST, "top"))


def compared(*asked: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", "compare", *asked],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_two_runs_of_a_store_are_compared_with_what_is_new_gone_and_grown(tmp_path: Path) -> None:
    before = {index: 10.0 + index for index in range(2, 60, 4)}
    after = {index: area for index, area in before.items() if index != 30} | {33: 12.0}
    after[22] *= 2
    kept_run(tmp_path, before)
    kept_run(tmp_path, after)
    first, second = read_runs(tmp_path)
    found = compare(read_pass(tmp_path, first), read_pass(tmp_path, second))
    assert [thing.defect.number for thing in found.new] == [34]
    assert [thing.defect.number for thing in found.gone] == [31]
    assert [pair.before.defect.number for pair in found.grown()] == [23]
    assert (len(found.pairs), found.elsewhere) == (len(before) - 1, 0)
    page = tmp_path / "out.html"
    asked = [f"{tmp_path}:{first.run}", str(second.run), "--html", str(page), "--json"]
    journal = Journal(tmp_path / JOURNAL)
    journal.begin(PlacesRun(second.began, second.began, "steel", "track", falls=False))
    journal.add(second.began, [Mark(Kind.ANCHOR, 0, chainage_of(12), source="test")])
    journal.close()
    told = json.loads(compared(*asked))
    assert [told[name] for name in ("both", "new", "gone", "grown")] == [14, 1, 1, 1]
    new = next(thing for thing in told["things"] if thing["kind"] == "new")
    assert (new["place_1"], new["place_2"]) == ("", "km 12.000531"), "of the run that has a post"
    assert "new    defect at 0.531 m (km 12.000531), " in compared(*asked[:2])
    assert page.read_text().count("data:image/jpeg;base64,") == 4  # new, gone, and grown twice


def kept_border(root: Path, first: str, second: str, found: list[int]) -> None:
    """Blocks of 40 mm under two cameras of one surface; what they find lies on their border, and
    both have seen some of it: the second one last.
    """
    with EventStore(settings(root, ok_every=1), utc_now) as store:
        for index in range(20):
            stretch = Stretch(index * 40_000, (index + 1) * 40_000)
            for camera in (first, second):
                frame = Frame(index, np.full((64, 64), 90, np.uint8), 1_000, stretch, 250)
                defect = Defect(
                    Stretch(stretch.start_um + 900 * index, stretch.start_um + 900 * index + 4_000),
                    *(48_000, 54_000 + 100 * index),
                    *(20.0, 0.9, (4, 12, 16, 24)),
                    number=index + 1,
                    of_surface=True,
                )
                some = (defect,) if index in found else ()
                verdict = Verdict(State.NG if some else State.OK, index, stretch, some)
                store.record(Inspection(frame, verdict, None, {}, 9_000, DIGEST, camera))


def test_a_defect_on_the_border_of_two_cameras_is_the_same_whichever_of_them_saw_it_last(
    tmp_path: Path,
) -> None:
    kept_border(tmp_path, "left", "right", [*range(1, 20, 2)])
    kept_border(tmp_path, "right", "left", [*range(3, 20, 2), 18])
    one, two = (read_pass(tmp_path, run) for run in read_runs(tmp_path))
    assert {thing.camera for thing in one.things} == {"right"} != {t.camera for t in two.things}
    found = compare(one, two)
    assert [thing.defect.number for thing in found.new] == [19]
    assert [thing.defect.number for thing in found.gone] == [2]
    assert (len(found.pairs), found.elsewhere) == (9, 0)


def test_runs_that_have_nothing_in_common_are_said_to_have_nothing(tmp_path: Path) -> None:
    kept_run(tmp_path, {5: 4.0})
    kept_run(tmp_path, {40: 400.0})
    one, two = (read_pass(tmp_path, run) for run in read_runs(tmp_path))
    with pytest.raises(TracksideError, match="nothing of the one run is found again"):
        compare(one, two)


@pytest.mark.parametrize("asked", [["store:\u00b2", "1"], ["store:-1", "1"]])
def test_what_is_no_runs_number_is_told(asked: list[str]) -> None:
    with pytest.raises(UsageError, match="is no run's number"):
        app(["compare", *asked], standalone_mode=False)


@pytest.mark.parametrize("where", [".", "no/such/folder/page.html", "-"])
@pytest.mark.parametrize("option", ["--html", "--csv"])
def test_a_page_that_cannot_be_written_is_refused_before_the_work(option: str, where: str) -> None:
    with pytest.raises(UsageError, match="name a file"):
        app(["compare", "no-store:1", "2", option, where], standalone_mode=False)
