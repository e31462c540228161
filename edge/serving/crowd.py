"""Who is connected, and who has to leave: no I/O and no clock.

A guest whose request has not come whole yet, or who asks for nothing, is idle. One that is idle for
long leaves, and where there is no room for a newcomer the one that has been idle for longest leaves
at once. So requests that are begun and never ended take no place from one that is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Who = tuple[str, int]  # its address and port


@dataclass(eq=False)
class Guest:
    """One connection."""

    who: Who
    leave: Callable[[], object]
    idle_since_ns: int
    at_work: int = 0  # requests that are being answered


class Crowd:
    """All of them; at most so many, each idle for at most so long."""

    def __init__(self, most: int, idle_ns: int) -> None:
        self._most, self._idle_ns = most, idle_ns
        self._guests: dict[Who, Guest] = {}

    def __len__(self) -> int:
        return len(self._guests)

    def come(self, newcomer: Guest) -> bool:
        """Whether there is room for it; another one may have been made to leave for it."""
        if len(self._guests) >= self._most:
            idle = [guest for guest in self._guests.values() if not guest.at_work]
            if not idle:
                return False
            self._show_out(min(idle, key=lambda guest: guest.idle_since_ns))
        self._guests[newcomer.who] = newcomer
        return True

    def gone(self, guest: Guest) -> None:
        if self._guests.get(guest.who) is guest:
            del self._guests[guest.who]

    @contextmanager
    def working(self, who: Who, clock_ns: Callable[[], int]) -> Iterator[Callable[[], object]]:
        """While one of its requests is answered; gives what hangs up on it."""
        guest = self._guests.get(who)
        if guest is None:  # it has left meanwhile
            yield lambda: None
            return
        guest.at_work += 1
        try:
            yield guest.leave
        finally:
            guest.at_work -= 1
            guest.idle_since_ns = clock_ns()

    def sweep(self, now_ns: int) -> None:
        """Have those leave who were idle for too long."""
        for guest in list(self._guests.values()):
            if not guest.at_work and now_ns - guest.idle_since_ns >= self._idle_ns:
                self._show_out(guest)

    def _show_out(self, guest: Guest) -> None:
        del self._guests[guest.who]
        guest.leave()
