"""Messages that wait for a broker, in order, in a SQLite file that outlasts restarts and kills.

A process that is killed loses nothing that was appended; a box that loses power may lose the latest
second, since the disk is not made to wait for each message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from edge.errors import ConfigurationError

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
    """First in, first out. Any thread may use it."""

    def __init__(self, path: Path, *, limit: int) -> None:
        self._limit = limit
        self._count: int
        self._lock = Lock()
        try:
            self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._file.execute("PRAGMA journal_mode=WAL")
            self._file.execute("PRAGMA synchronous=NORMAL")
            self._file.execute("PRAGMA cache_size=-256")  # KiB; a queue has two ends
            self._file.execute(_TABLE)
            self._count = self._file.execute("SELECT count(*) FROM message").fetchone()[0]
        except sqlite3.Error as error:
            raise ConfigurationError(
                f"{path}: {error}: give mqtt.spool a file in a folder that may be written to, and "
                "that nothing else uses"
            ) from error

    def append(self, messages: Sequence[Message]) -> int:
        """Add them all or, if the disk will not have them (sqlite3.Error), none. Returns how many
        of the oldest were given up for them.
        """
        rows = [(message.topic, message.payload) for message in messages]
        with self._lock:
            over: int = max(0, self._count + len(rows) - self._limit)
            with self._file:
                self._file.execute("BEGIN")
                self._file.executemany("INSERT INTO message (topic, payload) VALUES (?, ?)", rows)
                self._file.execute(
                    "DELETE FROM message WHERE id IN (SELECT id FROM message ORDER BY id LIMIT ?)",
                    (over,),
                )
            self._count += len(rows) - over
        return over

    def oldest(self) -> tuple[int, Message] | None:
        """The message that has waited for longest, and by what to remove it."""
        with self._lock:
            row = self._file.execute(
                "SELECT id, topic, payload FROM message ORDER BY id LIMIT 1"
            ).fetchone()
        return None if row is None else (row[0], Message(row[1], row[2]))

    def remove(self, number: int) -> None:
        """It has arrived."""
        with self._lock:
            removed = self._file.execute("DELETE FROM message WHERE id = ?", (number,))
            self._count -= removed.rowcount

    def __len__(self) -> int:
        return self._count

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
