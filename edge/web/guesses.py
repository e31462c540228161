"""Whoever gave a wrong token waits, each time twice as long. No I/O and no clock."""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_NS, _LONGEST_NS = 500_000_000, 8_000_000_000
_FORGET_NS = 600_000_000_000
_MOST = 256  # addresses; beyond this the oldest is forgotten


@dataclass
class _Guessing:
    wait_ns: int
    until_ns: int


class Guesses:
    """By address: a plant's users behind one proxy wait for each other's."""

    def __init__(self) -> None:
        self._of: dict[str, _Guessing] = {}

    def wait_ns(self, who: str, now_ns: int) -> int:
        """Until its next word is looked at."""
        guessing = self._of.get(who)
        return 0 if guessing is None else max(0, guessing.until_ns - now_ns)

    def wrong(self, who: str, now_ns: int) -> None:
        before = self._of.pop(who, None)
        if before is None or now_ns - before.until_ns > _FORGET_NS:
            wait_ns = _FIRST_NS
        else:
            wait_ns = min(2 * before.wait_ns, _LONGEST_NS)
        while len(self._of) >= _MOST:
            del self._of[next(iter(self._of))]
        self._of[who] = _Guessing(wait_ns, now_ns + wait_ns)

    def right(self, who: str) -> None:
        self._of.pop(who, None)
