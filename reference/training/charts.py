"""A training run's curves as inline SVG, without colours of their own: the page has them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from edge.html import nice, text
from edge.html.svg import svg

Points = Sequence[tuple[float, float]]

_WIDTH, _LEFT, _RIGHT, _TOP, _BASE = 640, 52, 620, 28, 228
_TICKS = 5


def line_chart(
    title: str, across: str, lines: Mapping[str, Points], *, mark: float | None = None
) -> str:
    """Curves over one axis, both from 0; a `mark` is a place along it that stands out."""
    lines = {name: shown for name, line in lines.items() if (shown := _numbers(line))}
    points = [point for line in lines.values() for point in line]
    if not points:
        return ""
    most_x = max(x for x, _ in points) or 1.0
    most_y = nice(max(y for _, y in points) or 1.0)
    parts = list(_grid(most_x, most_y, across))
    if mark is not None:
        x = _x(mark, most_x)
        parts.append(f'<path class="mark" d="M{x:.1f} {_TOP}V{_BASE}"/>')
    for number, (name, line) in enumerate(lines.items()):
        places = "L".join(f"{_x(x, most_x):.1f} {_y(y, most_y):.1f}" for x, y in line)
        parts.append(f'<path class="line line{number}" d="M{places}"/>')
        at = _LEFT + 150 * number
        parts.append(f'<path class="line line{number}" d="M{at} {_TOP - 14}h18"/>')
        parts.append(text("tick", name, at + 24, _TOP - 10, "start"))
    return svg("curves", _WIDTH, _BASE + 40, title, parts)


def _numbers(line: Points) -> Points:
    """Without those that are none: a figure of nothing, as the escapes of no defects."""
    return [(x, y) for x, y in line if math.isfinite(y)]


def _grid(most_x: float, most_y: float, across: str) -> Iterator[str]:
    for step in range(_TICKS + 1):
        x, y = most_x * step / _TICKS, most_y * step / _TICKS
        yield f'<path class="grid" d="M{_LEFT} {_y(y, most_y):.1f}H{_RIGHT}"/>'
        yield text("tick", f"{y:.3g}", _LEFT - 6, _y(y, most_y) + 4, "end")
        yield text("tick", f"{x:.4g}", _x(x, most_x), _BASE + 16)
    yield text("tick", across, (_LEFT + _RIGHT) / 2, _BASE + 34)


def _x(value: float, most: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * value / most


def _y(value: float, most: float) -> float:
    return _BASE - (_BASE - _TOP) * min(value / most, 1.0)
