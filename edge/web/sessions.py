"""Browsers that gave the token, until they leave or their time is up. No I/O and no clock."""

from __future__ import annotations

import secrets

_MOST = 64  # beyond this the oldest gives way


class Sessions:
    """Each has a name that nobody guesses and that says nothing; they end with the process."""

    def __init__(self, age_ns: int) -> None:
        self._age_ns = age_ns
        self._end_ns: dict[str, int] = {}

    def begin(self, now_ns: int) -> str:
        """Its name."""
        self._end_ns = {name: end for name, end in self._end_ns.items() if now_ns < end}
        while len(self._end_ns) >= _MOST:
            del self._end_ns[next(iter(self._end_ns))]
        name = secrets.token_urlsafe(32)
        self._end_ns[name] = now_ns + self._age_ns
        return name

    def is_open(self, name: str, now_ns: int) -> bool:
        return now_ns < self._end_ns.get(name, now_ns)

    def end(self, name: str) -> None:
        self._end_ns.pop(name, None)
