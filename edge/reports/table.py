"""Each thing that was found as a row of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from edge.store import Naming, Thing

COLUMNS = (
    "run",
    "camera",
    "number",
    "class",
    "code",
    "class_score",
    "fate",
    "start_mm",
    "end_mm",
    "left_mm",
    "right_mm",
    "place",
    "area_mm2",
    "score",
    "event",
    "utc",
)


def as_csv(things: Iterable[Thing], naming: Naming) -> str:
    """In order of run, camera and place."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(COLUMNS)
    for thing in things:
        of = thing.defect
        table.writerow(
            (
                thing.run,
                thing.camera,
                of.number,
                of.label,
                of.code,
                of.class_score,
                thing.fate.said,
                of.stretch.start_um / 1000,
                of.stretch.end_um / 1000,
                of.left_um / 1000,
                of.right_um / 1000,
                naming.named(thing.run, of.stretch.start_um).text,
                of.area_mm2,
                of.score,
                thing.event,
                thing.utc,
            )
        )
    return file.getvalue()
