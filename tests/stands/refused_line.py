"""A line that starts where the disk refuses, and goes on when it no longer does.

    python -m stands.refused_line DISK full|read-only

Apart from the test of it, because it wants a disk that nobody else sees.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import yaml

from edge.inspect import Inspection
from edge.line_file import LineSettings, read_line
from edge.run import run_line
from edge.store import read_events
from edge.telemetry import Spool
from edge.types import State
from firmware_bridge.ledger import OUTCOMES, EntryKind, read_ledger
from stands.event_stores import fill
from stands.places import STEEL_LINE
from stands.spools import drained

BEFORE, FRAMES, MENDED_AT = 5, 40, 12  # six frames a second


def line_on(disk: Path) -> LineSettings:
    """All that a line keeps lies on the disk; nobody answers for a broker."""
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["encoder"]["speed_mm_s"] = 500
    line["reject"] |= {"ledger": str(disk / "ledger.sqlite"), "silence_ms": 20_000}
    line["store"] = {"path": str(disk / "events"), "keep_free_mb": 0.001, "max_size_mb": 3}
    spool = str(disk / "spool.sqlite")
    line["mqtt"] = {"host": "127.0.0.1", "port": 9, "topic": "plant/line", "spool": spool}
    path = disk / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return read_line(path)


def refuse(disk: Path, how: str) -> Callable[[], object]:
    """Have it refuse; what ends that."""
    if how == "full":
        return fill(disk).unlink
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    return lambda: subprocess.run(["mount", "-o", "remount,rw", disk], check=True)


def main(disk: Path, how: str) -> None:
    config = line_on(disk)
    assert config.reject.ledger and config.store and config.mqtt
    run_line(config, frames=BEFORE)
    mend = refuse(disk, how)

    def mend_it(inspection: Inspection) -> None:
        if inspection.verdict.frame_index == MENDED_AT:
            mend()

    tally = run_line(config, frames=FRAMES, watch=lambda _: mend_it)
    everything = read_ledger(config.reject.ledger)
    entries = [entry for entry in everything if entry.run == everything[-1].run]
    kept = [event for event in read_events(config.store.path) if event.run > 1]
    with closing(Spool(config.mqtt.spool, limit=1)) as spool:
        messages = list(drained(spool))
    said = {
        "kinds": [entry.kind.value for entry in entries],
        "orders": [entry.number for entry in entries if entry.kind is EntryKind.ORDER],
        "settled": [entry.number for entry in entries if entry.kind in OUTCOMES],
        "not ok": tally.frames - tally.states[State.OK],
        "kept": sum(event.state is not State.OK for event in kept),
        "verdicts": sum(message.topic.endswith("/verdict/top") for message in messages),
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
