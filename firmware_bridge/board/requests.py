"""What a board is asked, as bytes (firmware/PROTOCOL.md)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from zlib import crc32

from firmware_bridge.board.packets import packet
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.types import Mode

VERSION = 2
STRETCHES_A_REQUEST = 8
SETTINGS = (
    "nm_per_count",
    "offset_um",
    "delay_ns",
    "margin_um",
    "dwell_ns",
    "min_gap_um",
    "silence_ns",
    "fastest_um_s",
)

_REQUEST = Struct("<BIII")
_HELLO = Struct("<H")
_OPEN = Struct("<iqqqqqqqB")
_NUMBER = Struct("<I")
_GREETING = Struct("<q")
_STRETCH = Struct("<qq")
_BYTE = Struct("<B")
_TAKEN = Struct("<BIqq")
_MODES = {Mode.ORDERED: 0, Mode.REJECT_ALL: 1, Mode.STOP_LINE: 1, Mode.BYPASS: 2}


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


def request(kind: Kind, sequence: int, session: int, heard: int, body: bytes) -> bytes:
    """`heard` is the number of the newest answer that has come."""
    return packet(_REQUEST.pack(kind, sequence, session, heard) + body)


def settings_crc(opening: bytes) -> int:
    """As every answer of the session has to say it."""
    return crc32(opening)


def greeted(greeting_ns: int, opening: bytes) -> bytes:
    """An opening that follows the answer to a HELLO of that time, which no other ever is of."""
    return _GREETING.pack(greeting_ns) + opening


def hello() -> bytes:
    return _HELLO.pack(VERSION)


def opening(
    settings: ActuatorTraits,
    *,
    nm_per_count: int,
    silence_ns: int,
    fastest_um_s: int,
    default_reject: bool,
) -> bytes:
    """The settings that a session is opened with."""
    return _OPEN.pack(
        nm_per_count,
        settings.offset_um,
        settings.delay_ns,
        settings.margin_um,
        settings.dwell_ns,
        settings.min_gap_um,
        silence_ns,
        fastest_um_s,
        default_reject,
    )


def stretches(number: int, stretches_um: Iterable[tuple[int, int]]) -> bytes:
    """The body of orders or passes, the first of which has this number."""
    return _NUMBER.pack(number) + b"".join(_STRETCH.pack(*stretch) for stretch in stretches_um)


def taken(before: int, kind: Kind, number: int, start_um: int, end_um: int) -> int:
    """The CRC over all that a board took, after this order or pass."""
    return crc32(_TAKEN.pack(kind, number, start_um, end_um), before)


def poll(next_event: int) -> bytes:
    """Ask for events from number `next_event` on; those before it are let go."""
    return _NUMBER.pack(next_event)


def mode_number(mode: Mode) -> int:
    """As the board says it. A line that has to stop rejects all until it stands."""
    return _MODES[mode]


def mode(mode: Mode) -> bytes:
    """Override the orders."""
    return _BYTE.pack(_MODES[mode])


def closing(*, release: bool) -> bytes:
    return _BYTE.pack(release)
