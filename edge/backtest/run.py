"""A backtest from its archives to its report: what is there already is not inspected again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.backtest.archive import open_place
from edge.backtest.cases import Run
from edge.backtest.judging import Networks, inspect_run
from edge.backtest.listing import ByLine, known_lookouts, list_archive
from edge.backtest.page import report_page
from edge.backtest.parts import Parts, TornPart, faults_in, packed, writing_rows
from edge.backtest.rows import Digest
from edge.backtest.tally import Tally
from edge.errors import ConfigurationError, UsageError
from edge.files import write_whole
from edge.line_file import EngineChoice
from edge.network import load_network
from edge.swap import Evidence

_FIRST_FAULTS = 20


@dataclass(frozen=True)
class Asked:
    """What is to be held against what."""

    bundle: str
    archives: tuple[str, ...]
    out: Path
    engine: EngineChoice
    against: str | None = None
    by: ByLine = field(default_factory=lambda: ByLine(None, None))
    most_new_per_km: float | None = None

    def networks(self) -> Networks:
        old = None if self.against is None else load_network(self.engine, self.against)
        return Networks(load_network(self.engine, self.bundle), old)


class Workers(Protocol):
    """Inspects runs, one after the other or side by side, and gives each as it is done."""

    def inspect(self, runs: list[Run]) -> Iterator[tuple[Run, bytes]]: ...


OpenWorkers = Callable[[Asked, Networks], Workers]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    frames: int
    of: int


class _Listed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    frames: int


class _Plan(BaseModel):
    """What a folder's parts are of."""

    model_config = ConfigDict(extra="forbid")

    format: int = 1
    bundle: str
    against: str | None
    engine: str  # engines round differently: one has judged all of it
    archives: dict[str, list[_Listed]] = {}  # of each, the runs that it was last found to hold


def backtest(
    asked: Asked,
    now: Callable[[], datetime],
    tell: Callable[[Progress], None],
    workers: OpenWorkers,
) -> Evidence:
    """Inspect what is not yet, and write the result; ConfigurationError where a bundle or a line
    does not fit, UsageError where OUT is of another comparison or nothing says what was decided.
    """
    networks = asked.networks()
    try:
        plan = _planned(asked, networks)
        runs, faults = _list(asked, networks, plan)
        parts = Parts(asked.out)
        write_whole(asked.out / "plan.json", json.dumps(plan.model_dump(), indent=1) + "\n")
        faults += _inspect(runs, parts, tell, lambda: workers(asked, networks))
        return _finish(asked, networks, plan, parts, faults=faults, at=now())
    finally:
        networks.close()


class InThisProcess:
    """One run after the other."""

    def __init__(self, _: Asked, networks: Networks) -> None:
        self._networks = networks

    def inspect(self, runs: list[Run]) -> Iterator[tuple[Run, bytes]]:
        for run in runs:
            yield run, packed(inspect_run(run, self._networks, open_place(run.archive).read))


def _planned(asked: Asked, networks: Networks) -> _Plan:
    path = asked.out / "plan.json"
    new, old = networks.new.bundle.digest, networks.old and networks.old.bundle.digest
    fresh = _Plan(bundle=new, against=old, engine=networks.new.engine.name)
    if not path.exists():
        if asked.out.exists() and any(asked.out.iterdir()):
            raise UsageError(f"{asked.out} is not empty, and no backtest: give another --out")
        return fresh
    try:
        plan = _Plan.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigurationError(f"{path} was not written by this trackside: remove it") from error
    if (plan.bundle, plan.against, plan.engine) != (new, old, fresh.engine):
        raise UsageError(
            f"{asked.out} holds a backtest of other bundles or another engine: give another --out"
        )
    return plan


def _list(asked: Asked, networks: Networks, plan: _Plan) -> tuple[list[Run], list[str]]:
    """What each archive holds now; of one that has gone, the rows that are there stay."""
    runs, faults = list[Run](), list[str]()
    for given in asked.archives:
        listed = list_archive(given, asked.by)
        faults += listed.faults
        for lookout in known_lookouts(listed.runs):
            networks.check(lookout)
        there = [_Listed(id=run.id, frames=len(run.cases)) for run in listed.runs]
        known = {each.id for each in there}
        gone = plan.archives.get(given, []) if listed.faults else []
        plan.archives[given] = there + [each for each in gone if each.id not in known]
        runs += listed.runs
    plan.archives = {given: plan.archives[given] for given in asked.archives}
    return runs, faults


def _inspect(
    runs: list[Run],
    parts: Parts,
    tell: Callable[[Progress], None],
    workers: Callable[[], Workers],
) -> list[str]:
    """What is not written yet, or could not be read; the faults of what was."""
    torn, done, of = list[str](), 0, sum(len(run.cases) for run in runs)
    left: dict[str, tuple[Run, int]] = {}  # each with the frames that are known not to be readable
    for run in {run.id: run for run in runs}.values():
        try:
            part = parts.read(run.id)
        except TornPart as error:
            torn.append(str(error))
            part = None
        faulty = len(run.cases) if part is None else part.faults
        if part is None or faulty:
            left[run.id] = run, faulty
        else:
            done += len(part)
    tell(Progress(done, of))
    if left:
        for run, content in workers().inspect([run for run, _ in left.values()]):
            if faults_in(content) <= left[run.id][1]:  # what was read once is not lost again
                parts.write(run.id, content)
            done += len(run.cases)
            tell(Progress(done, of))
    return torn


def _finish(
    asked: Asked,
    networks: Networks,
    plan: _Plan,
    parts: Parts,
    *,
    faults: list[str],
    at: datetime,
) -> Evidence:
    tally, digest, missing = Tally(), Digest(), 0
    with writing_rows(asked.out / "backtest.parquet") as all_rows:
        for each in _in_order(plan):
            try:
                part = parts.read(each.id)
            except TornPart as error:  # of an archive that has gone
                faults, part = [*faults, str(error)], None
            if part is None:
                missing += each.frames
                continue
            rows = part.rows()
            tally.add(rows)
            digest.add(rows)
            all_rows.add(part)
    if missing:
        faults = [*faults, f"{missing} frames that were there before are gone, and not inspected"]
    count = len(faults) + tally.faults
    evidence = Evidence(
        bundle=networks.new.bundle.digest,
        name=networks.new.bundle.manifest.name,
        against=_against(networks, tally),
        archives=asked.archives,
        frames=tally.frames,
        compared=tally.compared,
        km=tally.km,
        newly_rejected=tally.newly,
        no_longer_rejected=tally.no_longer,
        newly_rejected_per_km=tally.newly_per_km,
        reviewed=tally.people.reviewed,
        false_rejects_before=tally.people.false_before,
        false_rejects_now=tally.people.false_now,
        missed_before=tally.people.missed_before,
        missed_now=tally.people.missed_now,
        most_newly_rejected_per_km=asked.most_new_per_km,
        passed=count == 0 and _passes(tally, asked.most_new_per_km),
        faults=tuple([*faults, *tally.first_faults][:_FIRST_FAULTS]),
        fault_count=count,
        digest=digest.hex(),
        at=at.isoformat(timespec="seconds"),
    )
    write_whole(asked.out / "report.html", report_page(evidence, tally))
    write_whole(asked.out / "backtest.json", evidence.model_dump_json(indent=2) + "\n")
    return evidence


def _in_order(plan: _Plan) -> Iterable[_Listed]:
    """Each run once, however many times its archive is named."""
    return {each.id: each for listed in plan.archives.values() for each in listed}.values()


def _against(networks: Networks, tally: Tally) -> str | None:
    if networks.old is not None:
        return networks.old.bundle.digest
    return next(iter(tally.old_bundles)) if len(tally.old_bundles) == 1 else None


def _passes(tally: Tally, most_per_km: float | None) -> bool:
    if most_per_km is None:
        return True
    rate = tally.newly_per_km
    return rate is not None and rate <= most_per_km
