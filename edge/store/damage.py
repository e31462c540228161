"""A store that holds garbage is set aside, whole; of a disk that refuses it is said what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from edge.line_file import DATABASE

# Faults of the disk, not of a setting: the line starts, and inspects without its store meanwhile.
DISK_FAULTS = (errno.EROFS, errno.EIO, errno.ENOSPC, errno.EDQUOT)
_ASIDE = "events.damaged-"
_REMEDIES = {
    "readonly": "its disk or its file is read-only: see `dmesg` for why, and let it be written",
    "Read-only": "see `dmesg` for why, and mount it for writing",
    "locked": "end the program that holds it",
}


def is_damage(error: Exception) -> bool:
    """Whether the file is at fault; of a disk that refuses SQLite says OperationalError."""
    return isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.OperationalError)


def is_emptied(root: Path) -> bool:
    """SQLite would take it for a new one, and its pictures would be swept away."""
    database = root / DATABASE
    return database.exists() and not database.stat().st_size and (root / "images").exists()


def told(error: sqlite3.Error | OSError) -> str:
    """What is wrong, and what to do."""
    what = str(getattr(error, "strerror", None) or error)
    if is_damage(error):
        return f"{what}: it is damaged, or no store: a line that starts with it sets it aside"
    remedies = [remedy for words, remedy in _REMEDIES.items() if words in what]
    return f"{what}: {(*remedies, 'make room on its disk, and see `dmesg` for its faults')[0]}"


def set_aside(root: Path, at: datetime, only: Sequence[Path] | None = None) -> Path:
    """Move a store's files and pictures, or only some, to a folder of their own; which that is.

    The database goes last: whoever is killed before finds it at the next start, and a new one never
    comes to lie beside the log and the pictures of another.
    """
    aside = root / f"{_ASIDE}{at:%Y%m%dT%H%M%SZ}"
    aside.mkdir(exist_ok=True)
    for name in ("images", f"{DATABASE}-wal", f"{DATABASE}-shm", DATABASE):
        if only is None or root / name in only:
            with suppress(FileNotFoundError):
                (root / name).rename(aside / name)
    with suppress(OSError):  # nothing lay there
        aside.rmdir()
    return aside


def kept_aside(root: Path) -> list[Path]:
    """What was set aside and nobody has removed, the latest last."""
    return sorted(root.glob(f"{_ASIDE}*"))
