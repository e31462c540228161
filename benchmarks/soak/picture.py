"""A soak over time, as an SVG: memory, latency, verdicts and rejects, and the faults as bands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise

import numpy as np

from benchmarks.soak.evidence import Evidence
from edge.html import nice, text
from edge.html.svg import svg
from edge.types import State

_LEFT, _PLOT, _RIGHT = 120, 1000, 20
_LANE, _BAR, _PANEL, _GAP, _TOP, _FOOT = 18, 11, 120, 34, 30, 40
_COLOURS = ("#c9a227", "#4aa3df", "#b065c9", "#d9534f", "#3aa76d", "#5b6cfa", "#999999", "#e07b39")
_LEAST_MS, _MOST_MS = 0.1, 1000.0
_STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 12px }
.grid { stroke: #ddd; fill: none }
.line { fill: none; stroke: #4aa3df; stroke-width: 1.4 }
.worst { fill: none; stroke: #d9534f; stroke-width: 1 }
.NG { stroke: #c9a227 } .UNKNOWN { stroke: #d9534f }
.reject { stroke: #3aa76d; stroke-width: 11 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
</style>"""


def draw(evidence: Evidence) -> str:
    """Faults as bands, from when they begin until all is well again, behind everything else."""
    chart = _Chart(evidence)
    parts = [_STYLE, *chart.faults(), *chart.lanes(), *chart.memory(), *chart.latency()]
    parts += chart.minutes()
    title = "A soak: what went wrong, and what the line made of it"
    width = _LEFT + _PLOT + _RIGHT
    drawn = svg("soak", width, chart.bottom + _FOOT, title, parts)
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)


class _Chart:
    """Lanes and panels one below the other, over one axis of time."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._begin_ns = evidence.began_ns
        self._length_ns = max(1, evidence.ended_ns - evidence.began_ns)
        self._names = sorted({episode.fault for episode in evidence.episodes})
        self._verdicts_y = _TOP + _LANE * len(self._names) + 8
        self._cameras = evidence.cameras
        self._memory_y = self._verdicts_y + 2 * _LANE * len(self._cameras) + _GAP
        self._latency_y = self._memory_y + _PANEL + _GAP
        self.bottom = self._latency_y + _PANEL

    def faults(self) -> Iterator[str]:
        yield text("title", "what went wrong", _LEFT, _TOP - 10, "start")
        for number, name in enumerate(self._names):
            y, colour = _TOP + number * _LANE, _COLOURS[number % len(_COLOURS)]
            yield text("tick", name, _LEFT - 8, y + 12, "end")
            for episode in self._evidence.episodes:
                if episode.fault != name:
                    continue
                left = self._x(episode.begun_ns)
                over = self._x(episode.ended_ns or self._evidence.ended_ns)
                well = self._x(episode.well_ns or self._evidence.ended_ns)
                height = self.bottom - y
                yield _box((left, well), y, height, f'fill="{colour}" opacity="0.13"')
                title = f"{name}: {episode.detail}"
                yield _box((left, over), y + 3, _BAR, f'fill="{colour}"', title)

    def lanes(self) -> Iterator[str]:
        """One path each, since there are thousands."""
        for number, camera in enumerate(self._cameras):
            yield from self._lanes_of(camera, self._verdicts_y + 2 * _LANE * number)

    def _lanes_of(self, camera: str, y: int) -> Iterator[str]:
        named = f"{camera}: " if len(self._cameras) > 1 else ""
        yield text("tick", f"{named}NG, UNKNOWN", _LEFT - 8, y + 12, "end")
        judged = [each for each in self._evidence.judged if each.camera == camera]
        for state in (State.NG, State.UNKNOWN):
            seen = [each for each in judged if each.state is state]
            places = dict.fromkeys(f"{self._x(each.decided_ns):.1f}" for each in seen)
            marks = "".join(f"M{x} {y + 3}v{_BAR}" for x in places)
            yield f'<path class="{state.value}" d="{marks}"/>'
        y += _LANE
        yield text("tick", f"{named}rejects", _LEFT - 8, y + 12, "end")
        edges = [edge for whose, *edge in self._evidence.edges if whose == camera]
        marks = "".join(
            f"M{self._x(at_ns):.1f} {y + 8.5}H{self._x(until_ns):.1f}"
            for (at_ns, active), (until_ns, _) in pairwise(edges[1:])
            if active
        )
        yield f'<path class="reject" d="{marks}"/>'

    def memory(self) -> Iterator[str]:
        samples = self._evidence.samples
        values = [sample.resident_bytes / 1e6 for sample in samples]
        low, high = math.floor(min(values) / 10) * 10, math.ceil(max(values) / 10) * 10
        yield text("title", "resident memory, MB", _LEFT, self._memory_y - 8, "start")
        step = nice((high - low) / 4)
        for value in np.arange(low, high + step / 2, step).tolist():
            yield from self._level(self._memory_y, (value - low) / (high - low), f"{value:g}")
        points = [
            (self._x(sample.at_ns), self._memory_y + _PANEL * (1 - (value - low) / (high - low)))
            for sample, value in zip(samples, values, strict=True)
        ]
        yield _path("line", points)

    def latency(self) -> Iterator[str]:
        yield text(
            "title",
            "ms from the light to the verdict: the median and the worst of each second",
            *(_LEFT, self._latency_y - 8, "start"),
        )
        decades = range(round(math.log10(_LEAST_MS)), round(math.log10(_MOST_MS)) + 1)
        for exponent in decades:
            yield from self._level(self._latency_y, _height(10.0**exponent), f"{10.0**exponent:g}")
        seconds: dict[int, list[float]] = {}
        for seen in self._evidence.judged:
            second = (seen.decided_ns - self._begin_ns) // 1_000_000_000
            ms = (seen.decided_ns - seen.captured_ns) / 1e6
            seconds.setdefault(second, []).append(ms)
        for kind, of in (("worst", max), ("line", np.median)):
            yield _path(
                kind,
                [
                    (
                        self._x(self._begin_ns + round((second + 0.5) * 1e9)),
                        self._latency_y + _PANEL * (1 - _height(float(of(values)))),
                    )
                    for second, values in sorted(seconds.items())
                ],
            )

    def minutes(self) -> Iterator[str]:
        minutes = self._length_ns / 60e9
        step = nice(minutes / 10)
        for number in range(int(minutes / step) + 1):
            x = self._x(self._begin_ns + round(number * step * 60e9))
            yield text("tick", f"{number * step:g}", x, self.bottom + 16)
        yield text("tick", "minutes", _LEFT + _PLOT / 2, self.bottom + 32)

    def _level(self, top: float, share: float, label: str) -> Iterator[str]:
        y = top + _PANEL * (1 - share)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}h{_PLOT}"/>'
        yield text("tick", label, _LEFT - 8, y + 4, "end")

    def _x(self, at_ns: int) -> float:
        return _LEFT + _PLOT * (at_ns - self._begin_ns) / self._length_ns


def _height(ms: float) -> float:
    within = min(max(ms, _LEAST_MS), _MOST_MS)
    return math.log(within / _LEAST_MS) / math.log(_MOST_MS / _LEAST_MS)


def _box(across: tuple[float, float], top: float, height: float, look: str, title: str = "") -> str:
    left, right = across
    named = f"<title>{escape(title)}</title>" if title else ""
    width = max(0.6, right - left)
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" {look}>'
        f"{named}</rect>"
    )


def _path(kind: str, points: Sequence[tuple[float, float]]) -> str:
    if not points:
        return ""
    return f'<path class="{kind}" d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>'
