"""The command's side: it has a running line mark where it is, or tells of a run by its position."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from edge.clock import clock_ns
from edge.errors import UsageError
from edge.places.journal import Asked, Journal, Run, read_book
from edge.places.mark import Kind, Mark, PlaceRefused

_ANSWER_S, _POLL_S = 5.0, 0.05
_REFUSED = "refused: "


def latest_run(path: Path) -> Run:
    """Of a journal; UsageError where no run is in it."""
    book = read_book(path)
    if not book.runs:
        raise UsageError(f"{path} knows of no run: start the line first")
    return book.runs[-1]


def say_now(
    path: Path, kind: Kind, *, chainage_um: int | None, name: str | None, source: str
) -> str:
    """What came of it. The place is that of this moment, however long the line takes to look."""
    at_ns = clock_ns()
    run = latest_run(path)
    asked = Asked(0, at_ns, kind, chainage_um, name, source)
    with closing(Journal(path)) as journal:
        try:
            number = journal.ask(run.run, asked)
            answer = _awaited(journal, number)
        except sqlite3.Error as error:
            raise PlaceRefused(f"{path}: {error}: make room on its disk") from error
    if answer is None:
        raise PlaceRefused(
            f"{run.line} does not answer: start it, or say with --run and --at-m of which run and "
            "place it is"
        )
    if answer.startswith(_REFUSED):
        raise PlaceRefused(answer.removeprefix(_REFUSED))
    return answer


def say_later(path: Path, run: str, mark: Mark) -> str:
    """Of a run that may have ended, at a position of its own; it is believed as it is."""
    book = read_book(path)
    if run not in book.maps:
        known = ", ".join(each.run for each in book.runs[-5:]) or "none"
        raise UsageError(f"{path} has no run {run}: the latest are {known}")
    with closing(Journal(path)) as journal:
        journal.add(run, [mark])
    return f"taken: {mark}"


def _awaited(journal: Journal, number: int) -> str | None:
    until_s = time.monotonic() + _ANSWER_S
    while time.monotonic() < until_s:
        if (answer := journal.answered(number)) is not None:
            return answer
        time.sleep(_POLL_S)
    return journal.withdraw(number)
