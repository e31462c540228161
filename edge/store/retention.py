"""What leaves the store: what is too much, and what is too old by a clock that can be believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from edge.line_file import StoreSettings
from edge.store.event_file import EventFile
from edge.store.pictures import remove_pictures

_RETIRE = 100  # events removed at a time
_ROW_BYTES = 1000  # of an event without its pictures, about
_MB = 1_000_000
_LEAP_S = 60  # a smaller leap of the clock makes no event too old
_EVEN_S = 6 * 3600  # within it somebody notices a wrong date; a shift is longer than that


class Calendar:
    """Follows the wall clock beside one that never leaps, and believes it once they go together.

    After a start, too: a box without a battery may come up with any date.
    """

    def __init__(self) -> None:
        self._apart_s: float | None = None
        self._even_since_s = 0.0

    def is_believable(self, now: datetime, clock_ns: int) -> bool:
        """At this moment; to be asked now and then, or leaps are found late."""
        clock_s = clock_ns / 1e9
        apart_s = now.timestamp() - clock_s
        if self._apart_s is None or abs(apart_s - self._apart_s) > _LEAP_S:
            self._apart_s, self._even_since_s = apart_s, clock_s
        return clock_s - self._even_since_s >= _EVEN_S


class Retention:
    """Of one store; belongs to its writer's thread."""

    def __init__(
        self, settings: StoreSettings, now: Callable[[], datetime], clock_ns: Callable[[], int]
    ) -> None:
        self._settings, self._now, self._clock_ns = settings, now, clock_ns
        self._calendar = Calendar()

    def retire(self, file: EventFile) -> None:
        """Remove some of what is too old or too much, oldest first."""
        over_bytes = file.size_bytes - self._settings.max_size_mb * _MB
        aged_id = 0
        now = self._now()
        # By a clock that is not to be believed nothing is too old.
        if self._calendar.is_believable(now, self._clock_ns()):
            since_utc = utc_text(now - timedelta(days=self._settings.max_age_days))
            aged_id = file.aged_id(since_utc, utc_text(now), _RETIRE)
            file.forget_account(since_utc)
        gone = []
        for event in file.oldest(_RETIRE):
            if over_bytes <= 0 and event.id > aged_id:
                break
            over_bytes -= event.size_bytes + _ROW_BYTES
            # Pictures first: if a kill left them without their event, nobody would know of them.
            remove_pictures(self._settings.path, event.id, event.pictures)
            gone.append(event)
        if gone:
            file.remove(gone)


def utc_text(at: datetime) -> str:
    """As events have it, so that it sorts as text."""
    return at.isoformat(timespec="milliseconds")
