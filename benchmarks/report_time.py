"""How long a report takes over a full store and ledger, in seconds of one core.

python -m benchmarks.report_time --events 100000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from edge.reports import Format, Gathered, Sources, a_run, content, gather
from edge.store.account import Part
from edge.store.event import KEPT, Event, Why
from edge.store.event_file import EventFile
from edge.types import Defect, State, Stretch
from firmware_bridge.ledger import Entry, EntryKind
from firmware_bridge.ledger.ledger_file import append, open_database

_BEGAN = datetime(2026, 1, 5, 6, tzinfo=timezone.utc)
_FRAME_UM, _FRAME_S = 88_000, 0.1
_BATCH = 5_000
_FRAMES_A_MINUTE = 600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = Sources(line="strip", store=Path(folder) / "store")
        sources = sources.model_copy(update={"ledger": Path(folder) / "ledger.sqlite"})
        _fill(sources, asked.events)
        begun = time.process_time()
        gathered = gather(sources, a_run(sources, None))
        took = {"reading": time.process_time() - begun}
        forms: tuple[Format, ...] = ("html", "pdf", "csv", "json")
        for form in forms:
            took[form] = _seconds(gathered, form)
    kept = gathered.report.kept.events
    each = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in took.items())
    print(f"{kept} events: {sum(took.values()):.2f} s in all ({each})")


def _seconds(gathered: Gathered, form: Format) -> float:
    begun = time.process_time()
    content(gathered, form)
    return time.process_time() - begun


def _fill(sources: Sources, events: int) -> None:
    """One run of ten frames a second, each with a defect or two, and their rejects."""
    sources.store.mkdir()
    rng = np.random.default_rng(1)
    began = _utc(0)
    with closing(EventFile(sources.store)) as file:
        for start in range(0, events, _BATCH):
            made = [_event(n, rng) for n in range(start, min(start + _BATCH, events))]
            file.append(made, [])
        minutes = range(0, events, _FRAMES_A_MINUTE)
        file.append(
            [], [], [_part(began, at, min(at + _FRAMES_A_MINUTE, events)) for at in minutes]
        )
    assert sources.ledger is not None
    with closing(open_database(sources.ledger)) as database, database:
        database.execute("BEGIN")
        append(database, [Entry(EntryKind.BEGUN, 0, utc=began, run=1, tag=began)])
        append(database, [entry for n in range(events) for entry in _rejected(n)])


def _utc(number: int) -> str:
    at = _BEGAN + timedelta(seconds=number * _FRAME_S)
    return at.isoformat(timespec="milliseconds")


def _event(number: int, rng: np.random.Generator) -> Event:
    start_um = number * _FRAME_UM
    defects = []
    for at in range(1 + number % 2):
        left_um, length_um = int(rng.integers(0, 70_000)), int(rng.lognormal(9, 0.6))
        begin_um = start_um + int(rng.integers(0, 60_000))
        defects.append(
            Defect(
                Stretch(begin_um, begin_um + length_um),
                left_um,
                left_um + 4_000,
                area_mm2=length_um / 500,
                score=0.9,
                box_px=(4, 8, 32, 16),
                class_name=("scratch", "pit", "crack", None)[int(rng.integers(4))],
                class_score=0.8,
                number=2 * number + at + 1,
            )
        )
    event = Event(
        utc=_utc(number),
        camera="top",
        frame=number,
        state=State.NG,
        why=Why.NG,
        start_um=start_um,
        end_um=start_um + _FRAME_UM,
        reasons=("defect of 12 mm2",),
        defects=tuple(defects),
        reported=(),
        let_by=(),
        confidence=0.9,
        unfamiliar=None,
        latency_ns=9_000_000,
        stage_ns={"preprocess": 400_000, "infer": 3_000_000, "decide": 500_000},
        bundle="ab" * 32,
        evidence=KEPT,
        pictures=("frame.png", "mask.png", "overlay.jpg", "defect0.jpg"),
        size_bytes=90_000,
        run=1,
        id=number + 1,
    )
    if number % 50 == 0:
        return replace(event, state=State.UNKNOWN, why=Why.UNKNOWN, defects=(), reasons=("dark",))
    return event


def _part(began: str, first: int, end: int) -> Part:
    unknown = len(range(first, end, 50))
    return Part(
        began=began,
        camera="top",
        part=first // _FRAMES_A_MINUTE,
        utc=_utc(first),
        bundle="ab" * 32,
        ok=0,
        ng=end - first - unknown,
        unknown=unknown,
        start_um=first * _FRAME_UM,
        end_um=end * _FRAME_UM,
        inspected_um=(end - first - unknown) * _FRAME_UM,
        unknown_um=unknown * _FRAME_UM,
        latency={90 + step: (end - first) // 8 for step in range(8)},
        latency_most_ns=40_000_000,
        run=1,
    )


def _rejected(number: int) -> list[Entry]:
    order = Entry(
        EntryKind.ORDER,
        number,
        number=number + 1,
        actuator="reject",
        rail="",
        start_um=number * _FRAME_UM,
        end_um=number * _FRAME_UM + 30_000,
        tag=f"top frame {number}",
        utc=_utc(number),
        run=1,
    )
    fired = replace(order, kind=EntryKind.FIRED, measure_um=900)
    return [order, fired, replace(fired, kind=EntryKind.PULSE, number=None, measure_um=None)]


if __name__ == "__main__":
    main()
