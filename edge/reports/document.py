"""A report as sections of tiles, tables and charts: what page and paper both show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.reports.charts import latency_chart, trend_chart
from edge.reports.drawing import Drawing
from edge.reports.report import SIZES_MM, ActuatorSums, Rail, Report
from edge.reports.surface_map import surface_map


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure that is seen from afar, and a line on what it means."""

    value: str
    name: str
    note: str


@dataclass(frozen=True, slots=True)
class Tiles:
    """Four a row."""

    tiles: Sequence[Tile]


@dataclass(frozen=True, slots=True)
class Table:
    """The first columns are words, the others figures."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


Block = Tiles | Table | Drawing
_MOST_PLACES = 40  # of a run, the last


@dataclass(frozen=True, slots=True)
class Section:
    """One of them, under its heading."""

    title: str
    text: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """All of it."""

    above: str
    said: str
    good: bool
    sections: Sequence[Section]


def document(report: Report) -> Document:
    """Good means that all rail was inspected, and all that was ordered left."""
    return Document(
        above=f"report, {report.line}, {report.what}",
        said=_headline(report),
        good=not _bad(report),
        sections=tuple(_sections(report)),
    )


def _headline(report: Report) -> str:
    rejected = sum(each.rejected for each in report.classes)
    rail = report.rail
    if not rail.run_um:
        return "no rail went by"
    said = [
        f"{_m(rail.run_um)} of rail, {_percent(rail)} inspected",
        _several(rejected, "defect", "rejected"),
    ]
    return ", ".join([*said, *_bad(report)])


def _bad(report: Report) -> list[str]:
    said = []
    if report.rail.inspected_um < report.rail.run_um:
        said.append(f"{_m(report.rail.run_um - report.rail.inspected_um)} not inspected")
    if missed := report.total("missed"):
        said.append(_several(missed, "order", "missed"))
    if unconfirmed := report.total("unconfirmed"):
        said.append(_several(unconfirmed, "reject", "not confirmed"))
    return said


def _sections(report: Report) -> Iterator[Section]:
    yield Section("In short", "", [Tiles(list(_tiles(report)))])
    if report.runs:
        shown = len(report.spots)
        more = f" Of {report.things} things the {shown} largest are drawn."
        yield Section(
            "Where on the surface",
            "Along the rail from left to right, across it from top to bottom. Red was rejected, "
            "yellow only reported, light grey let by. Dark is rail that could not be judged."
            f"{more if report.things > shown else ''}",
            [surface_map(report)],
        )
    yield Section(
        "What was found",
        "Each thing once, however many frames show it; its size is its extent, along or across, "
        "whichever is more.",
        [_classes(report)],
    )
    if report.rolls:
        yield Section(
            "Marks of rolls",
            "Marks that come again at one spacing: the way round a roll with a scar on it.",
            [_rolls(report)],
        )
    yield Section(
        "Rail",
        "Inspected is rail of frames that were OK or NG; unseen is rail between frames.",
        [_rails(report), *_reasons(report)],
    )
    if said := [(str(run.run), mark) for run in report.runs for mark in run.places[-_MOST_PLACES:]]:
        yield Section(
            "Places",
            "What people said of them while the line ran; places of this report are the encoder's.",
            [Table(("run", "what was said"), said, 2)],
        )
    yield from _outputs(report)
    if report.latency.frames:
        yield Section("Latency", _latency(report), [latency_chart(report.latency)])
    if len(report.trend) > 1:
        yield Section(
            "Beside the last runs", "By the number of the run.", [trend_chart(report.trend)]
        )
    yield Section("What judged, and what is kept", "", [Table(("", ""), list(_facts(report)), 2)])


def _tiles(report: Report) -> Iterator[Tile]:
    rail, latency = report.rail, report.latency
    yield Tile(_m(rail.run_um), "rail run", f"{rail.frames} frames")
    left = rail.run_um - rail.inspected_um
    yield Tile(_percent(rail), "inspected", f"{_m(left)} were not")
    rejected = sum(each.rejected for each in report.classes)
    yield Tile(str(rejected), "defects rejected", f"of {report.things} things found")
    yield Tile(str(rail.ng), "frames NG", f"{rail.ok} OK, {rail.unknown} UNKNOWN")
    if report.outputs is not None:
        missed_um = report.total("missed_um")
        yield Tile(str(report.total("fired")), "rejects fired", f"of {report.total('ordered')}")
        yield Tile(str(report.total("missed")), "orders missed", f"{_mm(missed_um)} of rail")
        yield Tile(_m(report.total("rejected_um")), "rail rejected", "under a driven actuator")
    if latency.p99_ms is not None and latency.p50_ms is not None:
        note = f"half within {latency.p50_ms:.1f} ms"
        yield Tile(f"{latency.p99_ms:.1f} ms", "latency, p99", note)


def _classes(report: Report) -> Table:
    bounds = [f"to {bound} mm" for bound in SIZES_MM]
    heads = ("class", "rejected", "reported", "let by", *bounds, "above")
    rows = [
        (
            each.label if each.code is None else f"{each.label} ({each.code})",
            *(str(n) for n in (each.rejected, each.reported, each.let_by, *each.by_size)),
        )
        for each in report.classes
    ]
    if len(rows) > 1:
        sums = [
            sum(getattr(each, name) for each in report.classes)
            for name in ("rejected", "reported", "let_by")
        ]
        sums += [sum(each.by_size[n] for each in report.classes) for n in range(len(SIZES_MM) + 1)]
        rows.append(("all", *map(str, sums)))
    return Table(heads, rows or [("nothing", *["0"] * (len(heads) - 1))])


def _rolls(report: Report) -> Table:
    heads = ("run", "camera", "from", "to", "across", "spacing", "roll's diameter")
    rows = [
        (
            str(mark.run),
            mark.camera,
            f"{mark.first_um / 1e6:.3f} m",
            f"{mark.last_um / 1e6:.3f} m",
            _mm(mark.across_um),
            _mm(mark.spacing_um),
            f"{mark.diameter_mm:.1f} mm",
        )
        for mark in report.rolls
    ]
    return Table(heads, rows, 2)


def _rails(report: Report) -> Table:
    heads = ("run", "camera", "began, UTC", "run", "inspected", "UNKNOWN", "unseen", "coverage")
    rows = [
        (str(run.run), camera, run.began[:16].replace("T", " "), *_lengths(rail))
        for run in report.runs
        for camera, rail in run.cameras.items()
    ]
    if len(rows) != 1:
        rows.append(("all", "", "", *_lengths(report.rail)))
    return Table(heads, rows, 3)


def _lengths(rail: Rail) -> Iterator[str]:
    for um in (rail.run_um, rail.inspected_um, rail.unknown_um, rail.unseen_um):
        yield f"{um / 1e6:.3f} m"
    yield _percent(rail)


def _reasons(report: Report) -> Iterator[Table]:
    if report.unknown_for:
        rows = [(reason, str(count)) for reason, count in report.unknown_for.items()]
        yield Table(("UNKNOWN, because", "frames"), rows)


_OUTCOMES: Mapping[str, str] = {
    "ordered": "ordered",
    "fired": "fired",
    "missed": "missed",
    "missed_unordered": "of which nobody ordered",
    "handed_on": "given anew by the next run",
    "open": "without an outcome yet",
    "missed_um": "rail missed",
    "furthest_um": "furthest out of place",
    "pulses": "pulses",
    "rejected_um": "rail under the driven actuator",
    "uninspected_um": "rail rejected for want of inspection",
    "late_passes": "passes that came too late",
    "confirmed": "confirmed to have left",
    "unconfirmed": "not confirmed",
}


def _outputs(report: Report) -> Iterator[Section]:
    outputs = report.outputs
    if outputs is None:
        yield Section("Rejects", "No ledger is known of it.", [])
        return
    sums = list(outputs.actuators.values())
    rows = [
        (said, *(_sum(each, name) for each in sums))
        for name, said in _OUTCOMES.items()
        if name in {"ordered", "fired", "missed"} or any(getattr(each, name) for each in sums)
    ]
    text = "As the ledger has it."
    if outputs.lost:
        text += f" Its disk refused for too long: {outputs.lost} entries are lost."
    if outputs.unwritten:
        text += f" {_several(outputs.unwritten, 'order', 'acted on before the disk had it')}."
    tables = [Table(("", *outputs.actuators), rows)] if sums else []
    if outputs.modes:
        more = outputs.mode_changes - len(outputs.modes)
        head = "changes of mode" + (f", the last of {outputs.mode_changes}" if more else "")
        tables.append(Table((head,), [(mode,) for mode in outputs.modes]))
    yield Section("Rejects", text, tables)


def _sum(sums: ActuatorSums, name: str) -> str:
    value: int = getattr(sums, name)
    if not name.endswith("_um"):
        return str(value)
    return _mm(value) if name == "furthest_um" or value < 10_000_000 else _m(value)


def _latency(report: Report) -> str:
    of = report.latency
    return (
        f"From the light on the sensor to the verdict, all {of.frames} frames: half within "
        f"{of.p50_ms:.1f} ms, 90% within {of.p90_ms:.1f} ms, 99% within {of.p99_ms:.1f} ms (to "
        f"one part in twenty), none above {of.most_ms:.1f} ms."
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    for each in report.bundles:
        name = "bundle" if each.name is None else f"bundle {each.name}"
        yield name, f"{each.digest[:16]}, {each.frames} frames"
        if each.certificate is not None:
            yield "certificate", each.certificate
    kept = report.kept
    why = ", ".join(f"{count} {name}" for name, count in kept.by_why.items())
    yield "events kept", f"{kept.events}{f': {why}' if why else ''}"
    for reason, count in kept.without_pictures.items():
        yield "without pictures", f"{count}: {reason}"
    if kept.lost:
        yield "events lost", str(kept.lost)
    for run in report.runs:
        if run.unaccounted_events:
            beyond = _several(run.unaccounted_events, "event", "beyond what was accounted for")
            yield f"run {run.run} was killed", beyond
    if report.since and report.until:
        yield "looked at", f"{report.since[:19]} to {report.until[:19]}, UTC"
    yield "report made", f"{report.made[:19]} UTC, by Trackside {report.version}"


def _percent(rail: Rail) -> str:
    """Never 100% unless it is all."""
    if rail.coverage is None:
        return "-"
    shown = f"{rail.coverage:.2%}"
    return "99.99%" if shown == "100.00%" and rail.inspected_um < rail.run_um else shown


def _m(um: int) -> str:
    return f"{um / 1e6:.1f} m" if um < 10_000_000_000 else f"{um / 1e9:.3f} km"


def _mm(um: int) -> str:
    return f"{um / 1000:.1f} mm"


def _several(count: int, what: str, then: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'} {then}"
