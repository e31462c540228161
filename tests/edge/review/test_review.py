"""What people say of events: all of it kept, the last word counts, masks exchanged to the pixel."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge.cli.app import app
from edge.errors import StoreError, UsageError
from edge.review import (
    Call,
    Catalogue,
    Mark,
    Review,
    Sought,
    add_reviews,
    latest_reviews,
    reviews_of,
)
from edge.review.coming_back import _uncompressed, take_in
from edge.review.estimate import interval
from edge.review.label_studio import decode, encode
from edge.review.marks import check_marks, drawn, from_runs, mark_of, mask_of, runs_of
from edge.store import EventStore, picture_path, read_event, read_events
from edge.store.pictures import MASK
from edge.types import State
from stands.event_stores import SIZE, inspection, settings, utc_now

KINDS = ("coco", "cvat", "label-studio")
WRITTEN = {"coco": "", "cvat": "annotations.xml", "label-studio": "tasks.json"}

masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 40)))


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """OK, NG, NG and unsure."""
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        for each in (inspection(0, State.OK, 0.2), inspection(1), inspection(2, State.NG, 0.55)):
            store.record(each)
    return root


def said(root: Path, number: int, call: Call, **more: Any) -> Review:
    event = read_event(root, number)
    review = Review(number, event.utc, "2030-01-01T00:00:00Z", "Kim", "page", call, **more)
    add_reviews(root, [review])
    return review


# --- what is kept --------------------------------------------------------------------------------


def test_all_that_was_ever_said_is_kept_and_the_last_word_counts(kept: Path) -> None:
    assert latest_reviews(kept) == {}
    first = said(kept, 2, Call.SOUND)
    second = said(kept, 2, Call.CLASS, class_name="crack")
    other = said(kept, 3, Call.MISSED, marks=(Mark("dent", (1, 2, 3, 2), (1, 4, 1)),))
    utc = first.event_utc
    assert latest_reviews(kept) == {(2, utc): second, (3, other.event_utc): other}
    taken_back = said(kept, 2, Call.WITHDRAWN)
    assert latest_reviews(kept) == {(3, other.event_utc): other}
    assert reviews_of(kept, 2, utc) == [first, second, taken_back]
    assert [r.has_defect for r in (first, second, other, taken_back)] == [False, True, True, None]


def test_what_was_said_of_another_store_is_not_taken_for_this_ones(kept: Path) -> None:
    """A store that was damaged is begun anew, and its events are counted from 1 again."""
    old = said(kept, 2, Call.SOUND)
    (kept / "events.sqlite").write_bytes(b"garbage " * 1000)
    with EventStore(settings(kept), utc_now) as store:
        for index in range(2):
            store.record(inspection(index))
    event = read_event(kept, 2)
    assert (event.id, event.utc) not in latest_reviews(kept)
    assert reviews_of(kept, 2, old.event_utc) == [old]


def test_nothing_is_said_where_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no event store"):
        add_reviews(tmp_path, [])


# --- masks ---------------------------------------------------------------------------------------


@given(masks)
def test_a_mask_is_the_same_after_any_way_out_and_back(mask: Any) -> None:
    height, width = mask.shape
    assert np.array_equal(from_runs(runs_of(mask.ravel())), mask.ravel())
    assert np.array_equal(decode(encode(mask), height, width), mask)
    mark = mark_of("x", mask)
    assert (mark is None) == (not mask.any())
    if mark is not None:
        check_marks([mark], height, width)
        assert np.array_equal(mask_of(mark, height, width), mask)


@given(masks)
def test_cocos_short_form_is_read_as_its_own_tools_write_it(mask: Any) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pip install 'trackside[evaluate]'")
    short = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(from_runs(_uncompressed(short)), mask.ravel(order="F"))


@given(masks)
def test_label_studio_reads_our_masks_and_we_read_its_own(mask: Any) -> None:
    brush = pytest.importorskip(
        "label_studio_sdk.converter.brush", reason="pip install label-studio-sdk"
    )
    values = np.repeat(mask.ravel(), 4).astype(np.uint8) * 255
    assert np.array_equal(brush.decode_rle(encode(mask)), values)
    assert np.array_equal(decode(brush.encode_rle(values), *mask.shape), mask)


@pytest.mark.parametrize(
    ("rle", "what"),
    [([], "ends in the middle"), (encode(np.ones((4, 5), np.bool_)), "another size")],
)
def test_a_mask_that_is_torn_or_of_another_size_says_so(rle: list[int], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        decode(rle, 4, 4)


@pytest.mark.parametrize(
    "mark", [Mark("x", (60, 0, 8, 1)), Mark("x", (0, 0, 0, 3)), Mark("x", (0, 0, 2, 2), (1, 2))]
)
def test_a_mark_outside_its_picture_is_refused(mark: Mark) -> None:
    with pytest.raises(UsageError, match="picture"):
        check_marks([mark], SIZE, SIZE)


# --- out and back --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_as_it_went_out_is_the_mask_to_the_pixel(
    kept: Path, tmp_path: Path, trackside_events: Callable[..., str], kind: str
) -> None:
    out = tmp_path / "out"
    assert trackside_events("export", kept, "--format", kind, "-o", out).startswith("2 images")
    if kind == "label-studio":
        _accept_predictions(out / "tasks.json")
    taken = trackside_events("import", kept, out / WRITTEN[kind], "--format", kind, "--by", "Kim")
    assert taken == "2 events are marked\n"
    for number in (2, 3):
        event = read_event(kept, number)
        review = latest_reviews(kept)[number, event.utc]
        assert (review.call, review.by, review.source) == (Call.MARKED, "Kim", kind)
        mask = cv2.imread(str(picture_path(kept, number, MASK)), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(drawn(review.marks, SIZE, SIZE), mask)
    # What is marked now goes out in its place, and comes back as the same once more.
    trackside_events("export", kept, "--format", kind, "-o", tmp_path / "again", "--call", "marked")
    if kind == "label-studio":
        _accept_predictions(tmp_path / "again" / "tasks.json")
    before = latest_reviews(kept)
    trackside_events("import", kept, tmp_path / "again" / WRITTEN[kind], "--format", kind)
    assert {k: r.marks for k, r in latest_reviews(kept).items()} == {
        k: r.marks for k, r in before.items()
    }


def _accept_predictions(path: Path) -> None:
    """As somebody does in Label Studio who finds them right, and exports."""
    tasks = json.loads(path.read_text())
    for task in tasks:
        task["annotations"] = [{"result": each["result"]} for each in task.pop("predictions")]
    path.write_text(json.dumps(tasks))


def test_what_cannot_be_taken_is_named_and_counted_and_all_else_is_entered(
    kept: Path,
    tmp_path: Path,
    trackside_events: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    trackside_events("export", kept, "--format", "coco", "-o", tmp_path / "out")
    file = tmp_path / "out" / "annotations" / "events.json"
    content = json.loads(file.read_text())
    stranger = content["images"][0] | {"id": 99, "file_name": "000000099.png"}
    of_before = content["images"][0] | {"id": 98, "date_captured": "2001-01-01T00:00:00.000+00:00"}
    content["images"] += [stranger, of_before]
    content["annotations"][1]["segmentation"]["size"] = [SIZE, SIZE + 1]
    file.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as ended:
        trackside_events("import", kept, file, "--format", "coco")
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.out == "1 events are marked; 3 could not be taken\n"
    faults = said.err.splitlines()
    assert "000000003.png: a mask of [64, 65] in a picture of [64, 64]" in faults[0]
    assert "000000099.png" in faults[1] and "has no event 99" in faults[1]
    assert "was exported from another store" in faults[2]
    assert [number for number, _ in latest_reviews(kept)] == [2]


@pytest.mark.parametrize(
    "case",
    [
        ("\u00b2.png", 64, [1, 2, 3, 4], "its name is no event's number"),
        (f"{'9' * 30}.png", 64, [1, 2, 3, 4], "its name is no event's number"),
        ("1.png", 64, [1, 2, float("inf"), 4], "cannot convert float infinity"),
        ("1.png", 1_000_000_000, None, "is none that a store has"),
    ],
)
def test_numbers_that_no_picture_has_are_named_as_faults(
    case: tuple[str, int, list[float] | None, str], kept: Path, tmp_path: Path
) -> None:
    name, width, box, what = case
    mark = {"image_id": 1, "category_id": 1, "bbox": box, "segmentation": [[0, 0, 5, 0, 5, 5]]}
    if box is not None:
        del mark["segmentation"]
    image = {"id": 1, "file_name": name, "height": 64, "width": width}
    content = {"categories": [{"id": 1, "name": "crack"}], "images": [image], "annotations": [mark]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    taken = take_in(kept, tmp_path / "coco.json", "coco", by="me", at="")
    assert taken.events == 0
    assert what in taken.faults[0]


def test_an_event_beyond_all_numbers_is_not_there(kept: Path) -> None:
    with pytest.raises(StoreError, match="has no event 9999"):
        read_event(kept, int("9" * 30))


def test_what_is_no_such_file_is_refused(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text('{"images": [')
    for kind in KINDS:
        with pytest.raises(UsageError, match=f"is no {kind} file"):
            app(
                ["events", "import", str(kept), str(tmp_path / "torn.json"), "--format", kind],
                standalone_mode=False,
            )


# --- the command ---------------------------------------------------------------------------------


def test_an_event_is_called_listed_and_exported_by_what_is_said_of_it(
    kept: Path, tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    assert trackside_events("call", kept, 2, "sound", "--by", "Kim") == "event 2: sound, says Kim\n"
    trackside_events("call", kept, 3, "class", "--class", "crack", "--by", "Kim")
    assert trackside_events("list", kept, "--call", "sound").endswith(
        "NG: 32 mm2 [sound, says Kim]\n"
    )
    assert [line[:1] for line in trackside_events("list", kept, "--call", "none").splitlines()] == [
        "1"
    ]
    assert "sound, says Kim" in trackside_events("show", kept, 2)
    said = trackside_events("export", kept, "--format", "coco", "-o", tmp_path / "out")
    assert said.startswith("2 images")
    content = json.loads((tmp_path / "out" / "annotations" / "events.json").read_text())
    names = {each["id"]: each["name"] for each in content["categories"]}
    marked = [(a["image_id"], names[a["category_id"]]) for a in content["annotations"]]
    assert marked == [(3, "crack")]  # of a false reject nothing is marked
    with pytest.raises(UsageError, match="--call good: choose from defect, sound"):
        trackside_events("list", kept, "--call", "good")


def test_events_are_listed_by_how_much_they_are_worth_a_look(
    tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        for index, (score, unfamiliar) in enumerate(((0.9, 0.5), (0.7, 3.0), (0.8, None))):
            store.record(replace(inspection(index, score=score), unfamiliar=unfamiliar))

    def listed(*options: object) -> list[int]:
        return [
            int(text.split()[0]) for text in trackside_events("list", root, *options).splitlines()
        ]

    assert listed() == [1, 2, 3]
    assert listed("--order", "unsure") == [2, 3, 1]
    assert listed("--order", "unsure", "--last", 1) == [2]
    assert listed("--order", "unfamiliar") == [2, 1, 3]
    assert listed("--order", "disagreement") == [3, 2, 1]  # nobody has looked: the latest first
    assert listed("--unfamiliar", 0.5) == [1, 2]
    assert "(unfamiliar 3.0)" in trackside_events("list", root, "--unfamiliar", 2)
    catalogue = Catalogue(root)
    catalogue.refresh()
    assert catalogue.find(Sought(order="unfamiliar"), None, 10)[0] == [2, 1, 3]


# --- how much is missed --------------------------------------------------------------------------


def test_the_interval_of_the_miss_rate_is_the_exact_one() -> None:
    """By scipy, Clopper and Pearson."""
    stats = pytest.importorskip("scipy.stats", reason="pip install 'trackside[evaluate]'")
    for missed, count in ((0, 1), (0, 50), (3, 50), (50, 50), (7, 2000)):
        exact = stats.binomtest(missed, count).proportion_ci(0.95, method="exact")
        assert interval(missed, count) == pytest.approx((exact.low, exact.high), abs=1e-9)
    assert interval(0, 0) == (0, 1)


def test_the_miss_rate_is_of_reviewed_samples_alone(
    tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    root = tmp_path / "store"
    with EventStore(settings(root, ok_every=1), utc_now) as store:
        for index in range(4):
            store.record(inspection(index, State.OK, 0.1))
        store.record(inspection(4))
    assert "nothing is known of what is missed" in trackside_events("miss-rate", root)
    for number in (1, 2):
        trackside_events("call", root, number, "sound")
    said(root, 3, Call.MISSED, marks=(Mark("dent", (1, 2, 3, 2)),))
    trackside_events("call", root, 5, "sound")  # it was rejected: of what is let by it says nothing
    found = json.loads(trackside_events("miss-rate", root, "--json"))
    assert (found["sampled"], found["reviewed"], found["missed"]) == (4, 3, 1)
    assert found["share"] == pytest.approx(1 / 3)
    assert 0 < found["low"] < 1 / 3 < found["high"] < 1


# --- looking through them ------------------------------------------------------------------------


def test_events_are_found_by_what_they_are_and_those_that_come_later_too(kept: Path) -> None:
    catalogue = Catalogue(kept)
    catalogue.refresh()
    assert catalogue.find(Sought(), None, 10) == ([3, 2, 1], 3)
    assert catalogue.find(Sought(), 3, 1) == ([2], 2)
    assert catalogue.find(Sought(order="unsure"), None, 10)[0] == [3, 1, 2]
    assert catalogue.find(Sought(order="unsure"), 3, 10)[0] == [1, 2]
    assert catalogue.find(Sought(states=("NG",)), None, 10)[0] == [3, 2]
    assert catalogue.find(Sought(whys=("sample",)), None, 10)[0] == [1]
    assert catalogue.find(Sought(label="defect", most_score=0.6), None, 10)[0] == [3]
    assert catalogue.find(Sought(label="crack"), None, 10)[0] == []
    assert catalogue.find(Sought(camera="nobody"), None, 10)[0] == []
    first = read_events(kept)[0].utc
    assert catalogue.find(Sought(since_utc=first), None, 10)[1] == 3
    assert catalogue.find(Sought(until_utc=first), None, 10)[1] == 0
    catalogue.note(said(kept, 2, Call.SOUND), withdrawn=False)
    assert catalogue.find(Sought(), None, 10)[0] == [3, 1]
    assert catalogue.find(Sought(reviewed=True), None, 10)[0] == [2]
    with EventStore(settings(kept), utc_now) as store:
        store.record(inspection(7))
    catalogue.refresh()
    assert catalogue.find(Sought(), None, 10)[0] == [4, 3, 1]
    assert catalogue.find(Sought(reviewed=None), None, 10)[0] == [4, 3, 2, 1]
