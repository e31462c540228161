"""The map of the surface: where along it and across it something was found or nobody could look.

Each camera of each run has a strip of its own, wrapped into rows like lines of text. Where there is
too much to tell one from the other, marks give way to cells that are darker for more.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge.html import nice
from edge.reports.drawing import Box, Drawing, Line, Shape, Words
from edge.reports.report import Dark, Report, Spot

WIDTH = 960.0
_GUTTER, _MARGIN = 58, 14
_HEAD, _TICKS, _GAP = 20, 16, 8  # above a strip its name; below each row its places
_ROW = 46  # high
_MOST_STRIPS, _ROWS = 6, 8
_LEAST_ROW_UM = 2_000_000
_LEAST_MARK = 3.0  # wide and high, so that it is seen
_MOST_MARKS = 400  # in a row, beyond which it is drawn in cells
_CELL = 6.0
_SHADES = 4
_LEAST_WIDTH_UM = 10_000


@dataclass(frozen=True)
class Strip:
    """What one camera of one run saw."""

    run: int
    camera: str
    start_um: int
    end_um: int
    spots: Sequence[Spot]
    dark: Sequence[Dark]

    @property
    def width_um(self) -> int:
        return max([_LEAST_WIDTH_UM, *(spot.right_um for spot in self.spots)])


def surface_map(report: Report) -> Drawing:
    """Of the strips with the most on them; the rest is said."""
    strips = list(_strips(report))
    shown = sorted(strips, key=lambda strip: (-len(strip.spots), strip.run))[:_MOST_STRIPS]
    shown.sort(key=lambda strip: (strip.run, strip.camera))
    row_um = nice(max([_LEAST_ROW_UM, *((s.end_um - s.start_um) / _ROWS for s in shown)]))
    shapes, y = list[Shape](), 0.0
    for strip in shown:
        shapes += _strip(strip, row_um, y)
        y += _HEAD + _rows(strip, row_um) * (_ROW + _TICKS) + _GAP
    if left := len(strips) - len(shown):
        said = f"and {left} more of a camera's runs, with less on them"
        shapes.append(Words("tick", said, _GUTTER, y + 12, "start"))
        y += 20
    return Drawing("surface", "Where on the surface", WIDTH, max(y, 20.0), shapes)


def _strips(report: Report) -> Iterator[Strip]:
    spots: Mapping[tuple[int, str], list[Spot]] = defaultdict(list)
    dark: Mapping[tuple[int, str], list[Dark]] = defaultdict(list)
    for spot in report.spots:
        spots[spot.run, spot.camera].append(spot)
    for each in report.dark:
        dark[each.run, each.camera].append(each)
    for run in report.runs:
        for camera, rail in run.cameras.items():
            key = run.run, camera
            start_um = run.starts_um[camera]
            end_um = max(
                [
                    start_um + rail.run_um,
                    *(each.end_um for each in spots[key]),
                    *(each.end_um for each in dark[key]),
                ]
            )
            yield Strip(*key, start_um, end_um, spots[key], dark[key])


def _rows(strip: Strip, row_um: float) -> int:
    return max(1, math.ceil((strip.end_um - strip.start_um) / row_um))


def _strip(strip: Strip, row_um: float, y: float) -> Iterator[Shape]:
    yield Words("name", f"run {strip.run}, {strip.camera}", _GUTTER, y + 14, "start")
    for row in range(_rows(strip, row_um)):
        start_um = strip.start_um + row * row_um
        top = y + _HEAD + row * (_ROW + _TICKS)
        yield from _row(strip, _Scale(start_um, row_um, strip.width_um, top))


@dataclass(frozen=True)
class _Scale:
    """Of one row."""

    start_um: float
    row_um: float
    width_um: int
    top: float

    def x(self, um: float) -> float:
        share = min(max((um - self.start_um) / self.row_um, 0.0), 1.0)
        return _GUTTER + share * (WIDTH - _GUTTER - _MARGIN)

    def y(self, um: float) -> float:
        return self.top + min(max(um / self.width_um, 0.0), 1.0) * _ROW

    def shows(self, start_um: int, end_um: int) -> bool:
        return start_um < self.start_um + self.row_um and end_um > self.start_um


def _row(strip: Strip, scale: _Scale) -> Iterator[Shape]:
    right = scale.x(strip.end_um)
    yield Box("steel", _GUTTER, scale.top, max(1.0, right - _GUTTER), _ROW)
    yield Words("tick", "0", _GUTTER - 5, scale.top + 9, "end")
    yield Words("tick", f"{strip.width_um / 1000:.0f} mm", _GUTTER - 5, scale.top + _ROW, "end")
    for each in strip.dark:
        if scale.shows(each.start_um, each.end_um):
            left = scale.x(each.start_um)
            width = max(1.0, scale.x(each.end_um) - left)
            said = f"UNKNOWN, {_at(each.start_um)}, {(each.end_um - each.start_um) / 1000:.0f} mm"
            yield Box("dark", left, scale.top, width, _ROW, said)
    spots = [spot for spot in strip.spots if scale.shows(spot.start_um, spot.end_um)]
    draw = _marks if len(spots) <= _MOST_MARKS else _cells
    yield from draw(spots, scale)
    yield from _ticks(scale, right)


def _marks(spots: Sequence[Spot], scale: _Scale) -> Iterator[Shape]:
    for spot in sorted(spots, key=lambda each: each.fate == "rejected"):
        left = scale.x(spot.start_um)
        top = min(scale.y(spot.left_um), scale.top + _ROW - _LEAST_MARK)
        width = max(_LEAST_MARK, scale.x(spot.end_um) - left)
        height = max(_LEAST_MARK, scale.y(spot.right_um) - top)
        said = f"{spot.label}, {spot.fate}, {_at(spot.start_um)}"
        yield Box(spot.fate.replace(" ", "-"), left, top, width, height, said)


def _cells(spots: Sequence[Spot], scale: _Scale) -> Iterator[Shape]:
    """Darker for more; a full shade is as many as the fullest cell has."""
    counts = Counter(
        (
            int((scale.x((s.start_um + s.end_um) / 2) - _GUTTER) / _CELL),
            int((scale.y((s.left_um + s.right_um) / 2) - scale.top) / _CELL),
        )
        for s in spots
    )
    most = max(counts.values())
    for (column, row), count in sorted(counts.items()):
        shade = math.ceil(_SHADES * count / most)
        left, top = _GUTTER + column * _CELL, scale.top + row * _CELL
        height, width = min(_CELL, scale.top + _ROW - top), min(_CELL, WIDTH - _MARGIN - left)
        if height > 0 and width > 0:
            yield Box(f"shade{shade}", left, top, width, height, f"{count} things")


def _ticks(scale: _Scale, right: float) -> Iterator[Shape]:
    step_um = nice(scale.row_um / 8)
    first = math.ceil(scale.start_um / step_um)
    for number in range(first, first + 9):
        x = scale.x(number * step_um)
        if x > right + 1 or number * step_um > scale.start_um + scale.row_um:
            break
        yield Line("tickmark", x, scale.top + _ROW, x, scale.top + _ROW + 4)
        if x < WIDTH - 30:
            yield Words("tick", f"{number * step_um / 1e6:g} m", x, scale.top + _ROW + 13)


def _at(um: int) -> str:
    return f"at {um / 1e6:.3f} m"
