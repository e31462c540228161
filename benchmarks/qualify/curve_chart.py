"""The curve of found against size as inline SVG: its band, its sizes, and what was found.

It carries classes and no colours, which the page has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from edge.certificate import Answer
from edge.html import nice, nice_below, text
from edge.html.svg import svg

_WIDTH, _TOP, _BASE = 640, 24, 264
_LEFT, _RIGHT = 44, 560
_DOT = 3.5


@dataclass(frozen=True, slots=True)
class _Axis:
    low: float
    high: float

    def x(self, size: float) -> float:
        inside = min(self.high, max(self.low, size))
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return _LEFT + (_RIGHT - _LEFT) * share

    def ticks(self) -> Iterator[float]:
        value = self.low
        while value < self.high * 1.01:
            yield value
            value = nice(value * 1.01)


def curve_chart(answer: Answer, unit: str) -> str:
    """Sizes on a logarithmic axis, shares up it; empty where there are no specimens."""
    if not answer.bins:
        return ""
    sizes = [bound for each in answer.bins for bound in (each.low, each.high)]
    sizes += [size for size in (answer.a50, answer.a90_95) if size is not None]
    axis = _Axis(nice_below(min(sizes) * 0.99), nice(max(sizes) * 1.01))
    parts = [*_grid(axis, unit), *_band(answer, axis), *_found(answer, axis), *_marks(answer, axis)]
    return svg("pod", _WIDTH, _BASE + 44, "Found by size", parts)


def _grid(axis: _Axis, unit: str) -> Iterator[str]:
    for share in (0, 0.25, 0.5, 0.75, 0.9, 1):
        yield f'<path class="grid" d="M{_LEFT} {_y(share):.1f}H{_RIGHT}"/>'
        yield text("tick", f"{share:.0%}", _LEFT - 6, _y(share) + 4, "end")
    for size in axis.ticks():
        yield f'<path class="grid" d="M{axis.x(size):.1f} {_TOP}V{_BASE + 4}"/>'
        yield text("tick", f"{size:g}", axis.x(size), _BASE + 17)
    yield text("tick", unit, (_LEFT + _RIGHT) / 2, _BASE + 35)


def _band(answer: Answer, axis: _Axis) -> Iterator[str]:
    sides = [
        (axis.x(p.at_least or axis.low), axis.x(p.at_most or axis.high), _y(p.share))
        for p in answer.curve
    ]
    if sides:
        there = [f"{left:.1f} {y:.1f}" for left, _, y in sides]
        back = [f"{right:.1f} {y:.1f}" for _, right, y in reversed(sides)]
        yield f'<path class="band" d="M{"L".join([*there, *back])}Z"/>'
    middle = [f"{axis.x(p.size):.1f} {_y(p.share):.1f}" for p in answer.curve if p.size is not None]
    if middle:
        yield f'<path class="curve" d="M{"L".join(middle)}"/>'


def _found(answer: Answer, axis: _Axis) -> Iterator[str]:
    for each in answer.bins:
        x, y = axis.x(math.sqrt(each.low * each.high)), _y(each.found / each.n)
        yield f'<path class="bin" d="M{axis.x(each.low):.1f} {y:.1f}H{axis.x(each.high):.1f}"/>'
        yield (
            f'<circle class="bin" cx="{x:.1f}" cy="{y:.1f}" r="{_DOT}">'
            f"<title>{each.low:.3g} to {each.high:.3g}: {each.found} of {each.n}</title></circle>"
        )


def _marks(answer: Answer, axis: _Axis) -> Iterator[str]:
    for name, size, side in (("a90", answer.a90, -5), ("a90/95", answer.a90_95, 5)):
        if size is not None and axis.low <= size <= axis.high:
            x = axis.x(size)
            yield f'<path class="flag" d="M{x:.1f} 4V{_BASE}"/>'
            anchor = "start" if side > 0 else "end"
            yield text("flag", f"{name} {size:.3g}", x + side, 14, anchor)


def _y(share: float) -> float:
    return _BASE - (_BASE - _TOP) * share
