"""The firmware's core in this process, talked to in packets, its rail moved by hand or rolled."""

from __future__ import annotations

import ctypes
from pathlib import Path

from firmware_bridge.board import requests
from firmware_bridge.board.answers import (
    Answer,
    BoardEvent,
    Refusal,
    State,
    parse_answer,
    parse_events,
)
from firmware_bridge.board.packets import PacketReader
from firmware_bridge.board.requests import Kind
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.types import SECOND_NS
from stands.firmware import build

SESSION = 0x1234_5678
NOTHING = ActuatorTraits(offset_um=0)
ANY_SPEED = 10**12  # um/s


def load_core(into: Path) -> ctypes.CDLL:
    """Built there, with what it takes and gives."""
    core = ctypes.CDLL(str(build("library", into)))
    core.library_bridge_bytes.restype = ctypes.c_size_t
    core.library_exchange.restype = ctypes.c_size_t
    core.library_exchange.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    core.library_roll.restype = ctypes.c_size_t
    core.library_roll.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_int64,
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.c_size_t,
    ]
    core.bridge_advance.restype = ctypes.c_bool
    core.bridge_advance.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int64]
    return core


class Rail(ctypes.Structure):
    """Under an encoder, as `library.c` has it: what it reads goes up at each multiple."""

    _fields_ = (
        ("position_nm", ctypes.c_int64),
        ("nm_per_count", ctypes.c_int64),
        ("now_ns", ctypes.c_int64),
        ("rejects", ctypes.c_bool),
    )


class Turned(ctypes.Structure):
    """The output was switched after the reading of this time."""

    _fields_ = (("at_ns", ctypes.c_int64), ("rejects", ctypes.c_bool))


class Core:
    """A bridge in this process, talked to in packets, whose rail is moved by hand."""

    def __init__(self, library: ctypes.CDLL, *, bits: int = 32) -> None:
        self._library = library
        self.bridge = ctypes.create_string_buffer(library.library_bridge_bytes())
        library.library_init(self.bridge, bits)
        self._sent = ctypes.create_string_buffer(1 << 16)
        self._packets = PacketReader()
        self._next_event = 0
        self._mask = (1 << bits) - 1
        self.rejects = True
        self.count = 0
        self.now_ns = 0
        self.orders = 0
        self._switched = (Turned * 1000)()
        self.sequence = 0
        self.heard = 0

    def exchange(self, received: bytes) -> list[Answer]:
        size = self._library.library_exchange(
            self.bridge, received, len(received), self._sent, len(self._sent)
        )
        answered = ctypes.string_at(self._sent, size)
        parsed = [parse_answer(body) for body in self._packets.feed(answered)]
        answers = [answer for answer in parsed if answer is not None]
        for answer in answers:
            assert answer.number == self.heard + 1
            self.heard = answer.number
        return answers

    def request(self, kind: Kind, body: bytes = b"", *, session: int = SESSION) -> bytes:
        self.sequence += 1
        return requests.request(kind, self.sequence, session, self.heard, body)

    def ask(self, kind: Kind, body: bytes = b"", *, session: int = SESSION) -> Answer:
        [answer] = self.exchange(self.request(kind, body, session=session))
        assert answer.kind is kind
        return answer

    def open(
        self,
        actuator: ActuatorTraits = NOTHING,
        *,
        session: int = SESSION,
        nm_per_count: int = 1_000,
        silence_ns: int = 60 * SECOND_NS,
        fastest_um_s: int = ANY_SPEED,
        default_reject: bool = False,
    ) -> Answer:
        opening = requests.opening(
            actuator,
            nm_per_count=nm_per_count,
            silence_ns=silence_ns,
            fastest_um_s=fastest_um_s,
            default_reject=default_reject,
        )
        greeting_ns = self.ask(Kind.HELLO, requests.hello()).reading.at_ns
        return self.ask(Kind.OPEN, requests.greeted(greeting_ns, opening), session=session)

    def order(self, start_um: int, end_um: int, kind: Kind = Kind.ORDER) -> Refusal:
        answer = self.ask(kind, requests.stretches(self.orders + 1, [(start_um, end_um)]))
        self.orders += answer.refusal is Refusal.NONE
        return answer.refusal

    def advance(self, counts: int, wait_ns: int) -> bool:
        self.count += counts
        self.now_ns += wait_ns
        self.rejects = self._library.bridge_advance(
            self.bridge, self.count & self._mask, self.now_ns
        )
        return self.rejects

    def roll(self, rail: Rail, um_per_s: int, turn_ns: int, turns: int) -> list[tuple[int, bool]]:
        """So many turns of the board's loop; when its output was switched, and to what."""
        switched = self._switched
        count = self._library.library_roll(
            self.bridge, ctypes.byref(rail), um_per_s, turn_ns, turns, switched, len(switched)
        )
        assert count < len(switched)
        self.now_ns, self.rejects = rail.now_ns, rail.rejects
        return [(each.at_ns, each.rejects) for each in switched[:count]]

    def events(self) -> list[BoardEvent]:
        taken = []
        while True:
            answer = self.ask(Kind.POLL, requests.poll(self._next_event))
            first, events = parse_events(answer.body)
            assert first == self._next_event, "an event was lost"
            if not events:
                return taken
            self._next_event += len(events)
            taken += events

    @property
    def state(self) -> State:
        return self.ask(Kind.HELLO, requests.hello()).state
