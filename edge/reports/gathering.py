"""From ledger and store to a report: read once from front to back, and summed."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import groupby

from edge.comparison import roll_marks, spots_of
from edge.reports.asked import Asked, Sources
from edge.reports.bundles import bundles_in
from edge.reports.outputs import outputs_in
from edge.reports.report import (
    SIZES_MM,
    ByClass,
    Dark,
    Kept,
    Latency,
    Rail,
    Report,
    Roll,
    RunOf,
    Spot,
    Trend,
    together,
)
from edge.store import (
    KEPT,
    NO_IMAGE,
    Event,
    Fate,
    Naming,
    Part,
    Run,
    Thing,
    Things,
    Wanted,
    Why,
    latency_ns,
    naming_of,
    read_account,
    read_losses,
    read_runs,
    scan_events,
    steps_together,
)
from edge.types import State, Stretch, unite

MOST_SPOTS = 4000  # on the map
_MOST_DARK = 2000
_MOST_REASONS = 12
_TREND = 12  # runs
_FIGURE = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Gathered:
    """A report, and each thing that was found."""

    report: Report
    things: Sequence[Thing]
    naming: Naming


def gather(sources: Sources, asked: Asked) -> Gathered:
    """StoreError where there is no store, TracksideError for a ledger that cannot be read."""
    since, until = _utc(asked.since), _utc(asked.until)
    parts = read_account(sources.store, began=asked.began, since_utc=since, until_utc=until)
    parts = [part for part in parts if _touches(asked, part.start_um, part.end_um)]
    wanted = Wanted(
        run=asked.run,
        since_utc=since,
        until_utc=until,
        from_um=asked.from_um,
        to_um=asked.to_um,
    )
    seen = _Seen(parts)
    for event in scan_events(sources.store, wanted):
        seen.add(event)
    found = [thing for thing in seen.things.found() if _begins_in(asked, thing)]
    naming = naming_of(sources.store, sources.journal)
    runs = tuple(
        _cut(_run_of(group, seen.beyond, naming), asked, list(seen.dark()))
        for group in _by_run(parts)
    )
    spots = sorted(found, key=lambda thing: (-thing.fate, -thing.defect.extent_mm))[:MOST_SPOTS]
    report = Report(
        format=1,
        made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        version=version("trackside"),
        line=sources.line,
        what=asked.what,
        since=since or min((part.utc for part in parts), default=None),
        until=until or max((part.utc for part in parts), default=None),
        rail=together(rail for run in runs for rail in run.cameras.values()),
        runs=runs,
        classes=_by_class(found),
        kept=seen.kept(_lost(sources, asked, since, until)),
        unknown_for=dict(seen.unknown_for.most_common(_MOST_REASONS)),
        outputs=outputs_in(sources.ledger, asked, since, until),
        latency=_latency(parts),
        bundles=bundles_in(sources, parts),
        rolls=tuple(_rolls(found)),
        trend=_trend(sources, parts),
        spots=tuple(map(_spot, spots)),
        dark=tuple(seen.dark())[:_MOST_DARK],
    )
    return Gathered(report, found, naming)


def _touches(asked: Asked, start_um: int, end_um: int) -> bool:
    """Whether some of it is asked for."""
    begins = asked.to_um is None or start_um < asked.to_um
    return begins and (asked.from_um is None or end_um > asked.from_um)


def _begins_in(asked: Asked, thing: Thing) -> bool:
    """A thing belongs to the coil in which it begins."""
    start_um = thing.defect.stretch.start_um
    return (asked.from_um is None or start_um >= asked.from_um) and (
        asked.to_um is None or start_um < asked.to_um
    )


def _cut(run: RunOf, asked: Asked, dark: Sequence[Dark]) -> RunOf:
    """Of a coil, what of the run's rail is its own. Frames are those of the minutes that touch it;
    of rail between frames all is taken to be its own.
    """
    if asked.from_um is None or asked.to_um is None:
        return run
    cameras, starts_um = {}, {}
    for name, rail in run.cameras.items():
        start_um = max(asked.from_um, run.starts_um[name])
        end_um = max(start_um, min(asked.to_um, run.starts_um[name] + rail.run_um))
        unknown_um = sum(
            max(0, min(each.end_um, end_um) - max(each.start_um, start_um))
            for each in dark
            if (each.run, each.camera) == (run.run, name)
        )
        unseen_um = min(rail.unseen_um, end_um - start_um - unknown_um)
        lengths = {
            "run_um": end_um - start_um,
            "unknown_um": unknown_um,
            "unseen_um": unseen_um,
            "inspected_um": end_um - start_um - unknown_um - unseen_um,
        }
        cameras[name], starts_um[name] = rail.model_copy(update=lengths), start_um
    return run.model_copy(update={"cameras": cameras, "starts_um": starts_um})


def _utc(at: datetime | None) -> str | None:
    if at is None:
        return None
    return at.astimezone(timezone.utc).isoformat(timespec="milliseconds")


@dataclass
class _Seen:
    """What the events come to."""

    parts: Sequence[Part]
    things: Things = field(default_factory=Things)
    why: Counter[Why] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
    unknown_for: Counter[str] = field(default_factory=Counter)
    beyond: Counter[int] = field(default_factory=Counter)  # by run: after the account's end
    _dark: dict[tuple[int, str], list[Stretch]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self._ends_um: dict[tuple[int, str], int] = {}
        for part in self.parts:
            key = part.run, part.camera
            self._ends_um[key] = max(part.end_um, self._ends_um.get(key, part.end_um))

    def add(self, event: Event) -> None:
        self.why[event.why] += 1
        if event.evidence not in {KEPT, NO_IMAGE}:
            self.bare[event.evidence] += 1
        key = event.run, event.camera
        if event.end_um > self._ends_um.get(key, event.end_um - 1):
            self.beyond[event.run] += 1
        if event.state is State.UNKNOWN:
            said = "; ".join(event.reasons) or "no reason given"
            self.unknown_for[_FIGURE.sub("...", said)] += 1
            self._dark[key].append(Stretch(event.start_um, event.end_um))
        self.things.add(event)

    def kept(self, lost: int) -> Kept:
        return Kept(
            events=self.why.total(),
            by_why={why.value: count for why, count in self.why.most_common()},
            without_pictures=dict(self.bare.most_common()),
            lost=lost,
        )

    def dark(self) -> Iterator[Dark]:
        for (run, camera), stretches in sorted(self._dark.items()):
            for each in unite(stretches):
                yield Dark(run=run, camera=camera, start_um=each.start_um, end_um=each.end_um)


def _by_run(parts: Sequence[Part]) -> Iterator[list[Part]]:
    ordered = sorted(parts, key=lambda part: part.began)
    for _, group in groupby(ordered, key=lambda part: part.began):
        yield list(group)


def _run_of(parts: Sequence[Part], beyond: Counter[int], naming: Naming) -> RunOf:
    by_camera: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_camera[part.camera].append(part)
    return RunOf(
        run=parts[-1].run,
        began=parts[0].began,
        last=max(part.utc for part in parts),
        cameras={name: _rail(each) for name, each in sorted(by_camera.items())},
        starts_um={name: min(p.start_um for p in each) for name, each in by_camera.items()},
        unaccounted_events=beyond[parts[-1].run],
        places=naming.said_of(parts[0].began),
    )


def _rail(parts: Iterable[Part]) -> Rail:
    several = list(parts)
    return Rail(**{name: sum(getattr(p, name) for p in several) for name in Rail.model_fields})


def _by_class(things: Iterable[Thing]) -> tuple[ByClass, ...]:
    groups: dict[tuple[str, str | None], list[Thing]] = defaultdict(list)
    for thing in things:
        groups[thing.defect.label, thing.defect.code].append(thing)
    rows = []
    for (label, code), some in groups.items():
        fates = Counter(thing.fate for thing in some)
        sizes = Counter(bisect_left(SIZES_MM, thing.defect.extent_mm) for thing in some)
        rows.append(
            ByClass(
                label=label,
                code=code,
                rejected=fates[Fate.REJECTED],
                reported=fates[Fate.REPORTED],
                let_by=fates[Fate.LET_BY],
                by_size=tuple(sizes[number] for number in range(len(SIZES_MM) + 1)),
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.rejected, -row.count, row.label)))


def _rolls(things: Iterable[Thing]) -> Iterator[Roll]:
    for (run, camera), some in groupby(things, key=lambda thing: (thing.run, thing.camera)):
        for mark in roll_marks(spots_of(some)):
            yield Roll(
                run=run,
                camera=camera,
                first_um=mark.first_um,
                last_um=mark.last_um,
                across_um=mark.across_um,
                spacing_um=mark.spacing_um,
                diameter_mm=round(mark.diameter_mm, 1),
            )


def _lost(sources: Sources, asked: Asked, since: str | None, until: str | None) -> int:
    """Of a run, those from its beginning to the next one's."""
    if asked.began is not None:
        later = [run.began for run in read_runs(sources.store) if run.began > asked.began]
        since, until = asked.began, min(later, default=None)
    return sum(
        events
        for utc, events, _ in read_losses(sources.store)
        if (since is None or utc >= since) and (until is None or utc < until)
    )


def _latency(parts: Sequence[Part]) -> Latency:
    steps = steps_together(part.latency for part in parts)

    def ms(share: float) -> float | None:
        ns = latency_ns(steps, share)
        return None if ns is None else round(ns / 1e6, 3)

    most_ns = max((part.latency_most_ns for part in parts), default=None)
    return Latency(
        frames=sum(steps.values()),
        p50_ms=ms(0.5),
        p90_ms=ms(0.9),
        p99_ms=ms(0.99),
        most_ms=None if most_ns is None else round(most_ns / 1e6, 3),
        steps_ms=tuple(
            (round((latency_ns({step: 1}, 1) or 0) / 1e6, 4), count)
            for step, count in steps.items()
        ),
    )


def _trend(sources: Sources, parts: Sequence[Part]) -> tuple[Trend, ...]:
    """The last runs, up to the last of the report's."""
    runs = read_runs(sources.store)
    if parts:
        last = max(part.began for part in parts)
        runs = [run for run in runs if run.began <= last]
    return tuple(_trend_of(sources, run) for run in runs[-_TREND:])


def _trend_of(sources: Sources, run: Run) -> Trend:
    return Trend(
        run=run.run,
        began=run.began,
        frames=run.frames,
        ng=run.ng,
        unknown=run.unknown,
        run_um=run.run_um,
        inspected_um=run.inspected_um,
    )


def _spot(thing: Thing) -> Spot:
    defect = thing.defect
    return Spot(
        run=thing.run,
        camera=thing.camera,
        fate=thing.fate.said,  # type: ignore[arg-type]
        label=defect.label,
        start_um=defect.stretch.start_um,
        end_um=defect.stretch.end_um,
        left_um=defect.left_um,
        right_um=defect.right_um,
    )
