"""What a backtest writes as it goes: a Parquet file for each run, whole or not there.

    OUT/plan.json          what is compared, and the runs that each archive was found to hold
    OUT/parts/ID.parquet   the rows of a run; one with a fault is inspected again the next time
    OUT/backtest.parquet   all rows, in order
    OUT/backtest.json      the result in figures, which `bundle activate` takes
    OUT/report.html        the result for people

Needs the extra `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import pyarrow
from pyarrow import parquet

from edge.backtest.rows import NAMES, Row
from edge.files import named, replacing, write_whole

_TEXTS = pyarrow.list_(pyarrow.string())
_WHOLE = {"run", "frame", "event", "start_um", "end_um", "inspected_um"}
_LISTS = {"old_reasons", "new_reasons", "newly_rejected", "no_longer_rejected"}


def _kind(name: str) -> pyarrow.DataType:
    if name in _WHOLE:
        return pyarrow.int64()
    if name in _LISTS:
        return _TEXTS
    others = {"picture": pyarrow.binary(), "has_defect": pyarrow.bool_()}
    return others.get(name, pyarrow.string())


SCHEMA = pyarrow.schema([(name, _kind(name)) for name in NAMES])


class TornPart(Exception):
    """A file of rows that is not what was written."""


def packed(rows: list[Row]) -> bytes:
    """As a Parquet file."""
    file = BytesIO()
    parquet.write_table(_table(rows), file)
    return file.getvalue()


def faults_in(content: bytes) -> int:
    """How many rows of such a file could not be read from their archive."""
    faults = parquet.read_table(BytesIO(content), columns=["fault"]).column("fault")
    return len(faults) - int(faults.null_count)


class Parts:
    """The rows that are there already, and those that come."""

    def __init__(self, out: Path) -> None:
        self._folder = out / "parts"
        with named(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.parquet"

    def write(self, run_id: str, content: bytes) -> None:
        write_whole(self.path(run_id), content)

    def read(self, run_id: str) -> list[Row] | None:
        """None where there is none; TornPart where it is not whole."""
        path = self.path(run_id)
        if not path.exists():
            return None
        try:
            table = parquet.read_table(path, schema=SCHEMA)
            return [Row(**values) for values in table.to_pylist()]
        except (pyarrow.ArrowException, OSError, TypeError, ValueError) as error:
            raise TornPart(f"{path} is torn ({error}): its run is inspected again") from error


@contextmanager
def writing_rows(path: Path) -> Iterator[RowWriter]:
    """All rows into one file, which takes its place once it is whole."""
    with replacing(path) as unfinished, parquet.ParquetWriter(unfinished, SCHEMA) as writer:
        yield RowWriter(writer)


class RowWriter:
    def __init__(self, writer: parquet.ParquetWriter) -> None:
        self._writer = writer

    def add(self, rows: Iterable[Row]) -> None:
        self._writer.write_table(_table(list(rows)))


def _table(rows: list[Row]) -> pyarrow.Table:
    return pyarrow.Table.from_pylist([asdict(row) for row in rows], SCHEMA)
