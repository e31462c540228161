"""The door of a line's servers, their link to the line, and what they may log of their guests."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import textwrap
from urllib.request import urlopen

import pytest

pytest.importorskip("uvicorn", reason="pip install 'trackside[web]'")

from edge.serving.bounded_log import BoundedLog
from edge.serving.crowd import Crowd, Guest
from edge.serving.link import Inbox, Message, packed
from stands.places import ROOT
from stands.waiting import PATIENCE_S, eventually


def test_where_there_is_no_room_the_one_idle_for_longest_leaves_and_none_that_is_at_work() -> None:
    left: list[int] = []
    crowd = Crowd(most=3, idle_ns=100)

    def guest(port: int, now_ns: int) -> Guest:
        return Guest(("10.0.0.1", port), lambda: left.append(port), now_ns)

    assert all(crowd.come(guest(port, now_ns=port)) for port in (1, 2, 3))
    with crowd.working(("10.0.0.1", 1), lambda: 50):
        assert crowd.come(guest(4, now_ns=4))
        assert left == [2]
        with crowd.working(("10.0.0.1", 3), lambda: 50), crowd.working(("10.0.0.1", 4), lambda: 50):
            assert not crowd.come(guest(5, now_ns=5))
        crowd.sweep(10**9)
        assert left == [2, 3, 4]
    crowd.sweep(149)  # idle since 50
    assert len(crowd) == 1
    crowd.sweep(150)
    assert left == [2, 3, 4, 1]


def test_a_message_comes_whole_in_whatever_pieces_and_none_longer_than_agreed() -> None:
    sent = [Message({"ask": "state"}), Message({"number": 1}, b"\xff" * 500)]
    stream = b"".join(map(packed, sent))
    inbox = Inbox(most=1000)
    assert [m for i in range(len(stream)) for m in inbox.put(stream[i : i + 1])] == sent
    with pytest.raises(ValueError, match="1000 are the most"):
        inbox.put(packed(Message({}, bytes(2000)))[:8])  # by its announcement alone


def test_nobody_can_fill_the_log_or_write_to_the_terminal_by_it() -> None:
    said: list[tuple[int, str]] = []
    clock = [0]
    log = BoundedLog(lambda level, text: said.append((level, text)), lambda: clock[-1])
    for _ in range(1000):
        log.add(logging.ERROR, "a traceback\n\x1b]0;title\x07")
    assert said == [(logging.ERROR, "a traceback\n?]0;title?")] * 20
    clock.append(60 * 10**9)
    log.add(logging.INFO, "another minute")
    more = (logging.WARNING, "980 more messages in a minute were not logged")
    assert said[20:] == [more, (logging.INFO, "another minute")]


def test_the_servers_of_a_line_that_is_killed_end_with_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = f"""
        import time
        from edge.serving import Address, Message, Served, serving
        address = Address("metrics", "127.0.0.1", {port}, None)
        settings = {{"token": None, "type": "text/plain"}}
        answers = {{"figures": lambda _: Message({{}}, b"figures")}}
        with serving(Served(address, (), "edge.serving.figures:figures_app", settings, answers)):
            time.sleep({PATIENCE_S})
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=ROOT) as line:
        eventually(lambda: _answer(port) == b"figures")
        line.kill()
    eventually(lambda: _answer(port) is None)


def _answer(port: int) -> bytes | None:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return None
