"""What a board answers (firmware/PROTOCOL.md): who it is, how it is, what became of orders."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from struct import Struct, error

from firmware_bridge.board.requests import Kind
from firmware_bridge.errors import LineError
from firmware_bridge.types import Reading

_ANSWER = Struct("<BIIIBBBIIIqqBB")
_BOARD = Struct("<HHBBBQIIq")
_PLACE = Struct("<Iq")
_EVENTS = Struct("<IB")
_EVENT = Struct("<BBIqqq")
_STATISTICS = Struct("<8IQ")
_ANSWERS = 0x80


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
    FAULT = 9
    STALE = 10


class State(IntEnum):
    """What the board is doing; in all but RUNNING and RELEASED it rejects."""

    NO_SESSION = 0
    RUNNING = 1
    SILENT = 2
    ENCODER_FAILED = 3
    STALLED = 4
    CLOSED = 5
    RELEASED = 6
    FAULTY = 7


class Fault(IntFlag):
    """What a board has found wrong with itself; only a reset ends it."""

    IMAGE = 1  # the program in its flash is not what was built
    MEMORY = 2  # does not keep what was written to it
    OUTPUT = 4  # its pin is not at the level that it is driven to
    CLOCK = 8  # its crystal, held against another oscillator


class ResetCause(IntEnum):
    """Why a board started last."""

    UNKNOWN = 0
    POWER = 1
    PIN = 2
    WATCHDOG = 3
    PROGRAM = 4
    STACK = 5


class EventKind(IntEnum):
    """What `first_um` and `second_um` of an event are."""

    FIRED = 1  # where it was due, where the coil acted
    MISSED = 2  # how much went by from the order's start, that start
    PULSE = 3  # from, until
    PASS = 4  # how far the rail was beyond where it is too late: below nought in time; its start
    RETURNED = 5  # 0, the order's start: handed back, because nearer ones needed its place


class EventReason(IntEnum):
    """Why a stretch was missed, or a pass not heeded."""

    NONE = 0
    ARRIVED_LATE = 1
    ACTED_LATE = 2
    BYPASSED = 3


@dataclass(frozen=True, slots=True)
class BoardPlace:
    """Where position 0 of a session lies on an axis that a board counts on through its sessions.

    Two sessions of one `axis` (0 is none) are as far apart as their origins.
    """

    axis: int
    origin_um: int


@dataclass(frozen=True, slots=True)
class Board:
    """Who answers. Boards without a serial number of their own say noughts."""

    version: int
    order_capacity: int
    counter_bits: int
    reset_cause: ResetCause
    faults: Fault
    serial_number: str  # 16 digits
    firmware: str  # 8 digits, the CRC of its program
    place: BoardPlace
    name: str


@dataclass(frozen=True, slots=True)
class BoardEvent:
    """What became of order or pass `order`; 0 is no order of the host's.

    `end_um` is where its stretch ends, as the board kept it; 0 for a pulse.
    """

    kind: EventKind
    reason: EventReason
    order: int
    first_um: int
    second_um: int
    end_um: int


@dataclass(frozen=True, slots=True)
class BoardStatistics:
    """Counted by the firmware since the session was opened."""

    requests: int
    damaged: int  # packets that came with a wrong CRC
    overrun: int  # bytes that came faster than they were taken
    stale: int  # requests that were not newer than the last, and were dropped
    repeated: int  # orders that had come before
    refused: int
    most_orders: int  # on board at once
    longest_turn_ns: int  # from one reading of the encoder to the next
    readings: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What every answer begins with, and the rest of it. The reading's clock is the board's.

    `detail` is how many stretches of an order or a pass are on board, which of SETTINGS was
    refused, counted from 1, or the faults for which a session was.
    """

    kind: Kind
    sequence: int
    session: int
    number: int  # of this answer, since the board's reset
    state: State
    rejects: bool
    mode: int
    settings: int  # CRC of the settings that the board acts by
    order: int  # number of the last order or pass that the board took
    orders: int  # CRC of all that were taken
    reading: Reading
    refusal: Refusal
    detail: int
    body: bytes


def parse_answer(body: bytes) -> Answer | None:
    """None if it is none of this protocol's."""
    if len(body) < _ANSWER.size:
        return None
    kind, sequence, session, number, state, rejects, *rest = _ANSWER.unpack_from(body)
    mode_now, settings, order, orders, at_ns, position_um, refusal, detail = rest
    try:
        return Answer(
            Kind(kind ^ _ANSWERS),
            sequence,
            session,
            number,
            State(state),
            bool(rejects),
            mode_now,
            settings,
            order,
            orders,
            Reading(position_um, at_ns),
            Refusal(refusal),
            detail,
            body[_ANSWER.size :],
        )
    except ValueError:  # a number that stands for nothing
        return None


def parse_board(body: bytes) -> Board:
    version, capacity, bits, cause, faults, serial, firmware, axis, origin_um = _unpack(
        _BOARD, body, "HELLO"
    )
    name = body[_BOARD.size :].decode("ascii", errors="replace")
    try:
        cause = ResetCause(cause)
    except ValueError:
        cause = ResetCause.UNKNOWN
    place = BoardPlace(axis, origin_um)
    return Board(
        version,
        capacity,
        bits,
        cause,
        Fault(faults),
        f"{serial:016x}",
        f"{firmware:08x}",
        place,
        name,
    )


def parse_place(body: bytes) -> BoardPlace:
    return BoardPlace(*_unpack(_PLACE, body, "OPEN"))


def parse_events(body: bytes) -> tuple[int, list[BoardEvent]]:
    """The number of the first, and all of them."""
    first, count = _unpack(_EVENTS, body, "POLL")
    events = []
    for i in range(count):
        at = _EVENTS.size + i * _EVENT.size
        kind, reason, *places = _unpack(_EVENT, body[at:], "POLL")
        try:
            events.append(BoardEvent(EventKind(kind), EventReason(reason), *places))
        except ValueError as unknown:
            raise _not_laid_out("POLL") from unknown
    return first, events


def parse_statistics(body: bytes) -> BoardStatistics:
    return BoardStatistics(*_unpack(_STATISTICS, body, "STATISTICS"))


def _unpack(layout: Struct, body: bytes, kind: str) -> tuple[int, ...]:
    try:
        return layout.unpack_from(body)
    except error as short:
        raise _not_laid_out(kind) from short


def _not_laid_out(kind: str) -> LineError:
    return LineError(
        f"the board's answer to a {kind} is not laid out as PROTOCOL.md has it: "
        "flash the firmware of this release"
    )
