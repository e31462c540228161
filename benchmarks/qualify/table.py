"""A study of a table: what somebody found of what, without a word of how."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from benchmarks.qualify.hits_file import read_hits
from benchmarks.qualify.study import Specimen, Study
from edge.errors import UsageError

MEASURE = "size"


def study_of_table(path: Path, decision: float | None) -> Study:
    """Each row is one specimen."""
    rows = read_hits(path)
    if decision is not None and all(row.signal is None for row in rows):
        raise UsageError(f"--decision wants a column `signal` in {path}: add one, or leave it out")
    specimens = [
        Specimen(row.kind, {MEASURE: row.size}, (row.hit,), row.signal, f"line {number}")
        for number, row in enumerate(rows, start=2)
    ]
    return Study(
        origin="hits",
        population=f"whatever the {len(rows)} specimens of {path.name} are a fair sample of, found "
        "as whoever found them does",
        of=None,
        specimens=specimens,
        measure=MEASURE,
        data={path.name: sha256(path.read_bytes()).hexdigest()},
        decision=decision,
        signal=f"the column `signal` of {path.name}",
        limits=("who found, how and under what conditions the table does not say",),
    )
