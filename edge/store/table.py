"""Events as a table, one row each, and that table as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edge.store.event import Event
from edge.store.naming import Naming
from edge.store.pictures import picture_path

COLUMNS: dict[str, type] = {
    "id": int,
    "utc": str,
    "run": int,
    "camera": str,
    "frame": int,
    "state": str,
    "why": str,
    "start_mm": float,
    "end_mm": float,
    "place": str,
    "reasons": str,
    "defect_count": int,
    "defect_area_mm2": float,
    "defects": str,
    "classes": str,
    "codes": str,
    "reported_count": int,
    "reported": str,
    "let_by_count": int,
    "let_by": str,
    "confidence": float,
    "unfamiliar": float,
    "latency_ms": float,
    "bundle": str,
    "evidence": str,
    "picture": str,
}


def write_csv(events: Sequence[Event], root: Path, out: Path, naming: Naming) -> None:
    """One row for each event, under the names of its columns."""
    with out.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(row(event, root, naming) for event in events)


def row(event: Event, root: Path, naming: Naming) -> dict[str, Any]:
    """An event by column."""
    picture = picture_path(root, event.id, event.pictures[0]) if event.pictures else None
    found = event.found
    return {
        "id": event.id,
        "utc": event.utc,
        "run": event.run,
        "camera": event.camera,
        "frame": event.frame,
        "state": event.state.value,
        "why": event.why.value,
        "start_mm": event.start_um / 1000,
        "end_mm": event.end_um / 1000,
        "place": naming.named(event.run, event.start_um).text,
        "reasons": "; ".join(event.reasons),
        "defect_count": len(event.defects),
        "defect_area_mm2": sum((defect.area_mm2 for defect in event.defects), 0.0),
        "defects": json.dumps([asdict(defect) for defect in event.defects]),
        "classes": ", ".join(each.label for each in found),
        "codes": ", ".join(each.code or "" for each in found),
        "reported_count": len(event.reported),
        "reported": json.dumps([asdict(each) for each in event.reported]),
        "let_by_count": len(event.let_by),
        "let_by": json.dumps([asdict(each) for each in event.let_by]),
        "confidence": event.confidence,
        "unfamiliar": event.unfamiliar,
        "latency_ms": event.latency_ns / 1e6,
        "bundle": event.bundle,
        "evidence": event.evidence,
        "picture": None if picture is None else str(picture),
    }
