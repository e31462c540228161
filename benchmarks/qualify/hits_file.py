"""Specimens as a table: a CSV of `size` and `hit`, perhaps with `class` and `signal`."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.qualify.study import Specimen, Study
from edge.errors import ConfigurationError, UsageError

MEASURE = "size"
_HITS = {"1": True, "true": True, "0": False, "false": False}
_FORM = "the first line is `size,hit`, then a size above 0 and 1 or 0 on each"


@dataclass(frozen=True, slots=True)
class Row:
    """One specimen."""

    size: float
    hit: bool
    kind: str | None
    signal: float | None


def study_of_table(path: Path, decision: float | None) -> Study:
    """What somebody found of what, without a word of how; each row is one specimen."""
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


def read_hits(path: Path) -> list[Row]:
    """Every row, or the first that is wrong with its line and the remedy."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is no UTF-8 text: export it as CSV, UTF-8") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): {_FORM}") from error
    table = csv.DictReader(text.splitlines(), skipinitialspace=True)
    names = [str(name).strip().lower() for name in table.fieldnames or ()]
    if missing := {"size", "hit"} - set(names):
        raise ConfigurationError(f"{path} has no column {', '.join(sorted(missing))}: {_FORM}")
    table.fieldnames = names
    try:
        rows = [_row(row) for row in table]
    except (ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path}:{table.line_num}: {error}") from error
    if not rows:
        raise ConfigurationError(f"{path} holds no specimen: {_FORM}")
    return rows


def _row(row: dict[str, str | None]) -> Row:
    size, hit = row["size"], row["hit"]
    if size is None or hit is None or None in row:
        raise ValueError("it has not as many values as the first line has names: mend the line")
    if hit.strip().lower() not in _HITS:
        raise ValueError(f"hit is {hit!r}: write 1 for found and 0 for missed")
    size_ = number_of("size", size)
    if size_ <= 0:
        raise ValueError(f"size is {size}: a size is above 0")
    signal = row.get("signal")
    return Row(
        size_,
        _HITS[hit.strip().lower()],
        (row.get("class") or "").strip() or None,
        number_of("signal", signal) if signal and signal.strip() else None,
    )


def number_of(name: str, text: str) -> float:
    """A finite number; ValueError names what it should be."""
    try:
        number = float(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}: write a number, with a point") from error
    if not math.isfinite(number):
        raise ValueError(f"{name} is {text!r}: write a number that is finite")
    return number
