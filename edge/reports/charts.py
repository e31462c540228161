"""Latencies of all frames, and how the last runs were, as charts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edge.html import nice, nice_below
from edge.reports.drawing import Box, Drawing, Line, Shape, Words
from edge.reports.report import Latency, Trend

_WIDTH, _TOP, _BASE, _MARGIN = 640.0, 24.0, 150.0, 24.0
_PANEL, _PANEL_TOP, _PANEL_BASE = 312.0, 26.0, 110.0
_STEP_RATIO = 1.05
_A_LETTER = 7.0  # wide, at most


def latency_chart(latency: Latency) -> Drawing:
    """Frames over a logarithmic axis; there are some."""
    low = nice_below(max(latency.steps_ms[0][0], 0.1) / _STEP_RATIO)
    high = nice(latency.steps_ms[-1][0] * 1.01)
    most = max(count for _, count in latency.steps_ms)

    def x(ms: float) -> float:
        share = math.log(max(ms, low) / low) / math.log(high / low)
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * share

    shapes: list[Shape] = [Words("tick", f"{most} frames", _MARGIN, _TOP - 8, "start")]
    for ms, count in latency.steps_ms:
        height = (_BASE - _TOP) * count / most
        left = x(ms / _STEP_RATIO)
        title = f"up to {ms:.2f} ms: {count} frames"
        width = max(1.0, x(ms) - left)
        shapes.append(Box("bar", left, _BASE - height, width, height, title))
    shapes.append(Line("axis", _MARGIN, _BASE, _WIDTH - _MARGIN, _BASE))
    tick = low
    while tick < high * 1.01:
        shapes.append(Words("tick", f"{tick:g} ms", x(tick), _BASE + 16))
        tick = nice(tick * 1.01)
    return Drawing("latency", "Frames by latency", _WIDTH, _BASE + 24, shapes)


@dataclass(frozen=True)
class _Figure:
    """One figure of each run."""

    title: str
    form: str
    values: Sequence[float]


def trend_chart(trend: Sequence[Trend]) -> Drawing:
    """Four small charts, a bar a run; the last bar is the latest run."""
    figures = (
        _Figure("rail inspected, % of rail run", "{:.1f}", [_share(t) for t in trend]),
        _Figure("frames NG, per km", "{:.1f}", [_per_km(t.ng, t) for t in trend]),
        _Figure("frames UNKNOWN, per km", "{:.1f}", [_per_km(t.unknown, t) for t in trend]),
        _Figure("rail run, m", "{:.0f}", [t.run_um / 1e6 for t in trend]),
    )
    shapes = list[Shape]()
    for number, figure in enumerate(figures):
        left, top = (number % 2) * (_PANEL + 16), (number // 2) * (_PANEL_BASE + 28)
        shapes += _panel(figure, trend, left, top)
    return Drawing("trend", "The last runs", _WIDTH, 2 * (_PANEL_BASE + 28), shapes)


def _panel(figure: _Figure, trend: Sequence[Trend], left: float, top: float) -> Iterator[Shape]:
    yield Words("name", figure.title, left, top + 14, "start")
    most = max([*figure.values, 1e-9])
    wide = _PANEL / len(trend)
    for number, (value, run) in enumerate(zip(figure.values, trend, strict=True)):
        height = (_PANEL_BASE - _PANEL_TOP - 10) * value / most
        x, y = left + number * wide, top + _PANEL_BASE - height
        kind = "bar" if number == len(trend) - 1 else "before"
        said = f"run {run.run}, {run.began[:16]}: {figure.form.format(value)}"
        yield Box(kind, x + 1, y, max(1.0, wide - 3), height, said)
        yield Words("tick", figure.form.format(value), x + wide / 2, y - 3)
        if number == len(trend) - 1 or wide > _A_LETTER * len(str(run.run)):
            yield Words("tick", f"{run.run}", x + wide / 2, top + _PANEL_BASE + 12)
    yield Line("axis", left, top + _PANEL_BASE, left + _PANEL, top + _PANEL_BASE)


def _share(trend: Trend) -> float:
    return 100 * trend.inspected_um / trend.run_um if trend.run_um else 0.0


def _per_km(count: int, trend: Trend) -> float:
    return count * 1e9 / trend.run_um if trend.run_um else 0.0
