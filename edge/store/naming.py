"""What people call the places of a store's events, as it stands now: events have micrometres."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edge.errors import UsageError
from edge.line_file import JOURNAL
from edge.places import NOWHERE, Named, PlaceBook, read_book
from edge.store.reading import Run, read_runs


class Naming:
    """Of all runs of a store."""

    def __init__(self, book: PlaceBook, runs: Mapping[int, Run]) -> None:
        self.book = book
        self._runs = runs

    def named(self, run: int, position_um: int) -> Named:
        known = self._runs.get(run)
        return NOWHERE if known is None else self.book.named(known.began, position_um)

    def said_of(self, began: str) -> tuple[str, ...]:
        """What was said of a run's places, as people read it."""
        marks = self.book.marks.get(began, ())
        return tuple(str(mark) for mark in marks if mark.refused is None)

    def pieces_of(self, name: str) -> list[tuple[Run, int, int | None]]:
        """Where the coil or rail of this name is; UsageError where there is none."""
        found = [
            (run, start_um, end_um)
            for run in self._runs.values()
            if run.began in self.book.maps
            for start_um, end_um in self.book.maps[run.began].runs_of(name)
        ]
        if not found:
            known = [each for places in self.book.maps.values() for each in places.names][-5:]
            raise UsageError(
                f"nothing is called {name!r}: the latest are {', '.join(known) or 'none'}"
            )
        return found


def naming_of(root: Path, journal: Path | None = None) -> Naming:
    """By the journal of places, which lies in the store unless the line file says otherwise."""
    book = read_book(journal or root / JOURNAL)
    runs = {run.run: run for run in read_runs(root)} if book.runs else {}
    return Naming(book, runs)
