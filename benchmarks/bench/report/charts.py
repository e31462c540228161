"""The page's charts: latencies, latency against accuracy, stages, distance to the roofline.

Rows carry the number that the page's tables give them. They carry classes and no colours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from benchmarks.bench.report.words import name
from benchmarks.bench.schema import Row
from edge.html import nice, nice_below, text
from edge.html.svg import svg

_WIDTH, _GUTTER, _MARGIN = 960, 300, 40  # the gutter holds the rows' names
_LINE, _HEAD, _FOOT, _BAR = 24, 12, 26, 10
_SCATTER_HEIGHT = 340
_AROUND = ((0, -10), (0, 19), (15, 4), (-15, 4), (14, -10), (-14, -10), (14, 19), (-14, 19))


@dataclass(frozen=True, slots=True)
class _Axis:
    """A logarithmic one, from left to right."""

    low: float
    high: float
    left: float

    @classmethod
    def over(cls, values: Sequence[float], left: float) -> _Axis:
        low, high = nice_below(min(values)), nice(max(values))
        return cls(low, high if high > low else 2 * low, left)

    def x(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.left + (_WIDTH - _MARGIN - self.left) * share

    def grid(self, top: float, bottom: float) -> Iterator[str]:
        """A line at each 1, 2 or 5, and its label below; decades only, where there are many."""
        values = [self.low]
        while values[-1] < self.high * 0.99:
            values.append(nice(values[-1] * 1.01))
        many = len(values) > 12
        for value in values:
            x = self.x(value)
            yield f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/>'
            if not many or math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9):
                yield text("tick", f"{value:g} ms", x, bottom + 16)


def latencies(rows: Sequence[Row]) -> str:
    """Thin from the least to p99, thick from p10 to p90; the median a line, the most a dot."""
    axis = _Axis.over([q for row in rows for q in (row.quantiles_ms[0], row.max_ms)], _GUTTER)

    def draw(row: Row, middle: float) -> Iterator[str]:
        at = [axis.x(quantile) for quantile in row.quantiles_ms]
        kind = _kind(row)
        yield f'<path class="thin {kind}" d="M{at[0]:.1f} {middle}H{at[99]:.1f}"/>'
        yield _bar(kind, at[10], at[90], middle)
        yield f'<path class="median" d="M{at[50]:.1f} {middle - 8}v16"/>'
        yield f'<circle class="{kind}" cx="{at[100]:.1f}" cy="{middle}" r="2.5"/>'

    return _by_row("latencies", "Latency of the inference", rows, axis, draw)


def roofline(rows: Sequence[Row]) -> str:
    """From what the ceiling allows, a line, to the median, a dot; between them the ratio."""
    known = [row for row in rows if row.floor_ms]
    axis = _Axis.over([v for row in known for v in (row.floor_ms or 1, row.p50_ms)], _GUTTER)

    def draw(row: Row, middle: float) -> Iterator[str]:
        floor, median = axis.x(row.floor_ms or 1), axis.x(row.p50_ms)
        yield f'<path class="thin {_kind(row)}" d="M{floor:.1f} {middle}H{median:.1f}"/>'
        yield f'<path class="median" d="M{floor:.1f} {middle - 7}v14"/>'
        yield f'<circle class="{_kind(row)}" cx="{median:.1f}" cy="{middle}" r="4"/>'
        yield text("value", f"{row.roofline_ratio:.1f}x", median + 9, middle + 4, "start")

    return _by_row("roofline", "Distance to the roofline", known, axis, draw)


def stages(rows: Sequence[Row]) -> str:
    """The whole path, end to end, on a linear scale."""
    longest = max(sum(row.stage_p50_ms.values()) for row in rows)
    step = nice(longest / 8)
    scale = (_WIDTH - _MARGIN - 30 - _GUTTER) / longest
    bottom = _HEAD + _LINE * len(rows)
    parts = []
    for number in range(math.floor(longest / step) + 1):
        x = _GUTTER + number * step * scale
        parts.append(f'<path class="grid" d="M{x:.1f} {_HEAD}V{bottom}"/>')
        parts.append(text("tick", f"{number * step:g} ms", x, bottom + 16))
    for number, row in enumerate(rows):
        middle, x = _HEAD + _LINE * (number + 0.5), float(_GUTTER)
        parts.append(text("name", name(row), _GUTTER - 10, middle + 4, "end"))
        for stage, ms in row.stage_p50_ms.items():
            title = f"{stage} {ms:.2f} ms"
            parts.append(_bar(f"stage {stage}", x, x + ms * scale, middle, title))
            x += ms * scale
        parts.append(
            text("value", f"{sum(row.stage_p50_ms.values()):.1f}", x + 6, middle + 4, "start")
        )
    return svg("stages", _WIDTH, bottom + _FOOT, "The whole path by stage", parts)


def against_accuracy(numbered: Mapping[int, Row]) -> str:
    """Median latency from left to right, mask overlap with the truth upwards; rows by number."""
    known = {number: row for number, row in numbered.items() if row.accuracy}
    ious = {n: row.accuracy.simulated_iou for n, row in known.items() if row.accuracy}
    axis = _Axis.over([row.p50_ms for row in known.values()], _MARGIN + 30)
    low, high = _padded(min(ious.values()), max(ious.values()))
    bottom = _SCATTER_HEIGHT - _FOOT

    def y(iou: float) -> float:
        return bottom - (bottom - _HEAD) * (iou - low) / (high - low)

    parts = [*axis.grid(_HEAD, bottom)]
    step = nice((high - low) / 5)
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        parts.append(
            f'<path class="grid" d="M{axis.left} {y(number * step):.1f}H{_WIDTH - _MARGIN}"/>'
        )
        parts.append(
            text("tick", f"{number * step:.3g}", axis.left - 8, y(number * step) + 4, "end")
        )
    points = {number: (axis.x(row.p50_ms), y(ious[number])) for number, row in known.items()}
    for number, row in known.items():
        x, at = points[number]
        title = f"{name(row)}: {row.p50_ms:.2f} ms, IoU {ious[number]:.3f}"
        parts.append(
            f'<circle class="{_kind(row)}" cx="{x:.1f}" cy="{at:.1f}" r="5">'
            f"<title>{escape(title)}</title></circle>"
        )
    parts += [text("value", str(n), *place) for n, place in _beside(points).items()]
    return svg("accuracy", _WIDTH, _SCATTER_HEIGHT, "Latency against accuracy", parts)


def _beside(points: Mapping[int, tuple[float, float]]) -> dict[int, tuple[float, float]]:
    """Where each point's number goes: on no point and no other number, if there is room."""
    taken = [(x, y + 4) for x, y in points.values()]
    places = {}
    for number, (x, y) in points.items():
        around = [(x + dx, y + dy) for dx, dy in _AROUND]
        free = [
            p for p in around if all(abs(p[0] - x) > 12 or abs(p[1] - y) > 11 for x, y in taken)
        ]
        places[number] = (free or around)[0]
        taken.append(places[number])
    return places


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range that leaves room around its ends, and is one even where they are the same."""
    room = max(0.005, 0.15 * (high - low))
    return low - room, high + room


def _by_row(
    kind: str,
    title: str,
    rows: Sequence[Row],
    axis: _Axis,
    draw: Callable[[Row, float], Iterator[str]],
) -> str:
    bottom = _HEAD + _LINE * len(rows)
    parts = [*axis.grid(_HEAD, bottom)]
    for number, row in enumerate(rows):
        middle = _HEAD + _LINE * (number + 0.5)
        parts.append(text("name", name(row), _GUTTER - 10, middle + 4, "end"))
        parts += draw(row, middle)
    return svg(kind, _WIDTH, bottom + _FOOT, title, parts)


def _bar(kind: str, left: float, right: float, middle: float, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{middle - _BAR / 2}" '
        f'width="{max(1.0, right - left):.1f}" height="{_BAR}">{said}</rect>'
    )


def _kind(row: Row) -> str:
    return f"{row.precision} {'own' if row.bundle else 'peer'}"
