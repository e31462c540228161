"""Files that are open, held against what lies there by their names.

What was removed or replaced while it is open is written on all the same, and nobody ever reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Identity = tuple[int, int]


class OpenFiles:
    """A database and what SQLite keeps beside it, as one writer has them open."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._paths = [database.with_name(database.name + end) for end in ("", "-wal", "-shm")]
        self._opened: dict[Path, Identity] = {}
        self.note()

    def note(self) -> None:
        """Those that have come since are ours: a log comes with the first commit."""
        for path in self._paths:
            if (identity := _identity(path)) is not None:
                self._opened.setdefault(path, identity)

    def gone(self) -> Path | None:
        """The first that is no longer there, or is another one."""
        for path, opened in self._opened.items():
            if _identity(path) != opened:
                return path
        return None

    def strangers(self) -> Sequence[Path]:
        """What lies there under these names and is not open."""
        return [p for p in self._paths if _identity(p) not in {None, self._opened.get(p)}]

    def remove_logs(self) -> None:
        """Ours, whose database is gone: whoever opens another would lay them over it."""
        for path in self._paths[1:]:
            if _identity(path) == self._opened.get(path):
                path.unlink(missing_ok=True)

    @property
    def is_in_place(self) -> bool:
        """Whether the database itself is where it was."""
        return _identity(self._database) == self._opened.get(self._database)


def _identity(path: Path) -> Identity | None:
    try:
        there = path.stat()
    except OSError:
        return None
    return there.st_dev, there.st_ino
