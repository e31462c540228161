"""The live page: what it shows, whom it lets in, and that nobody who looks can hold the loop up."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import BadStatusLine, HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stands.places import ROOT
from stands.waiting import PATIENCE_S, eventually

pytest.importorskip("starlette", reason="pip install 'trackside[web]'")
pytest.importorskip("uvicorn", reason="pip install 'trackside[web]'")
pytest.importorskip("playwright", reason="pip install 'trackside[dev]'")
from playwright.sync_api import Browser, Page, expect

from edge.assembly import Line, open_line
from edge.errors import ConfigurationError
from edge.health import LineHealth
from edge.line_file import WebSettings, read_line
from edge.run.reporting import reporting
from edge.serving.address import DEAD_MS
from edge.serving.link import Message
from edge.serving.process import serving
from edge.serving.server import MOST_GUESTS
from edge.serving.token import TooManyGuesses
from edge.types import Defect, State, Stretch
from edge.web.access import HEADERS, Access, Door
from edge.web.feed import MOST_PASSED, MOST_REJECTED, Feed
from edge.web.hub import MOST_VIEWERS, MOST_WAITING, Hub
from edge.web.live import served_page
from edge.web.page_state import MOST_REJECTS, lanes
from edge.web.pictures import CUTTING_PX, LiveFrame, cutting_of
from edge.web.watched_line import WatchedLine
from firmware_bridge.types import Mode
from stands.browser import needs_browser, watched_page
from stands.certificates import make_certificate
from stands.inspections import found_in, inspection, lost, recorded_line
from stands.places import STEEL_LINE
from stands.plc import Plc
from stands.watched_line import HEALTH, a_page_state, a_watched_line

TOKEN = "sixteen letters!"
THIS_BOX = WebSettings(port=0)
GUARDED = WebSettings.model_validate(
    {"host": "0.0.0.0", "port": 0, "token": TOKEN, "names": ["line.plant"]}
)


# --- a page without a line: its server, its feed and those who look ---


@dataclass
class Served:
    """A page that is served for real, and what a test gives it to show."""

    port: int
    feed: Feed
    line: WatchedLine
    refusal: list[str | None]
    acknowledged: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        return connection.getresponse()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def served(
    settings: WebSettings = THIS_BOX, *, dead_ms: int = DEAD_MS, **changed: Any
) -> Iterator[Served]:
    feed, refusal, acknowledged = Feed(), [None], []
    line = replace(a_watched_line(refusal, acknowledged), **changed)
    page = served_page(settings, line, a_page_state(feed, line))
    page = replace(page, address=replace(page.address, dead_ms=dead_ms))
    with serving(page) as port:
        yield Served(port, feed, line, refusal, acknowledged)


def a_dead_browser(page: Served) -> socket.socket:
    """It asks for the stream, and never reads what comes."""
    dead = socket.socket()
    dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    dead.connect(("127.0.0.1", page.port))
    dead.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
    return dead


def events(answer: HTTPResponse) -> Iterator[tuple[str, Any]]:
    while line := answer.readline().decode():
        if line.startswith("event: "):
            name, data = line[7:].strip(), answer.readline().decode()
            yield name, json.loads(data.removeprefix("data: "))


def test_the_loop_goes_on_while_the_server_hangs_and_nothing_piles_up() -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(now_ns: int) -> LineHealth:
        hangs.set()
        goes_on.wait(PATIENCE_S)
        return HEALTH.at(now_ns)

    try:
        with served(health=hang) as page:
            assert hangs.wait(PATIENCE_S)
            for index in range(2 * MOST_PASSED):  # by this thread, as by the loop's
                page.feed.publish(inspection(index, state=State.NG))
            assert len(page.feed._passed) == MOST_PASSED
            assert len(page.feed._rejected) == MOST_REJECTED
            goes_on.set()
    finally:
        goes_on.set()


def test_a_browser_that_reads_misses_no_frame_beside_dead_ones() -> None:
    with served() as page, a_dead_browser(page), a_dead_browser(page):
        stream = events(page.ask("GET", "/events"))
        assert next(stream)[0] == "state"
        seen: list[int] = []
        for start in range(0, 5000, 1000):
            for index in range(start, start + 1000):
                page.feed.publish(replace_reasons(inspection(index, state=State.UNKNOWN)))
            while len(seen) < start + 1000:
                _, news = next(stream)
                seen += [each["frame"] for each in news.get("passed", [])]
        assert seen == list(range(5000))


def replace_reasons(seen: Any) -> Any:
    """As long as a reason can be, so that a socket's buffers fill soon."""
    verdict = replace(seen.verdict, reasons=("the camera shows nothing that could be judged " * 8,))
    return replace(seen, verdict=verdict)


def test_browsers_that_take_nothing_are_hung_up_on() -> None:
    with served(dead_ms=300) as page, ExitStack() as stack:
        for _ in range(MOST_VIEWERS):
            stack.enter_context(a_dead_browser(page))
        eventually(lambda: is_full(page))
        numbers = iter(range(10**6))

        def is_let_in() -> bool:
            for _ in range(1000):
                page.feed.publish(replace_reasons(inspection(next(numbers), state=State.UNKNOWN)))
            with suppress(ConnectionError):  # on a busy machine, for being slow, too
                return not is_full(page)
            return False

        eventually(is_let_in)


def is_full(page: Served) -> bool:
    return json.loads(page.ask("GET", "/state").read())["full"] is not None


class QuietLine:
    """A line of which nothing is new, beside a hub in a test's own event loop."""

    def __init__(self) -> None:
        self.closing = asyncio.Event()

    async def ask(self, what: str, **_: Any) -> Message:
        return Message({}, {"turn": b"", "state": b"{}"}[what])


def test_a_slow_browser_is_given_the_whole_state_anew_and_one_that_stands_is_hung_up_on() -> None:
    hung_up: list[bool] = []

    async def look() -> list[str]:
        line = QuietLine()
        hub = Hub(line, turn_s=0.001, too_slow_s=0)
        viewer = hub.seat(hang_up=lambda: hung_up.append(True))
        assert viewer is not None
        turning, stream, names = asyncio.create_task(hub.run()), hub.stream(viewer), []
        await anext(stream)  # how soon to come back
        names.append((await anext(stream)).split(b"\n")[0])
        for _ in range(MOST_WAITING + 1):
            viewer.offer(b"event: news\n")
        assert not viewer.waiting
        names.append((await anext(stream)).split(b"\n")[0])
        while not hung_up:  # it does not come for the next one
            await asyncio.sleep(0.001)
        line.closing.set()
        names += [message.split(b"\n")[0] async for message in stream]
        await turning
        hub.leave(viewer)
        assert not hub.viewers
        return [name.decode() for name in names]

    assert asyncio.run(look()) == ["event: state", "event: state", "event: end"]


def test_of_many_browsers_that_come_at_once_no_more_are_let_in_than_the_box_can_bear() -> None:
    with served() as page, ExitStack() as stack:
        crowd = [stack.enter_context(a_dead_browser(page)) for _ in range(5 * MOST_VIEWERS)]
        answers = [one.recv(12).decode() for one in crowd]
        assert answers.count("HTTP/1.1 200") == MOST_VIEWERS
        assert answers.count("HTTP/1.1 503") == 4 * MOST_VIEWERS
        refused = page.ask("GET", "/events")
        assert (refused.status, b"close one of them" in refused.read()) == (503, True)


# --- attackers ---


def test_requests_that_are_begun_and_never_ended_hold_nobody_up_and_cost_the_line_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served() as page, ExitStack() as stack:
        assert page.ask("GET", "/state").status == 200
        before = descriptors("self")
        begun = [stack.enter_context(a_half_sent_request(page)) for _ in range(3 * MOST_GUESTS)]
        assert descriptors("self") == before + len(begun)  # which are the test's own
        assert page.ask("GET", "/state").status == 200
        (server,) = servers()
        assert descriptors(server) < MOST_GUESTS + 20
        eventually(lambda: not any(map(is_open, begun)))  # the last of them for their age
        assert page.ask("GET", "/state").status == 200
    assert caplog.text == ""


def a_half_sent_request(page: Served) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", page.port), timeout=PATIENCE_S)
    one.sendall(b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nDrip: ")
    return one


def is_open(one: socket.socket) -> bool:
    """It goes on dripping."""
    try:
        one.send(b"x")
        return one.recv(1, socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def servers() -> list[int]:
    """This process's children that serve."""
    tasks = Path("/proc/self/task").iterdir()
    found = [int(pid) for task in tasks for pid in (task / "children").read_text().split()]
    return [p for p in found if b"edge.serving" in Path(f"/proc/{p}/cmdline").read_bytes()]


def descriptors(process: object) -> int:
    return sum(1 for _ in Path(f"/proc/{process}/fd").iterdir())


def test_a_page_whose_process_is_killed_comes_back_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served() as page:
        eventually(lambda: page.ask("GET", "/state").status == 200)
        (server,) = servers()
        os.kill(server, signal.SIGKILL)
        eventually(lambda: bool(servers()) and servers() != [server])
        assert page.ask("GET", "/state").status == 200
    assert caplog.text.count("it is started again, the line goes on") == 1


def test_a_page_that_the_line_cannot_answer_for_a_while_goes_on_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails = [OSError("Too many open files")]

    def health(now_ns: int) -> LineHealth:
        if fails:
            raise fails[0]
        return HEALTH.at(now_ns)

    with served(health=health) as page:
        eventually(lambda: "web: turn fails: OSError" in caplog.text)
        fails.clear()
        assert next(events(page.ask("GET", "/events")))[0] == "state"
        eventually(lambda: json.loads(page.ask("GET", "/state").read())["health"] != {})


def test_a_page_whose_process_hangs_ends_with_its_line() -> None:
    with served() as page:
        assert page.ask("GET", "/state").status == 200
        (server,) = servers()
        os.kill(server, signal.SIGSTOP)
        page.feed.publish(inspection(0))
    assert not servers()


def test_an_address_in_use_says_so() -> None:
    with (
        served() as page,
        pytest.raises(ConfigurationError, match="choose another address or port"),
        served(WebSettings(port=page.port)),
    ):
        pass


# --- who is let in ---


def test_without_the_token_nothing_is_shown_and_with_it_everything() -> None:
    with served(GUARDED) as page:
        for path in ("/state", "/events", "/frame.jpg", "/rejects/a-1.jpg"):
            refused = page.ask("GET", path)
            assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
            wrong = page.ask("GET", path, Authorization=f"Bearer {TOKEN}x")
            assert wrong.status in (401, 429)  # another guess has to wait
        for path in ("/acknowledge", "/self-test"):
            assert page.ask("POST", path, Origin=page.origin).status == 401
        assert not page.acknowledged
        sent_away = page.ask("GET", "/")
        assert (sent_away.status, sent_away.headers["Location"]) == (303, "/login")
        known = {"Authorization": f"Bearer {TOKEN}", "Host": "line.plant"}
        eventually(lambda: page.ask("GET", "/state", **known).status == 200)
        state = page.ask("GET", "/state", **known)
        assert json.loads(state.read())["health"]["facts"]["line"] == "rail-1"


def test_no_host_header_leads_past_the_token() -> None:
    """An address put together of it would have the path begin with /static/."""
    with served(GUARDED) as page:
        for host in ("x/static/", "127.0.0.1/static/", "127.0.0.1:80/static/", "a@127.0.0.1"):
            for path in ("/state", "/events", "/frame.jpg"):
                assert page.ask("GET", path, Host=host).status == 421
            pressed = page.ask("POST", "/acknowledge", Host=host, Origin=f"http://{host}")
            assert pressed.status == 421
        for path in ("/static/../state", "//state", "/static/%2e%2e/state", "/static/"):
            assert page.ask("GET", path).status in (401, 404)
        assert not page.acknowledged


def test_a_login_gives_a_cookie_that_no_script_reads_and_that_is_not_the_token(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(GUARDED) as page:
        wrong = page.ask("POST", "/login", "token=guess", Origin=page.origin)
        assert (wrong.headers["Location"], wrong.headers["Set-Cookie"]) == ("/login?wrong", None)
        soon = page.ask("POST", "/login", f"token={TOKEN}", Origin=page.origin)
        assert soon.headers["Location"].startswith("/login?w")
        huge = page.ask("POST", "/login", f"token={TOKEN}&pad={'x' * 9000}", Origin=page.origin)
        assert huge.headers["Set-Cookie"] is None
        cookie = log_in(page)
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert TOKEN not in cookie
        assert page.ask("GET", "/state", Cookie=cookie.split(";")[0]).status == 200
    assert "web: a wrong token from 127.0.0.1" in caplog.text
    assert "guess" not in caplog.text


def log_in(page: Served) -> str:
    """The cookie, once there is one."""
    cookies: list[str] = []

    def is_in() -> bool:
        answer = page.ask("POST", "/login", f"token={TOKEN}", Origin=page.origin)
        cookies.extend(answer.headers.get_all("Set-Cookie", []))
        return bool(cookies)

    eventually(is_in)
    return cookies[0]


def test_a_session_ends_with_its_logout_and_so_does_what_it_looks_at() -> None:
    with served(GUARDED) as page:
        cookie, other = log_in(page).split(";")[0], log_in(page).split(";")[0]
        stream = events(page.ask("GET", "/events", Cookie=cookie))
        assert next(stream)[0] == "state"
        left = page.ask("POST", "/logout", Origin=page.origin, Cookie=cookie)
        assert "Max-Age=0" in left.headers["Set-Cookie"]
        for _ in stream:  # which ends
            pass
        assert page.ask("GET", "/state", Cookie=cookie).status == 401
        assert page.ask("GET", "/state", Cookie=other).status == 200


def a_door(clock: list[int]) -> Door:
    return Door(Access(8420, TOKEN, ("localhost",), 3600, encrypted=True), lambda: clock[-1])


def test_a_session_ends_when_its_time_is_up() -> None:
    clock = [0]
    door = a_door(clock)
    cookie = door.begin()
    assert {"Max-Age=3600", "Secure"} <= set(cookie.split("; "))
    clock.append(3600 * 10**9 - 1)
    assert door.lets_in("", cookie.split(";")[0], "10.0.0.1")
    clock.append(3600 * 10**9)
    assert not door.lets_in("", cookie.split(";")[0], "10.0.0.1")


def test_guesses_are_waited_for_by_address_and_longer_each_time() -> None:
    clock = [0]
    door = a_door(clock)
    waits = []
    for _ in range(6):
        assert not door.is_token("a guess", "10.0.0.1")
        with pytest.raises(TooManyGuesses) as refused:
            door.lets_in(f"Bearer {TOKEN}", "", "10.0.0.1")  # the right one, too
        waits.append(refused.value.wait_s)
        assert door.is_token(TOKEN, "10.0.0.2")
        clock.append(clock[-1] + round(waits[-1] * 1e9))
    assert waits == [0.5, 1, 2, 4, 8, 8]
    assert not door.is_token("a guess", "2001:db8::1")
    with pytest.raises(TooManyGuesses):  # whoever has one of them has all of them
        door.is_token("a guess", "2001:db8::2")


def test_a_page_with_a_certificate_speaks_tls_alone_and_its_cookie_too(tmp_path: Path) -> None:
    chain, key = make_certificate(tmp_path, "ours")
    settings = GUARDED.model_copy(update={"certificate": chain, "key": key})
    trust = ssl.create_default_context(cafile=chain)
    with served(settings) as page:
        half = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(MOST_GUESTS)]
        for one in half:
            one.sendall(b"\x16\x03\x01")  # a handshake, begun
        asked = HTTPSConnection("127.0.0.1", page.port, timeout=PATIENCE_S, context=trust)
        origin = f"https://127.0.0.1:{page.port}"
        asked.request("POST", "/login", f"token={TOKEN}", {"Origin": origin})
        assert "Secure" in asked.getresponse().headers["Set-Cookie"].split("; ")
        with pytest.raises((BadStatusLine, OSError)):
            page.ask("GET", "/login")
        for one in half:
            one.close()


def test_a_certificate_and_key_that_do_not_belong_together_are_a_mistake_in_the_line_file(
    tmp_path: Path,
) -> None:
    chain, _ = make_certificate(tmp_path, "ours")
    _, key = make_certificate(tmp_path, "theirs")
    settings = THIS_BOX.model_copy(update={"certificate": chain, "key": key})
    with (
        pytest.raises(ConfigurationError, match=r"web\.certificate: .*belong together"),
        served(settings),
    ):
        pass


@pytest.mark.parametrize(
    "token",
    ["short", "a" * 40, "1234567890123456", "passwordpassword", "trackside-admin-2026", "abab" * 9],
)
def test_a_token_that_is_soon_guessed_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -hex 16") as refused:
        WebSettings.model_validate({"token": token})
    said = refused.value.errors(include_url=False, include_input=False)[0]["msg"]
    assert token not in said


@pytest.mark.parametrize(
    "token", [TOKEN, "9f86d081884c7d659a2feaa0c55ad015", "Gleis-7/Weiche*Nord"]
)
def test_a_token_that_nobody_guesses_is_taken(token: str) -> None:
    assert WebSettings.model_validate({"token": token}).word == token


def test_no_other_page_can_press_a_button() -> None:
    with served() as page:
        for origin in ({}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}):
            assert page.ask("POST", "/acknowledge", **origin).status == 403
        assert page.ask("GET", "/acknowledge", Origin=page.origin).status == 405
        assert not page.acknowledged
        assert page.ask("POST", "/acknowledge", Origin=page.origin).status == 200
        assert page.acknowledged == ["127.0.0.1"]


def test_a_button_that_is_not_free_says_what_would_free_it() -> None:
    with served() as page:
        page.refusal.append("turn the key")
        for path in ("/acknowledge", "/self-test"):
            refused = page.ask("POST", path, Origin=page.origin)
            assert (refused.status, json.loads(refused.read())) == (
                403,
                {"message": "turn the key"},
            )
        assert not page.acknowledged


def test_without_a_token_the_page_goes_by_the_boxs_own_names_alone() -> None:
    with served() as page:
        for name in ("127.0.0.1", "localhost:9000", f"[::1]:{page.port}"):  # 9000: through a tunnel
            assert page.ask("GET", "/state", Host=name).status == 200
        for name in ("evil.example", f"127.0.0.1.evil.example:{page.port}", "[::1", ""):
            assert page.ask("GET", "/state", Host=name).status in (400, 421)


def test_every_answer_is_sealed_and_nothing_comes_from_elsewhere() -> None:
    with served(GUARDED) as page:
        for path in ("/", "/login", "/state", "/nowhere", "/static/page.js"):
            answer = page.ask("GET", path)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy and "http" not in policy
    static = ROOT / "edge" / "web" / "static"
    for path in static.iterdir():
        said = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|\son\w+=|\sstyle=|innerHTML|<script>", said), path


# --- what is shown ---


def turned(*inspections: Any) -> dict[str, Any]:
    feed = Feed()
    page = a_page_state(feed)
    for each in inspections:
        feed.publish(each)
    page.turn()
    return {**page.whole(), "page": page}


def with_defect(
    index: int, box_px: tuple[int, int, int, int], side_px: int = 400, number: int = 7
) -> Any:
    seen = inspection(index, state=State.NG)
    start_um = seen.verdict.stretch.start_um
    stretch = Stretch(start_um + 1000, start_um + 21_000)
    defect = Defect(stretch, 1000, 3000, 40.0, 0.9, box_px, number=number)
    image = np.full((side_px, side_px), 90, np.uint8)
    return replace(
        seen,
        seen=replace(seen.seen, image=image),
        mask=replace(seen.mask, logits=np.full((side_px, side_px), -5, np.float32)),
        verdict=replace(seen.verdict, defects=(defect,), rejects=(stretch,)),
    )


def test_a_reject_has_a_small_picture_and_unknown_frames_on_end_are_one() -> None:
    state = turned(with_defect(0, (350, 0, 30, 390)), *(lost(i) for i in range(1, 30)))
    unknown, rejected = state["rejects"]
    assert (unknown["state"], unknown["frames"], unknown["has_picture"]) == ("UNKNOWN", 29, False)
    assert (unknown["start_mm"], unknown["end_mm"]) == (88, 30 * 88)
    assert (rejected["state"], rejected["frames"], rejected["has_picture"]) == ("NG", 1, True)
    assert state["page"].picture(rejected["name"])[:2] == b"\xff\xd8"
    assert state["page"].picture("another-1") is None
    (order,) = state["passed"][0]["orders"]
    assert order == {"start_mm": 1, "end_mm": 21}
    assert max(cutting_of(with_defect(0, (9, 9, 900, 50), 3000)).image.shape) == CUTTING_PX


def test_the_page_has_the_class_of_what_counts_and_of_what_is_only_reported() -> None:
    (frame,) = turned(found_in(0))["passed"]
    assert [each["said"] for each in frame["defects"]] == ["crush (227) 0.80", "unsure 0.40"]
    assert [each["said"] for each in frame["reported"]] == ["gap 0.90"]


def test_a_defect_that_two_frames_show_is_one_reject() -> None:
    box_px = (9, 9, 50, 50)
    state = turned(*(with_defect(i, box_px, number=number) for i, number in enumerate((1, 1, 2))))
    assert [(each["frame"], each["frames"]) for each in state["rejects"]] == [(2, 1), (0, 2)]


@pytest.mark.parametrize(
    ("places_mm", "shown"),
    [((0.0, 80.0), [("left", 2)]), ((None, None), [("right", 1), ("left", 1)])],
)
def test_a_defect_that_two_cameras_of_a_surface_see_is_one_reject(
    places_mm: tuple[float | None, float | None], shown: list[tuple[str, int]]
) -> None:
    """Its number is the surface's, and it lies across the strip where the surface counts from."""
    cameras, feed = ("left", "right"), Feed()
    line = replace(a_watched_line([None], []), across_mm=dict(zip(cameras, places_mm, strict=True)))
    page = a_page_state(feed, line)
    for camera in cameras:
        feed.publish(replace(with_defect(0, (9, 9, 50, 50)), camera=camera))
    page.turn()
    state = page.whole()
    assert [(each["camera"], each["frames"]) for each in state["rejects"]] == shown
    [_, [defect]] = [each["defects"] for each in state["passed"]]
    assert defect["left_mm"] == 1 - (places_mm[1] or 0)


def test_only_the_last_rejects_are_shown() -> None:
    state = turned(*(lost(i) if i % 2 else inspection(i) for i in range(100)))
    assert [each["frame"] for each in state["rejects"]] == list(
        range(99, 99 - 2 * MOST_REJECTS, -2)
    )


def test_a_frame_is_drawn_when_it_is_asked_for_and_not_more_often_than_allowed() -> None:
    # When each is asked for, and where one is made, when it is done: the second takes 100.
    times = iter((0, 1, 999, 1000, 1100, 4999, 5000, 5001))
    live, first, second = LiveFrame(1000, lambda: next(times)), inspection(0), inspection(1)
    assert live.of(first)[0] == 0
    assert live.of(second)[0] == 0
    assert live.of(second)[0] == 1
    assert live.of(lost(2))[0] == 1
    assert live.of(lost(2)) == (2, b"")


# --- a running line in a real browser ---


@dataclass
class Running:
    """A line that runs, and the frames it has inspected."""

    line: Line
    url: str
    inspected: list[int]


@contextmanager
def running(path: Path) -> Iterator[Running]:
    """The line of a line file, in a thread as good as the main one, until the block is left."""
    address: list[str] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            address.extend(re.findall(r"live page at (\S+)", record.getMessage()))

    log, heard, inspected = logging.getLogger("trackside"), Heard(), []
    level = log.level
    log.addHandler(heard)
    log.setLevel(logging.INFO)
    try:
        with open_line(read_line(path)) as line, reporting(line) as report:

            def record(seen: Any) -> None:
                report(seen)
                inspected.append(seen.verdict.frame_index)

            thread = threading.Thread(target=line.run, args=(record,))
            thread.start()
            try:
                yield Running(line, address[0], inspected)
            finally:
                line.stop()
                thread.join(PATIENCE_S)
    finally:
        log.removeHandler(heard)
        log.setLevel(level)


def a_line_file(folder: Path, key: Mapping[str, Any] | None = None, **web: Any) -> Path:
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["cameras"]["top"] |= {"defects_per_metre": 6, "seed": 3}
    line["reject"] |= {"margin_mm": 40, "tolerance_mm": 40}  # of a machine that is busy
    line["inputs"] = [{"name": "key", "input": key or {"type": "memory"}, "then": "report"}]
    line["web"] = {"port": 0, **web}
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Tests take the line away, of which a browser tells."""
    with watched_page(browser, height_px=800, overlooked=("net::ERR_", "status of 503")) as page:
        yield page


@needs_browser
def test_the_page_shows_frames_verdicts_and_rejects_of_a_running_line(
    tmp_path: Path, page: Page
) -> None:
    with running(a_line_file(tmp_path)) as run:
        page.goto(run.url)
        picture = page.locator("#frame")
        expect(picture).to_be_visible()
        first = picture.get_attribute("src")
        expect(picture).not_to_have_attribute("src", first or "")
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#line")).to_have_text("steel")
        expect(page.locator("#mode strong")).to_have_text("as ordered")
        expect(page.locator("#verdict strong")).to_have_text(re.compile("^(OK|NG)$"))
        expect(page.locator(".cell.ok").first).to_be_attached()
        expect(page.locator(".cell.ng").first).to_be_attached()
        expect(page.locator(".defect").first).to_be_attached()
        expect(page.locator(".order.fired").first).to_be_attached()
        expect(page.locator("#announcement")).to_have_text(re.compile(r"^NG at .* mm², "))
        thumb = page.locator("#rejects li img").first
        expect(thumb).to_be_visible()
        assert thumb.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        expect(page.locator("#counts li").first).to_contain_text("OK")
        expect(page.locator("#verdict-chart rect").first).to_be_attached()
        expect(page.locator("#latency-chart .dots").first).to_be_attached()
        expect(page.locator("#facts")).to_contain_text(run.line.bundle.digest[:12])
        for width, height in ((1280, 800), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width
    assert run.inspected == list(range(len(run.inspected)))


@needs_browser
def test_the_keyboard_reaches_every_control_and_each_has_a_name(tmp_path: Path, page: Page) -> None:
    with running(a_line_file(tmp_path, controls="always")) as run:
        page.goto(run.url)
        page.locator("#rejects button").first.wait_for()
        expect(page.locator("#speed")).to_contain_text("mm/s")
        run.line.stop()  # so that the list stands still
        expect(page.locator("#speed")).to_have_text("no frames come")
        wanted, reached = page.locator("a, button, [tabindex='0']"), set()
        visible = {i for i in range(wanted.count()) if wanted.nth(i).is_visible()}
        for _ in range(len(visible) + 1):
            page.keyboard.press("Tab")
            focus = page.locator(":focus")
            if focus.count():
                assert focus.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
                reached.add(focus.evaluate(_PLACE))
        assert reached >= {wanted.nth(i).evaluate(_PLACE) for i in visible}
        assert page.evaluate(_NAMELESS) == []
        page.locator("#rejects button").first.press("Enter")
        expect(page.locator("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
        expect(page.locator("#rejects button").first).to_be_focused()
        outline = page.locator("body").aria_snapshot()
    for role in ("banner", "main", "heading", 'button "Self-test"', 'region "Last rejects"'):
        assert role in outline


_PLACE = "e => [...document.querySelectorAll('*')].indexOf(e)"
_NAMELESS = """[...document.querySelectorAll("button, a, img, svg, input, section, [role=img]")]
  .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.alt !==
    undefined || e.textContent.trim())).map(e => e.outerHTML)"""


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read_in_both_themes(browser: Browser, scheme: Any) -> None:
    with served() as server:
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(f"{server.origin}/login")
        colours = page.evaluate(
            """() => Object.fromEntries(["paper", "ink", "quiet", "accent", "on-accent", "ok", "ng",
              "unknown"].map(name => [name, getComputedStyle(document.documentElement)
                .getPropertyValue(`--${name}`).trim()]))"""
        )
        context.close()
    for name in ("ink", "quiet", "accent", "ok", "ng", "unknown"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """As WCAG reckons it."""

    def luminance(colour: str) -> float:
        digits = colour.removeprefix("#")
        digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
        parts = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@needs_browser
def test_the_buttons_work_while_the_key_is_turned_and_no_longer(
    tmp_path: Path, page: Page, plc: Plc
) -> None:
    key = {"type": "modbus", "host": "127.0.0.1", "port": plc.port, "table": "coil", "address": 0}
    key["timeout_ms"] = 10_000  # of a machine that is busy
    plc.set_coil(0, False)
    with running(a_line_file(tmp_path, key, controls="key")) as run:
        desk = run.line.bridge.desk
        page.goto(run.url)
        acknowledge, test = page.locator("#acknowledge"), page.locator("#self-test")
        expect(page.locator("#self-test-why")).to_have_text("turn the key: key is off")
        test.click(force=True)
        desk.latch("bin", Mode.REJECT_ALL, "it is full")
        expect(page.locator("#alarm")).to_contain_text("Outputs: reject all. bin: it is full")
        expect(acknowledge).to_have_attribute("aria-disabled", "true")
        plc.set_coil(0, True)
        expect(acknowledge).to_have_attribute("aria-disabled", "false")
        acknowledge.click()
        expect(page.locator("#alarm")).to_be_hidden()
        expect(page.locator("#acknowledge-why")).to_have_text("nothing is latched")
        assert [change.cause for change in desk.standing] == ["key"]
        test.click()
        expect(page.locator("#result li", has_text="network")).to_contain_text("golden pair")
        assert page.locator("#result .ng").count() == 0
        plc.set_coil(0, False)
        expect(test).to_have_attribute("aria-disabled", "true")


@needs_browser
def test_a_page_whose_line_has_gone_says_so_and_comes_back_with_it(
    tmp_path: Path, page: Page
) -> None:
    with running(a_line_file(tmp_path)) as run:
        page.goto(run.url)
        expect(page.locator("#connection")).to_have_text("live")
        port = int(run.url.rstrip("/").rpartition(":")[2])
    expect(page.locator("#connection")).to_contain_text("what is shown is old; trying again")
    expect(page.locator("#mode strong")).to_have_text("not known")
    with running(a_line_file(tmp_path, port=port)):
        expect(page.locator("#connection")).to_have_text("the line was started again")
        expect(page.locator("#rejects li").first).to_be_visible()


@needs_browser
def test_a_browser_logs_in_stays_in_and_logs_out(browser: Browser) -> None:
    with served(GUARDED, guarded=True) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.origin)
        for word, at in (("wrong", "/login?wrong"), (TOKEN, "/")):
            page.wait_for_timeout(1000)  # after a wrong one the next has to wait
            page.get_by_label("Token").fill(word)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url(f"{server.origin}{at}")
        expect(page.locator("#connection")).to_have_text("live")
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{server.origin}/login")
        page.goto(server.origin)
        page.wait_for_url(f"{server.origin}/login")
        context.close()


@needs_browser
def test_a_browser_too_many_is_told_so_and_let_in_when_another_has_gone(browser: Browser) -> None:
    with served() as server:
        streams = [server.ask("GET", "/events") for _ in range(MOST_VIEWERS)]
        eventually(lambda: is_full(server))
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.origin)
        status = page.locator("#connection")
        expect(status).to_have_text(
            "too many browsers look at this line: close one of them; what is shown is old; "
            "trying again"
        )
        page.wait_for_timeout(5000)  # the page asks again, and is not left to fall silent
        expect(status).to_contain_text("close one of them")
        expect(page.locator("#mode strong")).to_have_text("not known")
        for stream in streams:
            stream.close()
        expect(status).to_have_text("live")
        context.close()


def test_the_loop_inspects_every_frame_in_order_beside_browsers_that_do_not_read(
    tmp_path: Path,
) -> None:
    path = recorded_line(tmp_path, 40)
    path.write_text(path.read_text() + "web: {port: 0}\n")
    with running(path) as run:
        port = int(run.url.rstrip("/").rpartition(":")[2])
        streams = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for stream in streams:
            stream.sendall(f"GET /events HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
        eventually(lambda: len(run.inspected) == 40)
        assert run.inspected == list(range(40))
        for stream in streams:
            stream.close()


def test_cameras_lie_where_they_look_and_those_of_other_surfaces_beside_them() -> None:
    across_mm = {"right": 80.0, "left": -10.0, "below": None, "above": None}
    found = lanes(across_mm, {"left": 100.0, "right": 100.0, "below": 60.0})
    assert [(each["camera"], each["left_mm"], each["width_mm"]) for each in found] == [
        ("right", 90, 100),
        ("left", 0, 100),
        ("below", 190, 60),
        ("above", 250, 100),  # nothing was seen yet of how wide it is
    ]


def test_each_camera_has_its_frame_its_verdicts_and_its_rejects() -> None:
    with served(across_mm={"left": None, "right": None}) as page:
        for index, (camera, state) in enumerate(
            (("left", State.UNKNOWN), ("right", State.NG), ("left", State.UNKNOWN))
        ):
            page.feed.publish(replace(inspection(index, state=state), camera=camera))
        eventually(lambda: len(state_of(page)["passed"]) == 3)
        state = state_of(page)
        assert [(each["camera"], each["state"]) for each in state["passed"]] == [
            ("left", "UNKNOWN"),
            ("right", "NG"),
            ("left", "UNKNOWN"),
        ]
        # What goes on with one camera is one reject, whatever others show in between.
        assert [(each["camera"], each["frames"]) for each in state["rejects"]] == [
            ("right", 1),
            ("left", 2),
        ]
        frames = [page.ask("GET", f"/frame.jpg?camera={name}") for name in ("left", "right", "up")]
        assert [(each.status, each.headers["Frame"]) for each in frames] == [
            (200, "2"),
            (200, "1"),
            (404, None),
        ]


def state_of(page: Served) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(page.ask("GET", "/state").read())
    return state
