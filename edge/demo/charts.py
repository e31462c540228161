"""Charts as inline SVG: latencies as a histogram, what happened along the rail as lanes.

They carry classes and no colours; the page that holds them styles both, in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from edge.html import nice, nice_below, text
from edge.html.svg import svg
from edge.types import Stretch

_RAIL_WIDTH, _LATENCY_WIDTH = 960, 640
_GUTTER = 64  # left of the lanes, for their names
_MARGIN = 24
_HEAD, _LANE, _BAR, _FOOT = 28, 18, 12, 22  # heights
_ROW_UM, _MOST_ROWS = 2_500_000, 12
_BINS_A_DECADE = 40
_SHORTEST_MS = 0.01  # a logarithmic axis has no 0
_BARS_TOP, _BARS_BASE = 76, 240  # the marks' labels lie above the bars, the axis below


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to a stretch of rail; one with an `alarm` stands out and says why."""

    stretch: Stretch
    title: str
    alarm: str = ""


def lanes_along_the_rail(lanes: Mapping[str, Sequence[Mark]], end_um: int) -> str:
    """One lane below the other, from the start of the run to `end_um`, wrapped into rows."""
    rows = min(_MOST_ROWS, max(1, round(end_um / _ROW_UM)))
    row_um, row_height = math.ceil(end_um / rows), _HEAD + _LANE * len(lanes) + _FOOT
    parts = []
    for row in range(rows):
        shown = Stretch(row * row_um, (row + 1) * row_um)
        parts.append(f'<g transform="translate(0 {row * row_height})">')
        parts += _ticks(shown, _HEAD + _LANE * len(lanes))
        for number, (name, marks) in enumerate(lanes.items()):
            parts += _lane(name, marks, shown, number)
        parts.append("</g>")
    return svg("timeline", _RAIL_WIDTH, rows * row_height, "What happened along the rail", parts)


def _lane(name: str, marks: Sequence[Mark], shown: Stretch, number: int) -> Iterator[str]:
    middle = _HEAD + _LANE * (number + 0.5)
    label_y = _HEAD - 5 - 6 * number  # so that near alarms of two lanes do not cover each other
    yield text("name", name, 0, middle + 4, "start")
    yield f'<path class="rail" d="M{_GUTTER} {middle}H{_RAIL_WIDTH - _MARGIN}"/>'
    for mark in marks:
        start_um = max(mark.stretch.start_um, shown.start_um)
        end_um = min(mark.stretch.end_um, shown.end_um)
        if start_um >= end_um:
            continue
        left, right = _x(start_um, shown), _x(end_um, shown)
        kind = f"{name} alarm" if mark.alarm else name
        yield (
            f'<rect class="{escape(kind)}" x="{left:.1f}" y="{middle - _BAR / 2}" '
            f'width="{max(2.0, right - left):.1f}" height="{_BAR}">'
            f"<title>{escape(mark.title)}</title></rect>"
        )
        if mark.alarm and start_um == mark.stretch.start_um:  # once, where it wraps
            yield f'<path class="alarm" d="M{left:.1f} {label_y - 9}V{middle - _BAR / 2}"/>'
            yield _beside("alarm", mark.alarm, left, label_y, _RAIL_WIDTH)


def _ticks(shown: Stretch, bottom: float) -> Iterator[str]:
    step_um = nice((shown.end_um - shown.start_um) / 8)
    for number in range(
        math.ceil(shown.start_um / step_um), math.floor(shown.end_um / step_um) + 1
    ):
        x = _x(number * step_um, shown)
        yield f'<path class="grid" d="M{x:.1f} {_HEAD}V{bottom + 4}"/>'
        yield text("tick", f"{number * step_um / 1e6:g} m", x, bottom + 16)


def _x(place_um: float, shown: Stretch) -> float:
    plot = _RAIL_WIDTH - _MARGIN - _GUTTER
    return _GUTTER + plot * (place_um - shown.start_um) / (shown.end_um - shown.start_um)


def latency_histogram(latencies_ms: Sequence[float], marks_ms: Mapping[str, float]) -> str:
    """Frames over a logarithmic axis, on which a long tail neither hides nor flattens the rest."""
    values_ms = np.maximum(latencies_ms, _SHORTEST_MS)
    axis = _LogAxis(nice_below(values_ms.min()), nice(values_ms.max() * 1.01))
    counts, edges = np.histogram(values_ms, axis.bins())
    scale = (_BARS_BASE - _BARS_TOP) / counts.max()
    parts = [
        f'<path class="grid" d="M{_MARGIN} {_BARS_TOP}H{_LATENCY_WIDTH - _MARGIN}"/>',
        text("tick", f"{counts.max()} frames", _MARGIN, _BARS_TOP - 5, "start"),
    ]
    for count, start, end in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            left, right, height = axis.x(start) + 0.5, axis.x(end) - 0.5, count * scale
            parts.append(
                f'<rect class="bar" x="{left:.1f}" y="{_BARS_BASE - height:.1f}" '
                f'width="{right - left:.1f}" height="{height:.1f}">'
                f"<title>{start:.2f} to {end:.2f} ms: {count} frames</title></rect>"
            )
    parts.append(f'<path class="axis" d="M{_MARGIN} {_BARS_BASE}H{_LATENCY_WIDTH - _MARGIN}"/>')
    for value_ms in axis.ticks():
        parts.append(text("tick", f"{value_ms:g} ms", axis.x(value_ms), _BARS_BASE + 18))
    for number, (name, value_ms) in enumerate(marks_ms.items()):
        x = axis.x(max(value_ms, _SHORTEST_MS))
        # Each at its own height, so that near ones do not cover each other.
        y = 16 * number + 4
        parts.append(f'<path class="flag" d="M{x:.1f} {y}V{_BARS_BASE}"/>')
        parts.append(_beside("flag", f"{name} {value_ms:.1f} ms", x, y + 9, _LATENCY_WIDTH))
    return svg("histogram", _LATENCY_WIDTH, _BARS_BASE + 28, "Frames by latency", parts)


@dataclass(frozen=True, slots=True)
class _LogAxis:
    low: float
    high: float

    def x(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return _MARGIN + (_LATENCY_WIDTH - 2 * _MARGIN) * share

    def bins(self) -> NDArray[np.float64]:
        count = round(_BINS_A_DECADE * math.log10(self.high / self.low))
        return np.geomspace(self.low, self.high, max(10, count) + 1)

    def ticks(self) -> Iterator[float]:
        value = self.low
        while value < self.high * 1.01:  # a sum of rounding errors is still the last tick
            yield value
            value = nice(value * 1.01)


def _beside(kind: str, words: str, x: float, y: float, width: float) -> str:
    """To the right of a line, unless the edge is too near."""
    if x < width - 76:
        return text(kind, words, x + 5, y, "start")
    return text(kind, words, x - 5, y, "end")
