"""A log that nobody can fill: so many lines a minute, then how many more there were."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

_MOST, _MINUTE_NS = 20, 60_000_000_000
_LONGEST = 2000  # characters


class BoundedLog:
    """What is said in it may have come from anybody."""

    def __init__(self, say: Callable[[int, str], None], clock_ns: Callable[[], int]) -> None:
        self._say, self._clock_ns = say, clock_ns
        self._since_ns: int | None = None
        self._said = 0
        self._lock = Lock()

    def add(self, level: int, text: str) -> None:
        with self._lock:
            self._add(level, text, self._clock_ns())

    def _add(self, level: int, text: str, now_ns: int) -> None:
        if self._since_ns is None or now_ns - self._since_ns >= _MINUTE_NS:
            if (more := self._said - _MOST) > 0:
                self._say(logging.WARNING, f"{more} more messages in a minute were not logged")
            self._since_ns, self._said = now_ns, 0
        self._said += 1
        if self._said <= _MOST:
            self._say(level, _printable(text[:_LONGEST]))


def _printable(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(each if each.isprintable() or each == "\n" else "?" for each in text)
