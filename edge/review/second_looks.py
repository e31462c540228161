"""How far a network contradicts itself over an event's frame, looked at a second time.

0 is no contradiction, 1 is that one answer has nothing of what the other has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

from edge.review.side_file import Key, SideFile

_COLUMNS = "event, event_utc, bundle, mirrored, neighbour, engine"
_FILE = SideFile(
    "second-looks.sqlite",
    1,
    "CREATE TABLE IF NOT EXISTS looks (event INTEGER NOT NULL, event_utc TEXT NOT NULL, "
    "bundle TEXT NOT NULL, mirrored REAL NOT NULL, neighbour REAL, engine REAL, "
    "PRIMARY KEY (event, event_utc));",
)


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Of one event, by one bundle."""

    event: int
    event_utc: str
    bundle: str  # digest
    mirrored: float
    neighbour: float | None  # None where no frame before it, of the same rail, is kept
    engine: float | None  # None where no other was asked

    @property
    def key(self) -> Key:
        return self.event, self.event_utc

    @property
    def disagreement(self) -> float:
        """The greatest of them."""
        return max(self.mirrored, self.neighbour or 0.0, self.engine or 0.0)

    @property
    def said(self) -> str:
        """For people."""
        of = {"mirrored": self.mirrored, "neighbour": self.neighbour, "other engine": self.engine}
        return ", ".join(f"{name} {each:.2f}" for name, each in of.items() if each is not None)


def add_second_looks(root: Path, looks: Iterable[SecondLook]) -> None:
    """All of them or none, each in place of the one before it; StoreError where that fails."""
    insert = f"INSERT OR REPLACE INTO looks ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
    _FILE.add(root, insert, map(astuple, looks))


def second_looks(root: Path) -> dict[Key, SecondLook]:
    """Of each event that was looked at again."""
    query = f"SELECT {_COLUMNS} FROM looks"
    return {each.key: each for each in _FILE.read(root, lambda row: SecondLook(*row), query)}
