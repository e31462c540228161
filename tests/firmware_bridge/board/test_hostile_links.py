"""Links and boards that do what they must not: each is noticed, bounded and named.

The firmware runs on this machine behind a cable that lies, or a liar sits at the port itself.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from struct import Struct

import pytest

from firmware_bridge.board import requests
from firmware_bridge.board.answers import Refusal
from firmware_bridge.board.packets import PacketReader, packet
from firmware_bridge.board.requests import Kind
from firmware_bridge.board.serial_link import SerialLink
from firmware_bridge.board.serial_talk import Talk
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.errors import LineError, RejectorStopped
from firmware_bridge.types import SECOND_NS, Fired, Mode
from stands.boards import (
    CLOCK,
    MM,
    Cable,
    HostBoard,
    LateBoard,
    LyingBoard,
    ahead_um,
    open_link,
    unharmed,
)
from stands.firmware import build
from stands.waiting import eventually

HEADER = Struct("<BIII")


def stops(link: SerialLink, why: str) -> None:
    """The link says so at the next check, and so at every later one."""

    def is_stopped() -> bool:
        try:
            link.check()
        except RejectorStopped:
            return True
        return False

    eventually(is_stopped)
    with pytest.raises(RejectorStopped, match=why):
        link.check()


class Requests:
    """Sees each request whole on its way to the board, and may make others of it."""

    def __init__(self, change: Callable[[bytes], list[bytes]]) -> None:
        self._reader = PacketReader()
        self._change = change

    def __call__(self, carried: bytes) -> bytes:
        return b"".join(
            packet(changed) for body in self._reader.feed(carried) for changed in self._change(body)
        )


# --- orders that do not get through --------------------------------------------------------------


def test_an_order_that_waits_for_a_link_too_slow_for_it_stops_the_line(host_cable: Cable) -> None:
    """Each request for orders must be sent four times: far slower than they come."""
    tries: dict[bytes, int] = {}

    def forgetful(body: bytes) -> list[bytes]:
        if body[0] != Kind.ORDER:
            return [body]
        number = body[HEADER.size : HEADER.size + 4]
        tries[number] = tries.get(number, 0) + 1
        return [body] if tries[number] % 4 == 0 else []

    link = open_link(host_cable.port, silence_ns=SECOND_NS)
    host_cable.to_board = Requests(forgetful)
    with pytest.raises(RejectorStopped, match=r"an order has waited .* to be sent"):
        for i in range(1_000):
            link.submit((1_000 + i) * MM, (1_001 + i) * MM, f"defect {i}")
            time.sleep(0.005)
    before_um = link._session.reading.position_um
    eventually(lambda: link._session.reading.position_um > before_um)  # it is asked for news still
    host_cable.to_board = unharmed
    assert link.statistics().unsent > 0


def test_corrupt_bytes_leave_no_order_without_an_outcome(host_cable: Cable) -> None:
    """At 1 in 125 a request of eight orders seldom gets through; shorter ones do."""
    chance = random.Random(5)

    def corrupt(carried: bytes) -> bytes:
        return bytes(byte ^ 16 if chance.random() < 0.008 else byte for byte in carried)

    with open_link(host_cable.port, ActuatorTraits(offset_um=50 * MM, margin_um=MM)) as link:
        host_cable.to_board = host_cable.to_host = corrupt
        for i in range(40):
            link.submit(i * MM // 2, i * MM // 2 + 300, f"defect {i}")
        eventually(lambda: link.report().pending == 0)
        host_cable.to_board = host_cable.to_host = unharmed
        report = link.report()
    assert report.ordered == report.fired + report.missed == 40
    assert link.statistics().damaged + link.statistics().board.damaged > 0


def test_a_near_order_overtakes_more_far_ones_than_the_board_holds(host_cable: Cable) -> None:
    with open_link(host_cable.port) as link:
        for i in range(125):
            link.submit((10_000 + 10 * i) * MM, (10_001 + 10 * i) * MM, f"far {i}")
        eventually(lambda: link.statistics().unsent == 5)
        at_um = ahead_um(link)
        link.submit(at_um, at_um + 10 * MM, "near")
        eventually(lambda: link.report().fired == 1)
        (outcome,) = link.report().outcomes
        assert isinstance(outcome, Fired)
        assert (outcome.order.tag, link.report().pending) == ("near", 125)
        eventually(lambda: link.statistics().unsent == 5)  # the one handed back went again
        link.check()


def test_what_a_board_takes_when_it_is_asked_once_more_is_not_overlooked() -> None:
    """It was full when it was asked first, and there was room when the same came again."""
    full = {"refusal": int(Refusal.FULL)}
    with LateBoard({Kind.ORDER: full}) as board:
        talk = Talk(board.port, 115_200, CLOCK)
        answer = talk.ask(Kind.ORDER, 1, [b"an order"], patience_ns=SECOND_NS)
        talk.close()
    assert (answer.refusal, talk.resent) == (Refusal.NONE, 1)


# --- what nobody here asked for ------------------------------------------------------------------


def test_a_stray_bypass_is_a_failure_and_the_board_rejects(
    host_board: HostBoard, host_cable: Cable
) -> None:
    strays = [requests.mode(Mode.BYPASS)]

    def stray(body: bytes) -> list[bytes]:
        kind, sequence, session, heard = HEADER.unpack_from(body)
        if kind != Kind.POLL or not strays:
            return [body]
        return [body, HEADER.pack(Kind.MODE, sequence + 1, session, heard) + strays.pop()]

    link = open_link(host_cable.port, silence_ns=2 * SECOND_NS)
    host_cable.to_board = Requests(stray)
    stops(link, "in mode 2 though it was told|answered more questions than were asked")
    eventually(host_board.rejects)


def test_a_bypass_that_comes_again_is_not_acted_on(
    host_board: HostBoard, host_cable: Cable
) -> None:
    seen: list[bytes] = []

    def replay(body: bytes) -> list[bytes]:
        if body[0] == Kind.MODE:
            seen.append(body)
        return [body, *seen[:1]]

    with open_link(host_cable.port) as link:
        host_cable.to_board = Requests(replay)
        link.hold("key", Mode.BYPASS, "turned")
        eventually(lambda: link.mode is Mode.BYPASS)
        link.release("key", "turned back")
        eventually(lambda: link.mode is Mode.ORDERED)
        link.submit(100 * MM, 101 * MM, "after it")
        eventually(lambda: link.report().fired == 1)
        host_cable.to_board = unharmed
    assert link.statistics().board.stale > 0


def test_an_order_altered_on_its_way_is_noticed_before_it_is_due(host_cable: Cable) -> None:
    def alter(body: bytes) -> list[bytes]:
        return [body[:17] + b"\1" + body[18:] if body[0] == Kind.ORDER else body]

    link = open_link(host_cable.port)
    host_cable.to_board = Requests(alter)
    link.submit(500 * MM, 501 * MM, "half a metre on")
    stops(link, "something altered them on their way")


def test_a_reset_board_whose_session_is_opened_again_is_noticed(
    host_board: HostBoard, host_cable: Cable
) -> None:
    opening: list[bytes] = []

    def record(body: bytes) -> list[bytes]:
        if body[0] in {Kind.HELLO, Kind.OPEN}:
            opening.append(body)
        return [body]

    host_cable.to_board = Requests(record)
    link = open_link(host_cable.port)
    host_cable.to_board = unharmed
    host_board.reset()
    for body in opening:
        host_board.link.sendall(packet(body))
    stops(link, "it was reset")


def test_another_board_on_the_port_is_named(
    host_board: HostBoard, host_cable: Cable, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(LineError, match="serial number 00000000000b0a2d, not 0000000000000001"):
        open_link(host_cable.port, serial_number=f"{1:016x}")
    with pytest.raises(LineError, match="runs the firmware 00000000, not deadbeef"):
        open_link(host_cable.port, serial_number=f"{0xB0A2D:016x}", firmware="deadbeef")
    link = open_link(host_cable.port, serial_number=f"{0xB0A2D:016x}")
    assert link.board.serial_number == "00000000000b0a2d"
    (tmp_path / "other").mkdir()
    other = HostBoard(tmp_path / "other", build("host", images), serial_number=0x07E2)
    try:
        host_cable.plug(other.link)
        stops(link, "another is on the port, 00000000000007e2; plug 00000000000b0a2d in")
    finally:
        host_cable.plug(host_board.link)
        other.close()


def test_sessions_of_one_board_lie_on_one_axis(host_board: HostBoard, host_cable: Cable) -> None:
    """The board counts on whoever is connected, so a place of the last run is one of this run."""
    with open_link(host_cable.port) as first:
        eventually(lambda: first.read().position_um > 2 * MM)
        last = first.read()
    with open_link(host_cable.port) as second:
        assert second.place.axis == first.place.axis != 0
        began_um = second.place.origin_um - first.place.origin_um
        assert last.position_um <= began_um
        now = second.read()
        meant_um = last.position_um + 50_000 * (now.at_ns - last.at_ns) // SECOND_NS
        assert began_um + now.position_um == pytest.approx(meant_um, abs=5 * MM)
    host_board.reset()
    with open_link(host_cable.port) as third:
        assert third.place.axis not in {0, second.place.axis}


# --- liars ---------------------------------------------------------------------------------------


LIES = {
    "refuses HELLO": ("refuses a HELLO", {Kind.HELLO: {"refusal": 1}}),
    "a HELLO of three bytes": ("HELLO is not laid out", {Kind.HELLO: {"cut": 3}}),
    "events of two bytes": ("POLL is not laid out", {Kind.POLL: {"cut": 2}}),
    "took 0, not full": ("took 0 of 1 and is not full", {Kind.ORDER: {}}),
    "endless events": ("more news than can come", {Kind.POLL: {"pulses": 4}}),
    "an event of nothing": ("an order that it does not have", {Kind.POLL: {"fired": 7}}),
    "beyond any speed": ("the position leapt", {Kind.POLL: {"leaps_um": 10**9}}),
    "other settings": ("acts by settings of CRC", {Kind.POLL: {"settings": 1}}),
    "its first answer again": ("answers count from", {Kind.POLL: {"number": 1}}),
    "forty of each answer": ("answers that nobody asked for, to", {Kind.POLL: {"times": 40}}),
    "what it is asked": ("packets came that are no answers", {Kind.POLL: {"echo": True}}),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_no_board_says_stops_the_line_and_is_named(lie: str) -> None:
    why, lies = LIES[lie]
    with LyingBoard(lies) as liar:
        try:
            link = open_link(liar.port, silence_ns=2 * SECOND_NS)
        except LineError as refused:
            link, said = None, str(refused)
        if link is not None:
            if Kind.ORDER in lies:
                link.submit(1_000 * MM, 1_001 * MM, "")
            failed = link
            eventually(lambda: failed._failure is not None)
            with pytest.raises(RejectorStopped) as raised:
                link.close()
            said = str(raised.value.__cause__)
    assert why in said


# --- slow lines ----------------------------------------------------------------------------------


def test_closing_over_a_slow_line_takes_its_time_and_blames_no_port(host_cable: Cable) -> None:
    def slow(carried: bytes) -> bytes:
        time.sleep(len(carried) * 10 / 4800)
        return carried

    link = open_link(host_cable.port, silence_ns=4 * SECOND_NS, baud=4800)
    for i in range(12):
        link.submit((21 + i) * MM, (21 + i) * MM + 500, "")
    host_cable.to_board = host_cable.to_host = slow
    link.close()
    host_cable.to_board = host_cable.to_host = unharmed
    assert link.report().ordered == 12
