"""Messages that wait for a broker, in order, in a SQLite file that outlasts restarts and kills.

A process that is killed loses nothing that was appended; a box that loses power may lose the latest
second, since the disk is not made to wait for each message. On a disk that is full or read-only the
file is opened as soon as it can be.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from edge.errors import ConfigurationError

_ROOM = 1_000_000  # bytes: what SQLite takes to begin with, a few times over
_TABLE = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be told, and under which topic."""

    topic: str
    payload: bytes


class Spool:
    """First in, first out. Any thread may use it.

    ConfigurationError for a file that can be no spool; a disk that refuses is asked again later.
    """

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path, self._limit = path, limit
        self._count = 0
        self._lock = Lock()
        self._file: sqlite3.Connection | None = None
        try:
            self._file = self._open()
        except sqlite3.Error as error:
            if not (isinstance(error, sqlite3.OperationalError) and _refuses(path.parent)):
                raise ConfigurationError(
                    f"{path}: {error}: give mqtt.spool a file in a folder that may be written to, "
                    "and that nothing else uses"
                ) from error

    def append(self, messages: Sequence[Message]) -> int:
        """Add them all or, if the disk will not have them (sqlite3.Error), none. Returns how many
        of the oldest were given up for them.
        """
        rows = [(message.topic, message.payload) for message in messages]
        with self._lock:
            self._file = self._file or self._open()
            over: int = max(0, self._count + len(rows) - self._limit)
            with self._file as file:
                file.execute("BEGIN")
                file.executemany("INSERT INTO message (topic, payload) VALUES (?, ?)", rows)
                file.execute(
                    "DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT ?)",
                    (over,),
                )
            self._count += len(rows) - over
        return over

    def oldest(self) -> tuple[int, Message] | None:
        """The message that has waited for longest, and by what to remove it."""
        with self._lock:
            if self._file is None:
                return None
            row = self._file.execute(
                "SELECT id, topic, payload FROM message ORDER BY id LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], Message(row[1], row[2]))

    def remove(self, number: int) -> None:
        """It has arrived."""
        with self._lock:
            assert self._file is not None  # the number came from it
            removed = self._file.execute("DELETE FROM message WHERE id = ?", (number,))
            self._count -= removed.rowcount

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()

    def _open(self) -> sqlite3.Connection:
        with suppress(OSError):  # it is there already, or cannot be made: SQLite will say so
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL, 0o600))
        file = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            file.execute("PRAGMA journal_mode=WAL")
            file.execute("PRAGMA synchronous=NORMAL")
            file.execute("PRAGMA cache_size=-256")  # KiB; only the two ends of a queue are used
            file.execute(_TABLE)
            [(self._count,)] = file.execute("SELECT count(*) FROM message")
        except sqlite3.Error:
            file.close()
            raise
        return file

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuses(folder: Path) -> bool:
    """Whether its disk is full or read-only, which is no mistake in the line file."""
    if not folder.is_dir():
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _ROOM or bool(disk.f_flag & os.ST_RDONLY)
