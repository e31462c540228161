"""The Review view in a browser: one key for what an event is, marks, undo, filters, and a phone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="pip install 'trackside[web]'")
pytest.importorskip("uvicorn", reason="pip install 'trackside[web]'")
pytest.importorskip("playwright", reason="pip install 'trackside[dev]'")
from playwright.sync_api import Browser, Page, expect

from edge.line_file import WebSettings
from edge.review import Call, SecondLook, add_second_looks, latest_reviews, reviews_of
from edge.review.marks import mask_of
from edge.serving.process import serving
from edge.store import EventStore, read_event, read_events
from edge.types import State
from edge.web.feed import Feed
from edge.web.live import served_page
from stands.browser import needs_browser, watched_page
from stands.event_stores import SIZE, inspection, settings, utc_now
from stands.waiting import PATIENCE_S, eventually
from stands.watched_line import a_page_state, a_watched_line

EVENTS = 6  # of each camera
CAMERAS = ("keys", "marks", "filters", "phone", "words")


@dataclass(frozen=True)
class Reviewed:
    """A store of which each test has the events of a camera of its own, and the page over it."""

    root: Path
    address: str

    def calls(self, camera: str) -> dict[int, str]:
        """What is said of them, each counted from the camera's first."""
        first = self.first(camera)
        said = {number: each.said for (number, _), each in latest_reviews(self.root).items()}
        return {n - first + 1: text for n, text in said.items() if 0 <= n - first < EVENTS}

    def first(self, camera: str) -> int:
        return 1 + EVENTS * CAMERAS.index(camera)

    def event(self, camera: str, number: int) -> str:
        """As the page calls it."""
        return f"Event {self.first(camera) + number - 1}"


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewed]:
    """Of each camera the first event is a sample that is OK, the next is unsure, the rest NG; the
    fourth is unfamiliar, and over the third its network contradicts itself.
    """
    root = tmp_path_factory.mktemp("store")
    with EventStore(settings(root), utc_now) as store:
        for camera in CAMERAS:
            store.record(replace(inspection(0, State.OK, 0.1), camera=camera))
            for index in range(1, EVENTS):
                seen = inspection(index, State.NG, 0.55 if index == 1 else 0.9)
                unfamiliar = 3.0 if index == 3 else 0.4
                store.record(replace(seen, camera=camera, unfamiliar=unfamiliar))
    thirds = [event for event in read_events(root) if event.frame == 2]
    add_second_looks(root, [SecondLook(e.id, e.utc, e.bundle, 0.9, None, None) for e in thirds])
    with reviewing(root) as address:
        # The view is loaded when it is first asked for, by a process that gives way to all others.
        assert asked(address, "GET", "/review/events?count=1", patience_s=10 * PATIENCE_S)[0] == 200
        yield Reviewed(root, address)


@contextmanager
def reviewing(root: Path | None, **web: Any) -> Iterator[str]:
    """The address of a page over this store."""
    line = a_watched_line([None], [])
    page = served_page(
        WebSettings.model_validate({"port": 0, **web}),
        line,
        a_page_state(Feed(), line),
        root,
        ["crack", "dent"],
    )
    with serving(page) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched_page(browser, height_px=900, has_touch=True) as page:
        yield page


def opened(page: Page, address: str, camera: str) -> None:
    page.goto(f"{address}/review?camera={camera}")
    expect(page.locator("#status")).to_have_text("ready")
    page.locator("#by").fill("Kim")
    page.locator("#by").blur()


@needs_browser
def test_one_key_says_what_an_event_is_and_another_takes_it_back(
    reviewed: Reviewed, page: Page
) -> None:
    title, left = page.locator("#event-title"), page.locator("#left")
    calls, event = partial(reviewed.calls, "keys"), partial(reviewed.event, "keys")
    number = reviewed.first("keys") + EVENTS - 1
    opened(page, reviewed.address, "keys")
    expect(title).to_have_text(event(6))
    expect(left).to_have_text("6 events from here on")
    picture = page.locator("#shown")
    assert picture.evaluate("p => p.decode().then(() => p.naturalWidth)") == SIZE
    expect(picture).to_have_attribute("src", f"/review/events/{number}/overlay.jpg")
    page.keyboard.press("o")
    expect(picture).to_have_attribute("src", f"/review/events/{number}/frame.png")
    page.keyboard.press("1")
    expect(title).to_have_text(event(5))
    page.keyboard.press("2")
    expect(title).to_have_text(event(4))
    page.keyboard.press("3")
    page.keyboard.press("1")  # the first class of all that are known
    expect(title).to_have_text(event(3))
    eventually(lambda: len(calls()) == 3)
    assert calls() == {6: "defect, says Kim", 5: "sound, says Kim", 4: "class crack, says Kim"}
    page.keyboard.press("u")
    expect(title).to_have_text(event(4))
    expect(page.locator("#said")).to_be_empty()
    page.keyboard.press("u")
    expect(title).to_have_text(event(5))
    eventually(lambda: list(calls()) == [6])
    page.keyboard.press("1")
    eventually(lambda: calls().get(5) == "defect, says Kim")
    utc = read_event(reviewed.root, number - 1).utc
    all_of_it = [each.call for each in reviews_of(reviewed.root, number - 1, utc)]
    assert all_of_it == [Call.SOUND, Call.WITHDRAWN, Call.DEFECT]
    # Of a frame that was let by the same word is another: nothing was missed in it.
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(title).to_have_text(event(1))
    expect(page.locator("#sound-name")).to_have_text("Sound")
    page.keyboard.press("2")
    expect(title).to_have_text("No event is left")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#said")).to_have_text("nothing in it is defective, says Kim")


@needs_browser
def test_what_was_missed_is_marked_by_a_box_and_by_a_brush(reviewed: Reviewed, page: Page) -> None:
    opened(page, reviewed.address, "marks")
    page.keyboard.press("4")
    expect(page.locator("#marking")).to_be_visible()
    page.locator("#mark-label").select_option("dent")
    page.locator("#marks").scroll_into_view_if_needed()
    around = page.locator("#marks").bounding_box()
    assert around is not None
    scale = min(around["width"], around["height"]) / SIZE
    left = around["x"] + (around["width"] - SIZE * scale) / 2
    top = around["y"] + (around["height"] - SIZE * scale) / 2

    def drag(*points: tuple[float, float]) -> None:
        places = [(left + x * scale, top + y * scale) for x, y in points]
        page.mouse.move(*places[0])
        page.mouse.down()
        for place in places[1:]:
            page.mouse.move(*place, steps=8)
        page.mouse.up()

    drag((10.5, 20.5), (29.5, 39.5))
    page.keyboard.press("b")
    drag((45, 10), (55, 10))
    page.keyboard.press("Enter")
    expect(page.locator("#event-title")).to_have_text(reviewed.event("marks", 5))
    eventually(lambda: 6 in reviewed.calls("marks"))
    number = reviewed.first("marks") + EVENTS - 1
    review = latest_reviews(reviewed.root)[number, read_event(reviewed.root, number).utc]
    assert review.call is Call.MISSED
    box, painted = review.marks
    assert (box.label, box.box_px, box.runs) == ("dent", (10, 20, 20, 20), None)
    mask = mask_of(painted, SIZE, SIZE)
    assert mask[10, 44:56].all()
    assert not mask[20:].any()
    page.keyboard.press("ArrowLeft")  # it is shown again
    expect(page.locator("#said")).to_have_text("something was missed (2 marked), says Kim")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("4")
    page.keyboard.press("Enter")
    expect(page.locator("#marking-help")).to_contain_text("Nothing is marked yet")
    page.keyboard.press("Escape")
    expect(page.locator("#marking")).to_be_hidden()


@needs_browser
def test_events_are_filtered_and_what_is_reviewed_is_out_of_the_way(
    reviewed: Reviewed, page: Page
) -> None:
    title, event = page.locator("#event-title"), partial(reviewed.event, "filters")
    opened(page, reviewed.address, "filters")
    page.locator("[name=order]").select_option("unfamiliar")
    expect(title).to_have_text(event(4))
    expect(page.locator("#facts")).to_contain_text(", unfamiliar 3.0")
    page.locator("[name=order]").select_option("disagreement")
    expect(title).to_have_text(event(3))
    page.locator("[name=state]").select_option("OK")
    expect(title).to_have_text(event(1))
    page.locator("[name=state]").select_option("")
    page.locator("[name=order]").select_option("unsure")
    expect(title).to_have_text(event(2))
    page.locator("#event").focus()
    page.keyboard.press("1")
    eventually(lambda: 2 in reviewed.calls("filters"))
    page.locator("[name=order]").select_option("newest")
    page.locator("[name=most]").fill("0.6")
    page.locator("[name=most]").blur()
    expect(title).to_have_text("No event is left")
    page.locator("[name=reviewed]").select_option("true")
    expect(title).to_have_text(event(2))
    expect(page.locator("#said")).to_have_text("true defect, says Kim")
    page.locator("[name=label]").select_option("dent")
    expect(title).to_have_text("No event is left")


@needs_browser
def test_a_thumb_reviews_on_a_phone_and_every_control_has_a_name(
    reviewed: Reviewed, page: Page
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page, reviewed.address, "phone")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    button = page.locator("[data-call=sound]")
    box = button.bounding_box()
    assert box is not None and box["height"] >= 44 and box["width"] >= 44
    button.tap()
    expect(page.locator("#event-title")).to_have_text(reviewed.event("phone", 5))
    eventually(lambda: reviewed.calls("phone") == {6: "sound, says Kim"})
    outline = page.locator("body").aria_snapshot()
    for part in ('button "1 True defect"', 'combobox "Class"', 'textbox "Your name"'):
        assert part in outline


@needs_browser
def test_what_is_not_entered_is_said_and_not_taken_for_entered(
    reviewed: Reviewed, browser: Browser
) -> None:
    page = browser.new_page()
    opened(page, reviewed.address, "words")
    away = reviewed.root / "away.sqlite"
    (reviewed.root / "events.sqlite").rename(away)
    try:
        page.keyboard.press("2")
        expect(page.locator("#status")).to_contain_text("was not entered: ")
        expect(page.locator("#status")).to_contain_text("holds no event store")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#event-title")).to_have_text(reviewed.event("words", 6))
        expect(page.locator("#said")).to_be_empty()
    finally:
        away.rename(reviewed.root / "events.sqlite")
    assert reviewed.calls("words") == {}
    page.close()


# --- what is asked for, without a browser --------------------------------------------------------


def asked(
    address: str,
    method: str,
    path: str,
    body: str = "",
    patience_s: float = PATIENCE_S,
    **headers: str,
) -> tuple[int, Any]:
    connection = HTTPConnection(address.removeprefix("http://"), timeout=patience_s)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, json.loads(content) if content[:1] == b"{" else content


WORDS = [
    ({"call": "splendid", "by": "Kim"}, 400, "call"),
    ({"call": "sound"}, 400, "by"),
    (
        {"call": "missed", "by": "Kim", "marks": [{"label": "x", "box_px": [60, 0, 9, 9]}]},
        400,
        "does not lie in a picture of 64 x 64",
    ),
    ({"call": "sound", "by": "Kim", "marks": []}, 200, "sound"),
]


def test_a_word_that_makes_no_sense_is_refused(reviewed: Reviewed) -> None:
    address, number = reviewed.address, reviewed.first("words")
    for word, status, what in WORDS:
        body = json.dumps(word)
        got, said = asked(address, "POST", f"/review/events/{number}", body, Origin=address)
        assert (got, what in str(said)) == (status, True)
    unknown, said = asked(
        address, "POST", "/review/events/7777", '{"call":"sound","by":"x"}', Origin=address
    )
    assert (unknown, "has no event 7777" in said["message"]) == (503, True)
    assert asked(address, "GET", f"/review/events/{number}/..%2fevents.sqlite")[0] == 404
    assert asked(address, "GET", "/review/events?order=best")[0] == 400


def test_nobody_reviews_without_the_token_from_elsewhere_or_without_a_store(
    tmp_path: Path,
) -> None:
    with EventStore(settings(tmp_path), utc_now) as store:
        store.record(inspection(1))
    with reviewing(tmp_path, token="3f1c9a7e5b2d8046") as address:
        for path in ("/review/events", "/review/events/1/frame.png"):
            assert asked(address, "GET", path)[0] == 401
        assert asked(address, "GET", "/review")[0] == 303
        word = '{"call":"sound","by":"Kim"}'
        assert asked(address, "POST", "/review/events/1", word, Origin=address)[0] == 401
        bearer = {"Authorization": "Bearer 3f1c9a7e5b2d8046"}
        assert asked(address, "POST", "/review/events/1", word, **bearer)[0] == 403
    assert latest_reviews(tmp_path) == {}
    with reviewing(None) as address:
        assert asked(address, "GET", "/review")[0] == 404


def test_every_file_of_the_view_is_the_boxs_own() -> None:
    static = Path(__file__).parents[3] / "edge" / "web" / "static"
    for name in ("review.html", "review.js", "review.css", "marking.js"):
        text = (static / name).read_text(encoding="utf-8")
        assert re.findall(r"https?://|<script>|style=|onclick=", text) == []
