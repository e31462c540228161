"""The file beside a ledger that says which rail has passed inspection, for the run that comes next.

It is written with each pass, so it is no entry of the ledger and costs no commit: two slots of one
page, taken in turns, which a kill leaves whole and a power cut may leave old. Old is still true.
What it says was written after the orders that were given before it; so whatever became of the
orders that did not come to be on disk, their rail is none that it lets by.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from zlib import crc32

from firmware_bridge.ledger.known import Known, Piece, Place

_SLOT = 8192  # bytes; 64 pieces and a place take 5,000 at most
_HEAD = 8  # of a slot: CRC-32 and length of what follows
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """The id of the machine's present boot; empty where the system does not say."""
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def since_boot_ns() -> int:
    """On a clock that goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class KnownFile:
    """Open for its one writer. OSError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # so that a disk that fills up later does no harm
        os.posix_fallocate(self._file, 0, 2 * _SLOT)
        self._number = max((number for number, _ in self._slots()), default=0)

    def read(self) -> Known | None:
        """The latest that is whole."""
        latest = max(self._slots(), key=lambda slot: slot[0], default=None)
        return None if latest is None else latest[1]

    def write(self, known: Known | None) -> None:
        """None: nothing is known any more."""
        self._number += 1
        said = None if known is None else asdict(known)
        body = json.dumps([self._number, said], separators=(",", ":")).encode()
        head = crc32(body).to_bytes(4, "little") + len(body).to_bytes(4, "little")
        os.pwrite(self._file, head + body, self._number % 2 * _SLOT)

    def close(self) -> None:
        os.close(self._file)

    def _slots(self) -> list[tuple[int, Known | None]]:
        found = []
        for start in (0, _SLOT):
            slot = os.pread(self._file, _SLOT, start)
            length = int.from_bytes(slot[4:_HEAD], "little")
            body = slot[_HEAD : _HEAD + length]
            if not body or crc32(body) != int.from_bytes(slot[:4], "little"):
                continue
            try:
                number, said = json.loads(body)
                found.append((int(number), None if said is None else _known(said)))
            except (TypeError, ValueError, KeyError):
                continue  # written by another release
        return found


def _known(said: dict[str, object]) -> Known:
    place, passed = said.pop("place"), said.pop("passed")
    assert isinstance(place, dict)
    assert isinstance(passed, list)
    pieces = tuple(Piece(**piece) for piece in passed)
    return Known(place=Place(**place), passed=pieces, **said)  # type: ignore[arg-type]
