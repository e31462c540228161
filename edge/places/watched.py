"""What is looked at over and over while a line runs, and says a place when it changes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edge.clock import clock_ns
from edge.errors import TracksideError
from edge.line_file import CoilSettings, KeyNameSettings, PostsSettings
from edge.places.journal import PlaceBook
from edge.places.live_places import LivePlaces
from edge.places.mark import Kind, PlaceRefused, chainage_of, name_of

_MOST_BYTES = 4096  # of a file that holds a name

IsActive = Callable[[], bool]

log = logging.getLogger("trackside")


class Posts:
    """An input that becomes active at each kilometre post."""

    def __init__(self, settings: PostsSettings, places: LivePlaces, is_active: IsActive) -> None:
        self._settings, self._places, self._is_active = settings, places, is_active
        self._was_active = is_active()
        self._every_um = round(settings.every_m * 1e6)
        self._first_um = None if settings.first_km is None else chainage_of(settings.first_km)

    def look(self, now_ns: int) -> None:
        is_active, before = self._is_active(), self._was_active
        self._was_active = is_active
        if is_active and not before:
            self._pass_post(now_ns)

    def _pass_post(self, now_ns: int) -> None:
        offset_mm = self._settings.offset_mm
        known_um = self._places.chainage_um_at(now_ns, offset_mm)
        if known_um is None and self._first_um is None:
            raise PlaceRefused(
                "a post went by, and nobody has said which: give posts.first_km, or press at one"
            )
        first_um = self._first_um or 0
        chainage_um = first_um
        if known_um is not None:
            chainage_um += round((known_um - first_um) / self._every_um) * self._every_um
        self._places.mark(
            Kind.ANCHOR, "post", at_ns=now_ns, offset_mm=offset_mm, chainage_um=chainage_um
        )


class CoilSensor:
    """An input that is active while strip is under it."""

    def __init__(self, settings: CoilSettings, places: LivePlaces, is_active: IsActive) -> None:
        self._settings, self._places, self._is_active = settings, places, is_active
        self._was_active = False  # strip that is there at the start begins with the run

    def look(self, now_ns: int) -> None:
        is_active, before = self._is_active(), self._was_active
        self._was_active = is_active
        if is_active != before:
            tell = self._places.strip_begins if is_active else self._places.strip_ends
            tell(at_ns=now_ns, offset_mm=self._settings.offset_mm)


class NameKey:
    """An input with which the next number begins."""

    def __init__(
        self, settings: KeyNameSettings, places: LivePlaces, is_active: IsActive, before: PlaceBook
    ) -> None:
        self._settings, self._places, self._is_active = settings, places, is_active
        self._was_active = is_active()
        self._number = max(self._numbers(before), default=0)

    def look(self, now_ns: int) -> None:
        is_active, before = self._is_active(), self._was_active
        self._was_active = is_active
        if is_active and not before:
            self._number += 1
            self._places.tell_name(
                f"{self._settings.prefix}{self._number}",
                "key",
                at_ns=now_ns,
                offset_mm=self._settings.offset_mm,
            )

    def _numbers(self, book: PlaceBook) -> list[int]:
        """Those that it has given in runs before, so that none is given twice."""
        prefix = self._settings.prefix
        names = {name for known in book.maps.values() for name in known.names}
        ends = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return [int(end) for end in ends if end.isascii() and end.isdigit()]


class NameSource:
    """Something that holds the name of what runs now; empty for none."""

    def __init__(self, places: LivePlaces, read: Callable[[], str], source: str) -> None:
        self._places, self._read, self._source = places, read, source
        self._last = ""

    def look(self, now_ns: int) -> None:
        text = self._read()
        if text == self._last:
            return
        self._last = text
        name = name_of(text) if text else None
        self._places.tell_name(name, self._source, at_ns=now_ns)


def hear_name(places: LivePlaces, text: str) -> None:
    """What a broker says runs from now on; it says so whatever comes of it."""
    try:
        name = name_of(text) if text else None
        places.tell_name(name, "MQTT", at_ns=clock_ns())
    except TracksideError as error:
        log.warning("places: %s", error)


def name_in_file(path: Path) -> str:
    """Its first line."""
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES).decode("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise TracksideError(f"{path}: {error}: write the name on its first line") from error
    return text.partition("\n")[0].strip()


def numbered(read: Callable[[], int], prefix: str) -> str:
    """A register's number as a name."""
    number = read()
    return f"{prefix}{number}" if number else ""
