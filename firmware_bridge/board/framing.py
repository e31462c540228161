"""The link's language: frames, requests and answers as bytes, as firmware/PROTOCOL.md has them."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from firmware_bridge.core import ActuatorSettings
from firmware_bridge.types import Mode, Reading

VERSION = 1
STRETCHES_A_REQUEST = 8
_CODED_BYTES = 254  # a frame without its noughts


class Kind(IntEnum):
    """Of a request; its answer has the top bit set as well."""

    HELLO = 1
    OPEN = 2
    ORDER = 3
    PASS = 4
    POLL = 5
    STATISTICS = 6
    CLOSE = 7
    MODE = 8


class Refusal(IntEnum):
    """Why a request was not acted on."""

    NONE = 0
    UNKNOWN = 1
    SESSION = 2
    NOT_RUNNING = 3
    FULL = 4
    SEQUENCE = 5
    STRETCH = 6
    SETTING = 7
    NO_DEFAULT = 8


class State(IntEnum):
    """What the board is doing; in all but RUNNING and RELEASED it rejects."""

    NO_SESSION = 0
    RUNNING = 1
    SILENT = 2
    ENCODER_FAILED = 3
    STALLED = 4
    CLOSED = 5
    RELEASED = 6


class EventKind(IntEnum):
    """What `first_um` and `second_um` of an event are."""

    FIRED = 1  # where it was due, where the coil acted
    MISSED = 2  # how much went by from the order's start, that start
    PULSE = 3  # from, until
    PASS = 4  # how far the rail was beyond where it is too late: below nought in time


class EventReason(IntEnum):
    """Why a stretch was missed, or a pass not heeded."""

    NONE = 0
    ARRIVED_LATE = 1
    ACTED_LATE = 2
    BYPASSED = 3


@dataclass(frozen=True, slots=True)
class Board:
    """Who answers."""

    version: int
    order_capacity: int
    counter_bits: int
    name: str


@dataclass(frozen=True, slots=True)
class BoardEvent:
    """What became of order or pass `order`; 0 is no order of the host's."""

    kind: EventKind
    reason: EventReason
    order: int
    first_um: int
    second_um: int


@dataclass(frozen=True, slots=True)
class BoardStatistics:
    """Counted by the firmware since the session was opened."""

    requests: int
    damaged: int  # frames
    repeated: int  # orders that had come before
    refused: int
    most_orders: int  # on board at once
    longest_turn_ns: int  # from one reading of the encoder to the next
    readings: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What every answer begins with, and the rest of it. The reading's clock is the board's.

    `detail` is how many stretches of an order or a pass are on board, or which of SETTINGS was
    refused, counted from 1.
    """

    kind: Kind
    sequence: int
    session: int
    state: State
    rejects: bool
    reading: Reading
    refusal: Refusal
    detail: int
    body: bytes


SETTINGS = (
    "nm_per_count",
    "offset_um",
    "delay_ns",
    "margin_um",
    "dwell_ns",
    "min_gap_um",
    "silence_ns",
)

_REQUEST = Struct("<BBI")
_HELLO = Struct("<H")
_OPEN = Struct("<iqqqqqqB")
_NUMBER = Struct("<I")
_STRETCH = Struct("<qq")
_BYTE = Struct("<B")
_ANSWER = Struct("<BBIBBqqBB")
_BOARD = Struct("<HHB")
_EVENTS = Struct("<IB")
_EVENT = Struct("<BBIqq")
_STATISTICS = Struct("<6IQ")
_ANSWERS = 0x80
_MODES = {Mode.ORDERED: 0, Mode.REJECT_ALL: 1, Mode.STOP_LINE: 1, Mode.BYPASS: 2}


def frame(body: bytes) -> bytes:
    """The body and its CRC between noughts, in COBS: each nought becomes a way to the next."""
    data = body + crc_hqx(body, 0xFFFF).to_bytes(2, "little")
    parts = data.split(b"\0")
    return b"\0" + b"".join(bytes([len(part) + 1]) + part for part in parts) + b"\0"


class FrameReader:
    """Finds frames in a stream of bytes. What is damaged is dropped and counted."""

    def __init__(self) -> None:
        self.damaged = 0
        self._coded = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        """The bodies of the undamaged frames that `received` completes."""
        *ended, rest = received.split(b"\0")
        bodies = []
        for part in ended:
            body = self._unframe(bytes(self._coded + part))
            self._coded.clear()
            if body:
                bodies.append(body)
        self._coded += rest
        del self._coded[_CODED_BYTES + 1 :]  # enough to see that it is too long
        return bodies

    def _unframe(self, coded: bytes) -> bytes:
        if not coded:
            return b""  # two noughts on end
        data, at = bytearray(), 0
        while at < len(coded):
            data += b"\0" + coded[at + 1 : at + coded[at]]
            at += coded[at]
        body, crc = bytes(data[1:-2]), bytes(data[-2:])
        fits = at == len(coded) <= _CODED_BYTES
        if fits and body and crc_hqx(body, 0xFFFF) == int.from_bytes(crc, "little"):
            return body
        self.damaged += 1
        return b""


def request(kind: Kind, sequence: int, session: int, body: bytes) -> bytes:
    return frame(_REQUEST.pack(kind, sequence, session) + body)


def hello() -> bytes:
    return _HELLO.pack(VERSION)


def opening(
    settings: ActuatorSettings, *, nm_per_count: int, silence_ns: int, default_reject: bool
) -> bytes:
    return _OPEN.pack(
        nm_per_count,
        settings.offset_um,
        settings.delay_ns,
        settings.margin_um,
        settings.dwell_ns,
        settings.min_gap_um,
        silence_ns,
        default_reject,
    )


def stretches(number: int, stretches_um: Iterable[tuple[int, int]]) -> bytes:
    """The body of orders or passes, the first of which has this number."""
    return _NUMBER.pack(number) + b"".join(_STRETCH.pack(*stretch) for stretch in stretches_um)


def poll(next_event: int) -> bytes:
    """Ask for events from number `next_event` on; those before it are let go."""
    return _NUMBER.pack(next_event)


def mode(mode: Mode) -> bytes:
    """Override the orders. A line that has to stop rejects all until it stands."""
    return _BYTE.pack(_MODES[mode])


def closing(*, release: bool) -> bytes:
    return _BYTE.pack(release)


def parse_answer(body: bytes) -> Answer | None:
    """None if it is none of this protocol's."""
    if len(body) < _ANSWER.size:
        return None
    kind, sequence, session, state, rejects, at_ns, position_um, refusal, detail = (
        _ANSWER.unpack_from(body)
    )
    try:
        return Answer(
            Kind(kind ^ _ANSWERS),
            sequence,
            session,
            State(state),
            bool(rejects),
            Reading(position_um, at_ns),
            Refusal(refusal),
            detail,
            body[_ANSWER.size :],
        )
    except ValueError:  # a number that stands for nothing
        return None


def parse_board(body: bytes) -> Board:
    version, order_capacity, counter_bits = _BOARD.unpack_from(body)
    return Board(version, order_capacity, counter_bits, body[_BOARD.size :].decode("ascii"))


def parse_events(body: bytes) -> tuple[int, list[BoardEvent]]:
    """The number of the first, and all of them."""
    first, count = _EVENTS.unpack_from(body)
    events = []
    for i in range(count):
        kind, reason, order, first_um, second_um = _EVENT.unpack_from(
            body, _EVENTS.size + i * _EVENT.size
        )
        events.append(BoardEvent(EventKind(kind), EventReason(reason), order, first_um, second_um))
    return first, events


def parse_statistics(body: bytes) -> BoardStatistics:
    return BoardStatistics(*_STATISTICS.unpack(body))
