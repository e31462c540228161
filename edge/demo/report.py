"""A finished demo as one HTML file that needs nothing else: no script, no network."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from html import escape
from pathlib import Path
from statistics import median

from edge.box import Box
from edge.demo.charts import Mark, lanes_along_the_rail, latency_histogram
from edge.demo.demo import DemoResult, Fate
from edge.demo.gallery import gallery
from edge.demo.words import counted, headline, length, place, told, what_happened
from edge.files import write_whole
from edge.html import facts, section, wide
from edge.html.page import page
from edge.line_file import LineSettings, SyntheticSettings
from edge.types import Stretch

_NUMBERS = ("place, m", "length, mm", "width, mm", "area, mm²")
_RIGHT = " class=right"


def write_report(result: DemoResult, path: Path) -> None:
    """Write the page."""
    sections = (
        _numbers(result),
        _timeline(result),
        _latency(result),
        gallery(result),
        _truth(result),
        facts("The line", _known(result.config, result)),
    )
    above, said = f"demo, line {result.config.name}", headline(result)
    write_whole(path, page(above, said, sections, good=result.passed, style=_STYLE))


def _numbers(result: DemoResult) -> str:
    """Each figure with a line on what it means."""
    of = result.summary()
    latency = of["latency_ms"]
    rail_m = _rail(result).end_um / 1e6
    rejected_m = sum(pulse.length_mm for pulse in result.pulses) / 1000
    tiles = (
        (of["frames"], "frames", f"{rail_m:.1f} m of rail at {of['speed_mm_s']:g} mm/s"),
        (of["ng"], "NG", f"{of['ok']} OK, {of['unknown']} UNKNOWN"),
        (of["defects_found"], "defects found", f"of {of['defects_true']} that were there"),
        (of["defects_rejected"], "defects rejected", f"of {of['defects_true']}"),
        (
            sum(of["only_reported"].values()),
            "only reported",
            counted(of["only_reported"]) or "nothing that is told and not rejected",
        ),
        (
            of["false_rejects"],
            "false rejects",
            f"of {len(result.pulses)} pulses; {rejected_m / rail_m:.1%} of the rail rejected",
        ),
        (
            f"{of['uninspected_rail_rejected_mm']:.0f} mm",
            "rejected unseen",
            "for want of inspection: up to the first frame, after the last",
        ),
        (of["rejects_missed"], "orders missed", f"of {of['rejects_scheduled']}"),
        (f"{of['reject_error_mm_max']:.1f} mm", "furthest out of place", "where a pulse began"),
        (f"{latency['p99']:.1f} ms", "latency, p99", f"half within {latency['p50']:.1f} ms"),
    )
    cells = "".join(
        f"<div><dt>{name}</dt><dd><strong>{value}</strong> {note}</dd></div>\n"
        for value, name, note in tiles
    )
    return f'<dl class="numbers">\n{cells}</dl>'


def _rail(result: DemoResult) -> Stretch:
    """What the camera saw."""
    latest = result.tally.latest
    return Stretch(0, latest.seen.stretch.end_um if latest else 1)


def _timeline(result: DemoResult) -> str:
    false = set(result.false_pulses)
    lanes = {
        "true": [
            Mark(
                each.defect.stretch,
                what_happened(each),
                "" if each.rejected else f"✗ {each.defect.kind}",
            )
            for each in result.fates
        ],
        "ordered": [Mark(s, f"ordered at {place(s)}, {length(s)}") for s in result.ordered],
        "pulse": [
            Mark(s, f"pulse at {place(s)}, {length(s)}", "✗ false" if s in false else "")
            for s in result.pulses
        ],
        "reported": [
            Mark(each.stretch, f"{each.said} at {place(each.stretch)}") for each in result.reported
        ],
    }
    end_um = max([_rail(result).end_um, *(s.end_um for s in result.pulses)])
    return section(
        "Along the rail",
        "What was there, what was ordered off the line, the rail that was under the actuator while "
        "the reject pin was active, and what was only reported. A pulse over a defect below the "
        "bundle's limits is neither counted nor false.",
        wide(lanes_along_the_rail(lanes, end_um)),
    )


def _latency(result: DemoResult) -> str:
    tally = result.tally
    network = (
        f" Of that the network takes {median(tally.infer_ns) / 1e6:.1f} ms (median)."
        if tally.infer_ns
        else ""
    )
    return section(
        "Latency",
        f"From the light on the sensor to the verdict, {len(tally.latencies_ns)} frames.{network}",
        wide(latency_histogram([ns / 1e6 for ns in tally.latencies_ns], tally.latency_ms())),
    )


def _truth(result: DemoResult) -> str:
    numbers = "".join(f"<th{_RIGHT}>{name}</th>" for name in _NUMBERS)
    head = f"<th>kind</th>{numbers}<th>called</th><th>outcome</th>"
    rows = "".join(_truth_row(fate) for fate in result.fates)
    return section(
        "Every true defect",
        "Those above the bundle's limits. Rejected means that the actuator acted on all of it, "
        f"give or take {result.config.reject.tolerance_mm:g} mm, by the edges of the pin.",
        wide(f"<table>\n<tr>{head}</tr>\n{rows}</table>"),
    )


def _truth_row(fate: Fate) -> str:
    defect = fate.defect
    numbers = (
        f"{defect.stretch.start_um / 1e6:.3f}",
        f"{defect.stretch.length_mm:.1f}",
        f"{defect.width_mm:.1f}",
        f"{defect.area_mm2:.1f}",
    )
    cells = "".join(f"<td{_RIGHT}>{number}</td>" for number in numbers)
    sign = "✓" if fate.rejected else "✗"
    alarm = "" if fate.rejected else " class=alarm"
    return (
        f"<tr{alarm}><td>{sign} {escape(defect.kind)}</td>{cells}"
        f"<td>{escape(fate.called)}</td><td>{told(fate)}</td></tr>\n"
    )


def _known(config: LineSettings, result: DemoResult) -> Iterator[tuple[str, str]]:
    camera, reject = config.lookout().camera, config.reject
    yield "network", f"{result.bundle} on {result.engine}"
    yield "engine threads", f"{config.engine.threads}"
    if isinstance(camera, SyntheticSettings):
        yield (
            "camera",
            f"simulated {camera.surface}, seed {camera.seed}, {camera.width_px} by "
            f"{camera.height_px} pixels of {camera.um_per_px / 1000:g} mm",
        )
    yield "speed", f"{config.encoder.speed_mm_s:g} mm/s"
    yield (
        "actuator",
        f"{reject.offset_mm:g} mm after the camera, rises in {reject.delay_ms:g} ms, "
        f"acts {reject.min_pulse_ms:g} ms or longer, and {reject.margin_mm:g} mm "
        "before and after each defect",
    )
    yield "machine", f"{Box().name()}, {os.cpu_count()} processors"
    yield "system", f"{platform.platform()}, Python {platform.python_version()}"


_STYLE = """
:root { --true: #38424b; --pulse: #2273b8; }
@media (prefers-color-scheme: dark) {
  :root { --true: #bcc6ce; --pulse: #6db3ef; }
}
svg.timeline { min-width: 44rem; }
svg.histogram { min-width: 24rem; max-width: 48rem; }
svg .alarm { fill: var(--bad); }
svg path.alarm { stroke: var(--bad); }
svg text.alarm { font-weight: 600; }
.true { fill: var(--true); }
.reported { fill: var(--quiet); }
.ordered { fill: var(--paper); stroke: var(--true); }
.pulse, .bar { fill: var(--pulse); }
svg path.flag { stroke: var(--ink); }
svg text.flag { fill: var(--ink); }
.pictures {
  display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem;
}
figure { margin: 0; break-inside: avoid; }
figure img { display: block; width: 100%; height: auto; }
figcaption { padding-top: 0.35rem; font-size: 0.85rem; color: var(--quiet); }
figcaption strong { color: var(--ink); }
figure.alarm strong, tr.alarm td { color: var(--bad); }
@media screen and (max-width: 44rem) {
  .pictures { grid-template-columns: repeat(2, 1fr); }
}
@media print {
  svg.timeline { min-width: 0; }
}
"""
