"""What a backtest writes as it goes: a Parquet file for each run, whole or not there.

    OUT/plan.json          what is compared, and the runs that each archive was found to hold
    OUT/parts/ID.parquet   the rows of a run; one with a fault is inspected again the next time
    OUT/backtest.parquet   all rows, in order
    OUT/backtest.json      the result in figures, which `bundle activate` takes
    OUT/report.html        the result for people

Needs the extra `parquet`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, eq=False)
class Part:
    """The rows of one run, as they lie in its file."""

    table: pyarrow.Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def faults(self) -> int:
        """How many of its rows could not be read from their archive."""
        return len(self) - int(self.table.column("fault").null_count)

    def rows(self) -> list[Row]:
        columns = [self.table.column(name).to_pylist() for name in NAMES]
        return [Row(*values) for values in zip(*columns, strict=True)]


def packed(rows: list[Row]) -> bytes:
    """As a Parquet file."""
    columns = [
        pyarrow.array([getattr(row, name) for row in rows], kind)
        for name, kind in zip(NAMES, SCHEMA.types, strict=True)
    ]
    file = BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(columns, schema=SCHEMA), file)
    return file.getvalue()


def faults_in(content: bytes) -> int:
    """How many rows of such a file could not be read from their archive: no picture is unpacked."""
    return Part(parquet.read_table(BytesIO(content), columns=["fault"])).faults


def unpacked(content: bytes) -> Part:
    """The same, the other way round."""
    return Part(parquet.read_table(BytesIO(content), schema=SCHEMA))


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

    def read(self, run_id: str) -> Part | None:
        """None where there is none; TornPart where it is not whole."""
        path = self.path(run_id)
        if not path.exists():
            return None
        try:
            return unpacked(path.read_bytes())
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

    def add(self, part: Part) -> None:
        self._writer.write_table(part.table)
