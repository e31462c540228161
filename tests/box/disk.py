"""A disk with a cache of its own, for nbdkit: a power cut takes what was never flushed out of it.

    nbdkit --filter=exitlast -U SOCKET python disk.py file=DISK seed=TEXT

A write lies in the cache, sector by sector, until a flush, or goes straight to the file where it
asks for that (FUA). When the one client is gone so is the power: of what still lies in the cache
any part may have reached the disk by then, in any order, so of each sector the dice decide. The
same seed and the same writes leave the same disk.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass, field

import nbdkit

API_VERSION = 2
SECTOR = 512
ASKED = {}


@dataclass
class Disk:
    """What has reached the disk, and what lies in its cache: sectors by their number."""

    file: int
    cache: dict[int, bytes] = field(default_factory=dict)

    def keep(self, sectors: list[int]) -> None:
        """Write these to the disk, neighbours together; they leave the cache."""
        start = 0
        for at in range(1, len(sectors) + 1):
            if at == len(sectors) or sectors[at] != sectors[at - 1] + 1:
                run = sectors[start:at]
                content = b"".join(self.cache.pop(sector) for sector in run)
                os.pwrite(self.file, content, run[0] * SECTOR)
                start = at


def config(key, value):
    ASKED[key] = value


def open(readonly):  # noqa: A001 - as nbdkit calls it
    return Disk(os.open(ASKED["file"], os.O_RDWR))


def get_size(disk):
    return os.fstat(disk.file).st_size


def block_size(disk):
    return (SECTOR, 4096, 1 << 25)


def pread(disk, buf, offset, flags):
    view = memoryview(buf)
    view[:] = os.pread(disk.file, len(view), offset)
    if disk.cache:
        for at in range(0, len(view), SECTOR):
            cached = disk.cache.get((offset + at) // SECTOR)
            if cached is not None:
                view[at : at + SECTOR] = cached


def pwrite(disk, buf, offset, flags):
    content = bytes(buf)
    sectors = range(offset // SECTOR, (offset + len(content)) // SECTOR)
    for number, sector in enumerate(sectors):
        disk.cache[sector] = content[number * SECTOR : (number + 1) * SECTOR]
    if flags & nbdkit.FLAG_FUA:
        disk.keep(list(sectors))


def can_fua(disk):
    return nbdkit.FUA_NATIVE


def flush(disk, flags):
    disk.keep(sorted(disk.cache))


def close(disk):
    dice = random.Random(ASKED["seed"])
    share = dice.choice((0.0, 0.5, 1.0))  # all is lost, some of it, or nothing
    left = sorted(disk.cache)
    disk.keep([sector for sector in left if dice.random() < share])
    print(f"{len(left)} sectors in the cache, {len(disk.cache)} lost", file=sys.stderr, flush=True)
    os.close(disk.file)
