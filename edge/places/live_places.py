"""The places of a line that runs: what is said of them is believed or refused, and kept.

`named` and `mark` may be called from any thread. What asks them waits for no disk: a mark holds
from the moment that it is made, and is in the journal as soon as the disk takes it.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from threading import Lock

from edge.cameras.track import Place, Track
from edge.errors import TracksideError
from edge.line_file import PlacesSettings
from edge.places.journal import Journal, Run
from edge.places.mark import Kind, Mark, Named, PlaceRefused, km
from edge.places.place_map import PlaceMap

_MOST_UNWRITTEN = 10_000  # marks, while the disk refuses

log = logging.getLogger("trackside")


class LivePlaces:
    """Of one run, from its start."""

    def __init__(
        self,
        settings: PlacesSettings,
        run: Run,
        where: Callable[[], Place],
        utc_now: Callable[[], datetime],
    ) -> None:
        self.run = run
        self.trouble: str | None = None
        self._settings = settings
        self._utc_now = utc_now
        self._map = PlaceMap(run.along, run.falls)
        self._track = Track(where)
        self._lock = Lock()  # of one mark after the other
        self._unwritten: list[Mark] = []
        self._is_begun = False  # on disk
        self._next_name: str | None = None  # of the coil that a sensor is to see
        self._head: Mark | None = None  # of the one that it sees

    @property
    def map(self) -> PlaceMap:
        """As it stands."""
        return self._map

    def named(self, position_um: int) -> Named:
        return self._map.named(position_um)

    def look(self) -> Place:
        """Where the rail is; to be asked often, so that it is known where it was."""
        return self._track.now()

    def mark(
        self,
        kind: Kind,
        source: str,
        *,
        at_ns: int,
        offset_mm: float = 0,
        chainage_um: int | None = None,
        name: str | None = None,
    ) -> Mark:
        """What is said of the rail that was then so far downstream. PlaceRefused if it is not
        believed, which is kept too.
        """
        position_um = self.position_um_at(at_ns) - round(offset_mm * 1000)
        return self._keep(Mark(kind, position_um, chainage_um, name, source))

    def _keep(self, mark: Mark) -> Mark:
        utc = self._utc_now().isoformat(timespec="milliseconds")
        mark = replace(mark, utc=utc)
        with self._lock:
            mark = replace(mark, refused=self._refusal(mark))
            self._map = self._map.with_mark(mark)
            if len(self._unwritten) < _MOST_UNWRITTEN:
                self._unwritten.append(mark)
        if mark.refused is not None:
            log.warning("places: %s", mark)
            raise PlaceRefused(mark.refused)
        log.info("places: %s", mark)
        return mark

    def tell_name(
        self, name: str | None, source: str, *, at_ns: int, offset_mm: float = 0
    ) -> Mark | None:
        """What runs from now on. Where a sensor sees coils, it is the name of the one that is
        there, from its head on, or else of the one that comes next.
        """
        kind = Kind.TAIL if name is None else Kind.NAME
        if self._settings.coil is None:
            return self.mark(kind, source, at_ns=at_ns, offset_mm=offset_mm, name=name)
        self._next_name = name
        if self._head is None or name is None:
            return None
        return self._keep(replace(self._head, name=name, source=source))

    def strip_begins(self, *, at_ns: int, offset_mm: float) -> None:
        """The head of a coil; one whose name nobody has said is named by its time."""
        named = self._next_name or f"coil of {self._utc_now():%Y-%m-%dT%H:%M:%SZ}"
        self._head = self.mark(Kind.NAME, "sensor", at_ns=at_ns, offset_mm=offset_mm, name=named)

    def strip_ends(self, *, at_ns: int, offset_mm: float) -> None:
        """The tail of the coil."""
        self._head = None
        self.mark(Kind.TAIL, "sensor", at_ns=at_ns, offset_mm=offset_mm)

    def position_um_at(self, ns: int) -> int:
        """Where the rail was."""
        self.look()
        position_um = self._track.at(ns)
        if position_um is None:
            raise PlaceRefused("that was before the line ran: say it again")
        return position_um

    def chainage_um_at(self, ns: int, offset_mm: float) -> int | None:
        """Of the rail that was then so far downstream, as far as anybody has said."""
        return self._map.chainage_um(self.position_um_at(ns) - round(offset_mm * 1000))

    def write(self, journal: Journal) -> None:
        """Have the disk take what it has not."""
        with self._lock:
            marks = list(self._unwritten)
        try:
            if not self._is_begun:
                journal.begin(self.run)
                self._is_begun = True
            if marks:
                journal.add(self.run.run, marks)
        except sqlite3.Error as error:
            if self.trouble is None:
                log.error("places: the journal cannot be written: %s; it is tried again", error)
            self.trouble = f"the journal of places cannot be written ({error}): make room"
            return
        with self._lock:
            del self._unwritten[: len(marks)]
        self.trouble = None

    def press(
        self, kind: Kind, source: str, *, at_ns: int, chainage_um: int | None, name: str | None
    ) -> str:
        """What somebody says who sits on the line, and what came of it."""
        offset_mm = self._settings.press_offset_mm
        if kind is Kind.NAME:
            mark = self.tell_name(name, source, at_ns=at_ns, offset_mm=offset_mm)
            return f"taken: {mark}" if mark else f"taken: the coil that comes next is {name}"
        mark = self.mark(kind, source, at_ns=at_ns, offset_mm=offset_mm, chainage_um=chainage_um)
        return f"taken: {mark}"

    def answer(self, journal: Journal) -> None:
        """Do what commands have asked of this run."""
        for asked in journal.asked(self.run.run):
            try:
                answer = self.press(
                    asked.kind,
                    asked.source,
                    at_ns=asked.at_ns,
                    chainage_um=asked.chainage_um,
                    name=asked.name,
                )
            except TracksideError as error:
                answer = f"refused: {error}"
            self.write(journal)  # before it is said
            journal.answer(asked.id, answer)

    def _refusal(self, mark: Mark) -> str | None:
        settings = self._settings
        if mark.kind in {Kind.ANCHOR, Kind.JUMP} and settings.along == "coil":
            return f"this line's places lie along a coil, and {km(mark.chainage_um)} is of a track"
        tolerance_um = round(settings.tolerance_m * 1e6)
        return self._map.refusal(mark, settings.max_wheel_error, tolerance_um)
