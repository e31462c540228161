"""The word that lets somebody in, and how long whoever guesses has to wait for the next try.

No I/O; times are asked of the clock that is given.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

_FIRST_NS, _LONGEST_NS = 500_000_000, 8_000_000_000
_FORGET_NS = 600_000_000_000
_MOST = 256  # addresses; beyond this the oldest is forgotten

log = logging.getLogger("trackside")


class TooManyGuesses(Exception):
    """Wait for so many seconds."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"too many wrong tokens from here: wait {wait_s:.0f} s")
        self.wait_s = wait_s


@dataclass
class _Guessing:
    wait_ns: int
    until_ns: int


class Token:
    """It is held against what is said; each wrong word is logged, with the address it came from."""

    def __init__(self, word: str, clock_ns: Callable[[], int]) -> None:
        self._word, self._clock_ns = word.encode(), clock_ns
        self._guessing: dict[str, _Guessing] = {}

    def is_borne(self, authorization: str, whose: str) -> bool:
        """By an `Authorization` header; raises TooManyGuesses."""
        scheme, _, word = authorization.partition(" ")
        return scheme.lower() == "bearer" and self.is_given(word.strip(), whose)

    def is_given(self, word: str, whose: str) -> bool:
        """Raises TooManyGuesses where `whose` address has to wait before it may say another."""
        now_ns, whose = self._clock_ns(), _neighbourhood(whose)
        guessing = self._guessing.get(whose)
        if guessing is not None and now_ns < guessing.until_ns:
            raise TooManyGuesses((guessing.until_ns - now_ns) / 1e9)
        if hmac.compare_digest(word.encode(), self._word):
            self._guessing.pop(whose, None)
            return True
        self._note_wrong(whose, now_ns)
        log.warning("a wrong token from %s", whose)
        return False

    def _note_wrong(self, whose: str, now_ns: int) -> None:
        """Each time it waits twice as long."""
        before = self._guessing.pop(whose, None)
        if before is None or now_ns - before.until_ns > _FORGET_NS:
            wait_ns = _FIRST_NS
        else:
            wait_ns = min(2 * before.wait_ns, _LONGEST_NS)
        while len(self._guessing) >= _MOST:
            del self._guessing[next(iter(self._guessing))]
        self._guessing[whose] = _Guessing(wait_ns, now_ns + wait_ns)


def _neighbourhood(address: str) -> str:
    """What one machine can have many of is taken for one."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
        return f"{IPv6Address(int(known) >> 64 << 64)}/64"
    return address
