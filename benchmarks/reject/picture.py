"""How often a switch is further off than so many millimetres, as an SVG with a panel a speed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.html import text
from edge.html.svg import svg

_PANEL, _HEIGHT, _LEFT, _TOP, _BOTTOM, _GAP = 270, 240, 78, 34, 44, 36
_LEAST_MM, _MOST_MM = 0.001, 1000.0
_RAREST = 1e-4
_COLOURS = ("#999999", "#c9a227", "#4aa3df", "#5b6cfa", "#b065c9", "#3aa76d", "#d9534f")
_STYLE = """<style>
text { font: 11px system-ui, sans-serif; fill: #333 }
.title { font-weight: 600; font-size: 12px }
.grid { stroke: #ddd; fill: none }
.curve { fill: none; stroke-width: 1.6 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .grid { stroke: #444 } }
</style>"""


@dataclass(frozen=True)
class Curve:
    """The errors of one rejector at one speed."""

    name: str
    speed_m_s: float
    errors_mm: Sequence[float]


def draw(curves: Sequence[Curve]) -> str:
    """Both axes are logarithmic; a curve that is further left and ends higher up is better."""
    names = list(dict.fromkeys(curve.name for curve in curves))
    colours = dict(zip(names, _COLOURS, strict=False))
    speeds = sorted({curve.speed_m_s for curve in curves})
    parts = [_STYLE]
    for panel, speed in enumerate(speeds):
        left = _LEFT + panel * (_PANEL + _GAP)
        parts += _frame(left, f"{speed:g} m/s", labelled=panel == 0)
        for curve in curves:
            if curve.speed_m_s == speed:
                parts.append(_curve(curve, left, colours[curve.name]))
    width = _LEFT + len(speeds) * (_PANEL + _GAP)
    parts += _legend(colours)
    legend_height = 18 * math.ceil(len(names) / 4) + 8
    title = "How often a reject is switched further from its place than this"
    chart = svg("reject-timing", width, _TOP + _HEIGHT + _BOTTOM + legend_height, title, parts)
    return chart.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)


def _frame(left: float, title: str, *, labelled: bool) -> Iterator[str]:
    yield text("title", title, left + _PANEL / 2, _TOP - 10)
    for exponent in range(round(math.log10(_LEAST_MM)), round(math.log10(_MOST_MM)) + 1):
        x = left + _x(10.0**exponent)
        yield f'<path class="grid" d="M{x:.1f} {_TOP}V{_TOP + _HEIGHT}"/>'
        yield text("tick", f"{10.0**exponent:g}", x, _TOP + _HEIGHT + 15)
    yield text("tick", "mm from its place", left + _PANEL / 2, _TOP + _HEIGHT + 31)
    for exponent in range(round(math.log10(_RAREST)), 1):
        y = _y(10.0**exponent)
        yield f'<path class="grid" d="M{left} {y:.1f}h{_PANEL}"/>'
        if labelled:
            share = f"1 in {10**-exponent:,}" if exponent else "all"
            yield text("tick", share, left - 6, y + 4, "end")


def _curve(curve: Curve, left: float, colour: str) -> str:
    """The share of switches that are off by more, from the least error to the greatest."""
    errors = sorted(curve.errors_mm)
    points = [
        f"{left + _x(error):.1f} {_y(1 - i / len(errors)):.1f}"
        for i, error in enumerate(errors)
        if i == 0
        or i == len(errors) - 1
        or i % max(1, len(errors) // 200) == 0
        or i > len(errors) * 0.98
    ]
    last = f"{left + _x(errors[-1]):.1f} {_y(1 / len(errors)):.1f}"
    path = "M" + "L".join([*points, last])
    return f'<path class="curve" stroke="{colour}" d="{path}"/>'


def _legend(colours: dict[str, str]) -> Iterator[str]:
    for i, (name, colour) in enumerate(colours.items()):
        x, y = _LEFT + i % 4 * 220, _TOP + _HEIGHT + _BOTTOM + 18 * (i // 4) + 6
        yield f'<path class="curve" stroke="{colour}" d="M{x} {y - 4}h18"/>'
        yield text("tick", name, x + 24, y, "start")


def _x(error_mm: float) -> float:
    within = min(max(error_mm, _LEAST_MM), _MOST_MM)
    return _PANEL * math.log10(within / _LEAST_MM) / math.log10(_MOST_MM / _LEAST_MM)


def _y(share: float) -> float:
    return _TOP + _HEIGHT * math.log10(max(share, _RAREST)) / math.log10(_RAREST)
