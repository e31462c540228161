"""What the store's tests keep, and programs that keep it until they are killed or the disk is full.

Apart from those tests, because these programs should start in no time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import numpy as np

from edge.inspect import Inspection
from edge.line_file import StoreSettings
from edge.store import EventStore, read_events
from edge.types import Defect, Frame, LostFrame, Mask, State, Stretch, Verdict
from stands.waiting import PATIENCE_S

SIZE = 64
DIGEST = "ab" * 32


def settings(path: Path, **changes: float) -> StoreSettings:
    return StoreSettings(path=path, **{"keep_free_mb": 0.001, **changes})


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


@dataclass
class Clocks:
    """A wall clock, and one that never leaps."""

    utc: datetime = datetime(2030, 1, 1, tzinfo=timezone.utc)
    ns: int = 0

    def go_on(self, *, days: float) -> None:
        self.leap(days=days)
        self.ns += round(days * 86_400e9)

    def leap(self, *, days: float) -> None:
        self.utc += timedelta(days=days)


def inspection(index: int, state: State = State.NG, score: float = 0.9) -> Inspection:
    """A frame of noise, with a square that is as likely a defect as `score` says."""
    image = np.random.default_rng(index).integers(0, 255, (SIZE, SIZE), np.uint8)
    stretch = Stretch(index * 16_000, (index + 1) * 16_000)
    frame = Frame(index, image, 1_000, stretch, 250)
    if state is State.UNKNOWN:
        lost = LostFrame(index, 1_000, stretch, "cable")
        return Inspection(
            lost, Verdict(state, index, stretch, (), ("cable",)), None, {}, 2_000, DIGEST
        )
    logits = np.full((SIZE, SIZE), -9, np.float32)
    logits[8:24, 4:36] = np.log(score / (1 - score))
    piece = Stretch(stretch.start_um + 2_000, stretch.start_um + 6_000)
    defect = Defect(piece, 1_000, 9_000, 32.0, score, (4, 8, 32, 16), number=1)
    found = (defect,) if state is State.NG else ()
    reasons = ("32 mm2",) if found else ()
    verdict = Verdict(state, index, stretch, found, reasons)
    return Inspection(frame, verdict, Mask(logits, 0.5), {"infer": 700}, 9_000, DIGEST)


def say(what: object) -> None:
    """A line in one write: a process killed in the middle of `print` leaves a line half said."""
    os.write(sys.stdout.fileno(), f"{what}\n".encode())


def fork_when_told(path: Path) -> None:
    """For each line that comes, a process that records until it is killed; it imports nothing."""
    for _ in sys.stdin:
        if child := os.fork():
            os.waitpid(child, 0)
            say("dead")
        else:
            say(os.getpid())
            record_without_end(path)


def record_without_end(path: Path) -> None:
    """Say how many events are on disk."""
    with EventStore(settings(path, max_size_mb=2), utc_now) as store:
        for index in range(10**9):
            store.record(inspection(index))
            if index % 5 == 4:
                store.flush(PATIENCE_S)
                say(index + 1)


def fill(disk: Path) -> Path:
    """To the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while os.statvfs(disk).f_bavail != 0:
            file.write(b"x" * 4096)
    return filler


def record_on_a_small_disk(path: Path) -> None:
    """Until there is room for events only, then for nothing at all, and then again."""
    ballast = path / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    small = settings(path / "store", keep_free_mb=1.5, queue_frames=1000)
    with EventStore(small, utc_now) as store:
        for index in range(200):
            store.record(inspection(index))
        assert store.flush(PATIENCE_S)
        dropped, trouble = store.pictures_dropped, store.trouble
        filler = fill(path)
        for index in range(200, 400):
            store.record(inspection(index))
        while "cannot be written" not in (store.trouble or ""):
            time.sleep(0.01)
        refused = store.trouble
        filler.unlink()
        assert store.flush(PATIENCE_S)
        ballast.unlink()
        store.record(inspection(400))
        assert store.flush(PATIENCE_S)
        said = [dropped, trouble, refused, store.trouble, store.events_lost]
    evidence = [event.evidence for event in read_events(path / "store")]
    print(json.dumps([*said, evidence]), flush=True)


def start_on_a_full_disk(path: Path) -> None:
    """A store that was there before, on a disk without a byte left."""
    with EventStore(settings(path / "store"), utc_now) as store:
        store.record(inspection(0))
    filler = fill(path)
    with EventStore(settings(path / "store"), utc_now) as store:
        store.record(inspection(1))
        while store.trouble is None:
            time.sleep(0.01)
        filler.unlink()
        assert store.flush(PATIENCE_S)
        store.record(inspection(2))
    print(json.dumps([[e.frame, e.evidence] for e in read_events(path / "store")]), flush=True)


def start_on_a_read_only_disk(path: Path) -> None:
    """A store that was there before, on a disk that may not be written for a while."""
    doctor = import_module("edge.commissioning.doctor")  # here: the other programs start in no time
    kept = settings(path / "store")
    with EventStore(kept, utc_now) as store:
        store.record(inspection(0))
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    checks = doctor.check_store(kept), doctor.check_writing({kept.path / "events.sqlite"})
    with EventStore(kept, utc_now) as store:
        store.record(inspection(1))
        trouble = store.trouble
        subprocess.run(["mount", "-o", "remount,rw", path], check=True)
        assert store.flush(PATIENCE_S)
        store.record(inspection(2))
    evidence = [[event.frame, event.evidence] for event in read_events(kept.path)]
    said = [[check.passed, check.detail] for check in checks]
    print(json.dumps([evidence, trouble, store.trouble, said]), flush=True)
