"""A database of its own beside a store's events: whoever writes it never waits for the line.

Nor does the line for them, and any number of programs may write it. What it says of an event goes
by the event's number and moment: a store that is begun anew counts from 1 again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edge.errors import StoreError
from edge.line_file import DATABASE

Key = tuple[int, str]  # of an event: its number, its moment
Row = TypeVar("Row")


@dataclass(frozen=True)
class SideFile:
    """One kind of them."""

    name: str
    version: int
    schema: str

    def add(self, root: Path, insert: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """All of them or none; StoreError where there is no store, or its disk refuses."""
        if not (root / DATABASE).exists():
            raise StoreError(f"{root} holds no event store: give the path that the line file has")
        with self._said_of(root), closing(sqlite3.connect(root / self.name, timeout=10)) as file:
            if not self._version(file):
                file.executescript(
                    f"BEGIN IMMEDIATE; {self.schema} PRAGMA user_version = {self.version}; COMMIT;"
                )
            with file:
                file.executemany(insert, rows)

    def read(
        self, root: Path, make: Callable[[Any], Row], query: str, values: tuple[Any, ...] = ()
    ) -> Iterator[Row]:
        """What is made of its rows; nothing where nobody has written it yet. StoreError where it
        cannot be read.
        """
        path = root / self.name
        if not path.exists():
            return
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with self._said_of(root), closing(sqlite3.connect(uri, uri=True, timeout=10)) as file:
            if self._version(file):  # else whoever writes it first is just making it
                yield from map(make, file.execute(query, values))

    def _version(self, file: sqlite3.Connection) -> int:
        [(version,)] = file.execute("PRAGMA user_version")
        if version not in {0, self.version}:
            raise sqlite3.DatabaseError(f"it is of version {version}, not {self.version}")
        return int(version)

    @contextmanager
    def _said_of(self, root: Path) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{root / self.name}: {error}: make room on its disk, or move it away if it is "
                "damaged"
            ) from error
