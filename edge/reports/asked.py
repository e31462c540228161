"""What a report is asked of: a line's ledger and store, and a run or a time of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge.errors import ConfigurationError, StoreError, UsageError
from edge.line_file import LineSettings
from edge.store import Run, naming_of, read_account, read_runs


class Sources(BaseModel):
    """Where it is all kept, and what the line is called."""

    model_config = ConfigDict(frozen=True)

    line: str
    store: Path
    ledger: Path | None = None
    bundle: str | None = None  # as the line file names it
    certificate: Path | None = None
    journal: Path | None = None  # of places, unless it lies in the store


class Asked(BaseModel):
    """A run, or all that was looked at within a time."""

    model_config = ConfigDict(frozen=True)

    what: str
    began: str | None = None
    run: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    from_um: int | None = None  # of the run's rail, where only some is meant
    to_um: int | None = None


def sources_of(config: LineSettings) -> Sources:
    """Of a line; ConfigurationError where it keeps no events."""
    if config.store is None:
        raise ConfigurationError(
            f"{config.name} keeps no events, and there is nothing to report: give it a `store:`"
        )
    return Sources(
        line=config.name,
        store=config.store.path,
        ledger=config.reject.ledger,
        bundle=str(config.bundle),
        certificate=config.certificate,
        journal=config.journal,
    )


def a_run(sources: Sources, number: int | None) -> Asked:
    """The run of this number, or the last one."""
    run = run_of(sources.store, number)
    return Asked(what=f"run {run.run}", began=run.began, run=run.run)


def a_name(sources: Sources, name: str) -> Asked:
    """The coil or rail of this name, the last one that had it; UsageError where none had."""
    pieces = naming_of(sources.store, sources.journal).pieces_of(name)
    run, from_um, to_um = pieces[-1]
    end_um = max(part.end_um for part in read_account(sources.store, began=run.began))
    to_um = end_um if to_um is None else to_um
    return Asked(
        what=f"{name}, run {run.run} from {from_um / 1e6:.3f} to {to_um / 1e6:.3f} m",
        began=run.began,
        run=run.run,
        from_um=from_um,
        to_um=to_um,
    )


def run_of(store: Path, number: int | None) -> Run:
    """StoreError where nothing ran, UsageError for a run that is not there."""
    runs = read_runs(store)
    if not runs:
        raise StoreError(f"{store} knows of no run: start the line first")
    if number is None:
        return runs[-1]
    found = [run for run in runs if run.run == number]
    if not found:
        known = ", ".join(str(run.run) for run in runs[-8:])
        raise UsageError(f"{store} has no run {number}: the latest are {known}")
    return found[-1]  # one before it that kept no event has the same number


def a_time(since: datetime, until: datetime) -> Asked:
    """From and up to a moment, each with its time zone."""
    if until <= since:
        raise UsageError(f"{until} is not after {since}: give --since the earlier one")
    form = "%Y-%m-%d %H:%M"
    end = f"{until:%H:%M}" if since.date() == until.date() else f"{until:{form}}"
    return Asked(what=f"{since:{form}} to {end} {since:%Z}".strip(), since=since, until=until)
