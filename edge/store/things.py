"""What was found, each thing once: a defect that goes on from frame to frame is in several events.

It is as large as it was known to be at last, and was rejected if any of them rejected it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from edge.store.event import Event
from edge.types import Defect


class Fate(IntEnum):
    """What became of it; of several the greatest holds."""

    LET_BY = 1
    REPORTED = 2
    REJECTED = 3

    @property
    def said(self) -> str:
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True)
class Thing:
    """One of them, as its last event has it."""

    run: int
    camera: str  # that saw it last
    defect: Defect
    fate: Fate
    event: int  # its number
    utc: str
    picture: str | None  # of that event, which shows it cut out


_Key = tuple[int, str, int, int]


class Things:
    """Gathers them from events in their order."""

    def __init__(self) -> None:
        self._found: dict[_Key, Thing] = {}

    def add(self, event: Event) -> None:
        for fate, some in (
            (Fate.LET_BY, event.let_by),
            (Fate.REPORTED, event.reported),
            (Fate.REJECTED, event.defects),
        ):
            for number, defect in enumerate(some):
                self._add(event, defect, fate, number)

    def found(self) -> list[Thing]:
        """By run, camera and place."""
        return sorted(
            self._found.values(),
            key=lambda thing: (thing.run, thing.camera, thing.defect.stretch.start_um),
        )

    def _add(self, event: Event, defect: Defect, fate: Fate, number: int) -> None:
        camera = "" if defect.of_surface else event.camera  # several may have seen some of it
        for absorbed in defect.absorbed:  # it was a part of this one
            part = self._found.pop((event.run, camera, absorbed, 0), None)
            fate = fate if part is None else max(fate, part.fate)
        # One without a number is of its frame alone.
        key = (event.run, camera, defect.number, 0 if defect.number else event.id + number)
        if (before := self._found.get(key)) is not None:
            fate = max(fate, before.fate)
        name = f"defect{number}.jpg"
        picture = name if fate is Fate.REJECTED and name in event.pictures else None
        if picture is None and before is not None and before.picture is not None:
            event_id, utc, picture = before.event, before.utc, before.picture
        else:
            event_id, utc = event.id, event.utc
        self._found[key] = Thing(event.run, event.camera, defect, fate, event_id, utc, picture)


def things_of(events: Iterable[Event]) -> list[Thing]:
    """All that was found in them."""
    things = Things()
    for event in events:
        things.add(event)
    return things.found()
