"""The overview of a box's lines: real lines, one of them killed, in a real browser."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
import yaml

pytest.importorskip("starlette", reason="pip install 'trackside[web]'")
pytest.importorskip("uvicorn", reason="pip install 'trackside[web]'")
pytest.importorskip("playwright", reason="pip install 'trackside[dev]'")
from playwright.sync_api import expect

from benchmarks.ports import free_port
from edge.line_file import WebSettings
from edge.overview import KnownLine, NoAnswer, PageAddress, Watch, known_lines, overview, summary_of
from edge.serving.process import serving
from edge.web.access import HEADERS
from edge.web.feed import Feed
from edge.web.live import served_page
from stands.browser import chromium, needs_browser, watched_page
from stands.certificates import make_certificate
from stands.places import EXAMPLES, ROOT
from stands.waiting import PATIENCE_S, eventually
from stands.watched_line import a_page_state, a_watched_line

TOKEN = "sixteen letters!"


@dataclass
class Box:
    """Lines that run as a service would run them, and the page of all of them."""

    folder: Path
    url: str = field(init=False)
    page: subprocess.Popen[str] = field(init=False)
    lines: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, unit: str, example: str, stack: ExitStack, token: str | None = None) -> None:
        line = yaml.safe_load((EXAMPLES / example).read_text())
        line["encoder"]["speed_mm_s"] = 200  # a busy machine keeps up
        for camera in line["cameras"].values():
            camera["quality"] = {"stale_after_ms": 600_000}
        self.ports[unit] = free_port()
        line["web"] = {"port": self.ports[unit]}
        if token is not None:
            line["web"]["token"] = "${WEB_TOKEN}"
            (self.folder / f"{unit}.env").write_text(f"# of the page\nWEB_TOKEN='{token}'\n")
        path = self.folder / f"{unit}.yaml"
        path.write_text(yaml.safe_dump(line))
        environment = {**os.environ, "WEB_TOKEN": token or ""}
        self.lines[unit] = stack.enter_context(running(["run", str(path)], environment))


@contextmanager
def running(arguments: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The command, until the block is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@contextmanager
def a_box(folder: Path) -> Iterator[Box]:
    box = Box(folder)
    with ExitStack() as stack:
        box.start("rail-1", "steel.yaml", stack)
        box.start("rail-2", "two-rails.yaml", stack, token=TOKEN)
        (folder / "rail-3.yaml").write_text("name: without a page\n")
        command = ["overview", str(folder), "--port", "0"]
        box.page = stack.enter_context(running(command, dict(os.environ)))
        assert box.page.stderr is not None
        found = re.search(r"overview of .* at (\S+)", box.page.stderr.readline())
        assert found is not None
        box.url = found[1]
        yield box
        assert box.page.wait(PATIENCE_S) == 0


@needs_browser
def test_each_line_of_a_box_is_shown_as_it_says_and_one_that_does_not_answer_never_as_well(
    tmp_path: Path,
) -> None:
    with (
        chromium() as browser,
        a_box(tmp_path) as box,
        watched_page(browser, height_px=800, overlooked=("ERR_CONNECTION",)) as page,
    ):
        page.goto(box.url)
        first, second, third = (page.locator("#lines > li").nth(number) for number in range(3))
        for card, name in ((first, "steel"), (second, "two-rails")):
            expect(card.locator(".state")).to_have_text("✓ inspecting")
            expect(card.get_by_role("link")).to_have_text(name)
            expect(card.locator("dd").nth(1)).to_contain_text(re.compile(r"m: ✕ .* mm²"))
        ages = re.compile(r"left \d+ s ago.*right \d+ s ago")
        expect(second.locator("dd").first).to_have_text(ages)
        expect(third.locator(".state")).to_have_text("✕ not answering")
        expect(third.locator(".why")).to_have_text("its line file has no `web:`: give it one")
        expect(page.locator("#how-many")).to_have_text("2 of 3 inspecting")
        for width, height in ((1280, 800), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth") == width

        address = f"http://127.0.0.1:{box.ports['rail-1']}/"
        expect(first.get_by_role("link")).to_have_attribute("href", address)
        box.lines["rail-1"].kill()
        expect(first.locator(".state")).to_have_text("✕ not answering")
        expect(first.locator(".why")).to_contain_text("the line does not run\nLast heard at ")
        expect(first.locator("dl")).to_be_hidden()
        expect(second.locator(".state")).to_have_text("✓ inspecting")
        box.lines["rail-2"].send_signal(signal.SIGSTOP)
        expect(second.locator(".why")).to_contain_text("no answer within 3 s")
        box.lines["rail-2"].send_signal(signal.SIGCONT)
        expect(second.locator(".state")).to_have_text("✓ inspecting")
        expect(page.locator("#how-many")).to_have_text("1 of 3 inspecting")
        box.page.terminate()
        expect(page.locator("#connection")).to_contain_text("what is shown is old; trying again")
        expect(page.locator("#how-many")).to_have_text("not known")


@contextmanager
def a_page(**web: object) -> Iterator[tuple[int, WebSettings]]:
    """A live page without a line, of the line rail-1."""
    settings = WebSettings.model_validate({"port": 0, **web}, context={"folder": Path()})
    line, feed = a_watched_line([None], []), Feed()
    with serving(served_page(settings, line, a_page_state(feed, line))) as port:
        yield port, settings


def known(port: int, token: str | None = None, certificate: Path | None = None) -> KnownLine:
    page = PageAddress("127.0.0.1", port, token, certificate, on_this_box_alone=True)
    return KnownLine("rail-1", "rail-1", page)


def why_not(line: KnownLine) -> str:
    with pytest.raises(NoAnswer) as refused:
        summary_of(line, PATIENCE_S)
    return str(refused.value)


def test_a_page_with_token_and_certificate_is_asked_by_its_own_and_by_no_other(
    tmp_path: Path,
) -> None:
    (own, key), (other, _) = (make_certificate(tmp_path, name) for name in ("own", "other"))
    with a_page(host="0.0.0.0", token=TOKEN, certificate=own, key=key) as (port, _):
        assert summary_of(known(port, TOKEN, own), PATIENCE_S)["reject"] is None
        assert "certificate verify failed" in why_not(known(port, TOKEN, other)).lower()
        assert "another token" in why_not(known(port, None, own))


def test_what_answers_in_a_lines_place_is_not_taken_for_it() -> None:
    with a_page() as (port, _):
        eventually(lambda: summary_of(known(port), PATIENCE_S)["health"] != {})
        line = KnownLine("a", "another", known(port).page)
        assert why_not(line).startswith("another line, rail-1, answers at its port")


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * (1 << 19), "bytes come"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "there is no live page"),
        (b"SSH-2.0\r\n", "SSH-2.0"),
        (b"", "closed connection without response"),
    ],
)
def test_whatever_else_is_at_the_port_is_no_line(says: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            one, _ = listener.accept()
            with one:
                one.recv(4096)
                one.sendall(says)

        answering = threading.Thread(target=answer)
        answering.start()
        assert why in why_not(known(listener.getsockname()[1]))
        answering.join()


def test_a_wrong_token_is_not_tried_again_at_once(tmp_path: Path) -> None:
    """Each would be a guess, and all who come from this box would have to wait longer."""
    with a_page(token=TOKEN) as (port, _):
        path = tmp_path / "rail-1.yaml"
        path.write_text(f"name: rail-1\nweb: {{port: {port}, token: 'a wrong one of 1947'}}\n")
        with Watch(tmp_path, every_s=0.01) as watch:
            eventually(lambda: "another token" in str(watch.told()["lines"]))
            looked = watch.told()["lines"]
            threading.Event().wait(0.5)
            assert watch.told()["lines"] == looked
            path.write_text(f"name: rail-1\nweb: {{port: {port}, token: '{TOKEN}'}}\n")
            eventually(lambda: watch.told()["lines"][0]["why"] is None)


def test_files_tell_which_lines_there_are_and_why_one_cannot_be_asked(tmp_path: Path) -> None:
    (tmp_path / "rail.baseline.json").write_text("{}")
    files = {
        "a": "name: a\nmqtt: {password: '${NOBODY_SAYS}'}\nweb: {port: 8421}\ncameras: [\n",
        "b": "name: b\nmqtt: {password: '${NOBODY_SAYS}'}\nweb: {port: 8421}\n",
        "c": "name: c\nweb: {port: 0}\n",
        "d": "name: d\nweb: {port: 8422, token: '${OF_D}'}\n",
        "e": "name: e\nweb: {port: http}\n",
    }
    for unit, text in files.items():
        (tmp_path / f"{unit}.yaml").write_text(text)
    a, b, c, d, e = known_lines(tmp_path)
    assert "not YAML" in str(a.trouble)
    assert (b.name, b.page and b.page.port, b.trouble) == ("b", 8421, None)
    assert "give `web.port` a number" in str(c.trouble)
    assert "${OF_D} is to be set in d.env beside its file" in str(d.trouble)
    assert f"{tmp_path}/e.yaml:2: web.port" in str(e.trouble)
    (tmp_path / "d.env").write_text(f'OF_D="{TOKEN}"\n')
    *_, d, _ = known_lines(tmp_path)
    assert d.page is not None and d.page.token == TOKEN


def test_nobody_from_elsewhere_sees_the_overview_without_its_token(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge.cli", "overview", str(tmp_path), "--host", "0.0.0.0"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "give TRACKSIDE_OVERVIEW_TOKEN, of 16 characters" in refused.stderr
    settings = WebSettings.model_validate({"host": "0.0.0.0", "port": 0, "token": TOKEN})
    with overview(tmp_path, settings) as port:
        eventually(lambda: asked(port, "/lines", TOKEN).status == 200)  # they have been asked
        for path, token, status in (("/lines", "", 401), ("/", "", 303), ("/lines", TOKEN, 200)):
            answer = asked(port, path, token)
            assert (answer.status, path) == (status, path)
            assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        eventually(lambda: b"has no line file" in asked(port, "/lines", TOKEN).read())


def asked(port: int, path: str, token: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
    return connection.getresponse()
