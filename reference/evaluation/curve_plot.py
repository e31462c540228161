"""Curves of an evaluation as an SVG file: no plotting library, sharp at any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from reference.evaluation.metrics import Curve

_SIDE, _LEFT, _TOP, _BELOW, _RIGHT = 360, 52, 34, 48, 20
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a } .title { font-weight: 600; fill: #24292f }
.grid { stroke: #d0d7de; stroke-width: 1 } .curve { fill: none; stroke-width: 2 }
"""


@dataclass(frozen=True, eq=False)
class Line:
    """One curve; both axes run from 0 to 1."""

    name: str
    x: Curve
    y: Curve


def plot(title: str, across: str, upwards: str, lines: Sequence[Line]) -> str:
    """A square diagram of curves between 0 and 1; several are told apart by a legend."""
    width, height = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BELOW
    middle = _LEFT + _SIDE / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="title" x="{_LEFT}" y="20">{escape(title)}</text>',
        *_axes(),
        f'<text x="{middle}" y="{height - 10}" text-anchor="middle">{escape(across)}</text>',
        f'<text transform="translate(14 {_TOP + _SIDE / 2}) rotate(-90)" '
        f'text-anchor="middle">{escape(upwards)}</text>',
    ]
    for number, line in enumerate(lines):
        parts.append(_curve(line, number))
        if len(lines) > 1:
            parts += _legend(line, number)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axes() -> list[str]:
    parts = []
    for tick in np.linspace(0, 1, 6):
        x, y = _place(tick, tick)
        parts += [
            f'<path class="grid" d="M{x:.1f} {_TOP}V{_TOP + _SIDE}M{_LEFT} {y:.1f}h{_SIDE}"/>',
            f'<text x="{x:.1f}" y="{_TOP + _SIDE + 18}" text-anchor="middle">{tick:.1f}</text>',
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:.1f}</text>',
        ]
    return parts


def _curve(line: Line, number: int) -> str:
    places = (_place(x, y) for x, y in zip(line.x, line.y, strict=True))
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="curve" stroke="{_colour(number)}" points="{points}"/>'


def _legend(line: Line, number: int) -> list[str]:
    x, y = _LEFT + 12, _TOP + _SIDE - 14 - 18 * number
    return [
        f'<path class="curve" stroke="{_colour(number)}" d="M{x} {y - 4}h18"/>',
        f'<text x="{x + 24}" y="{y}">{escape(line.name)}</text>',
    ]


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _place(x: float, y: float) -> tuple[float, float]:
    return _LEFT + _SIDE * x, _TOP + _SIDE * (1 - y)
