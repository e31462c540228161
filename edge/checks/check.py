"""One thing that was looked at, and what was found of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.errors import TracksideError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str  # what was found; if it did not pass, also what to change
    warns: bool = False  # passed, and yet somebody should look


def tried(name: str, look: Any) -> Check:
    """What `look` says is fine, unless it raises; its errors carry their remedy."""
    try:
        found = look()
    except (TracksideError, OSError) as error:
        return Check(name, False, str(error))
    return found if isinstance(found, Check) else Check(name, True, found)
