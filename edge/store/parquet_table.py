"""Events as a Parquet file; needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow
from pyarrow import parquet

from edge.store.event import Event
from edge.store.naming import Naming
from edge.store.table import COLUMNS, row

_TYPES = {int: pyarrow.int64(), float: pyarrow.float64(), str: pyarrow.string()}


def write_parquet(events: Sequence[Event], root: Path, out: Path, naming: Naming) -> None:
    # Spelt out, so that no events, or only some without confidence, make the same table.
    schema = pyarrow.schema([(name, _TYPES[kind]) for name, kind in COLUMNS.items()])
    table = pyarrow.Table.from_pylist([row(event, root, naming) for event in events], schema)
    parquet.write_table(table, out)
