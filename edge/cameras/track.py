"""Where the rail was at a time that has passed: the encoder's readings, and between them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from threading import Lock
from typing import Protocol

_APART_NS = 1_000_000  # nearer readings show the encoder's single counts, not the rail's motion
_MOST = 4096


class Place(Protocol):
    """How far the rail has come, and when it had come that far."""

    @property
    def position_um(self) -> int: ...

    @property
    def at_ns(self) -> int: ...


class Track:
    """The last seconds of readings. Any thread may look, and thereby add the newest one."""

    def __init__(self, where: Callable[[], Place]) -> None:
        self._where = where
        self._lock = Lock()
        self._times_ns: list[int] = []
        self._places_um: list[int] = []

    def now(self) -> Place:
        """The newest reading."""
        place = self._where()
        with self._lock:
            times, places = self._times_ns, self._places_um
            if not times or place.at_ns > times[-1]:
                if len(times) > 1 and times[-1] - times[-2] < _APART_NS:
                    del times[-1], places[-1]
                times.append(place.at_ns)
                places.append(place.position_um)
            if len(times) > _MOST:
                del times[: _MOST // 2], places[: _MOST // 2]
        return place

    def at(self, ns: int) -> int | None:
        """The position then; None if that was before the first reading still known.

        After the newest reading the rail is taken to go on as between the last two.
        """
        with self._lock:
            times, places = self._times_ns, self._places_um
            if not times or ns < times[0]:
                return None
            if len(times) == 1:
                return places[0]
            after = min(max(1, bisect_left(times, ns)), len(times) - 1)
            before_ns, after_ns = times[after - 1], times[after]
            travelled_um = places[after] - places[after - 1]
            return places[after - 1] + travelled_um * (ns - before_ns) // (after_ns - before_ns)
