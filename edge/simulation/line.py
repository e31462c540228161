"""One simulated line: blemishes placed along the rail, any window of it rendered on demand."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge.simulation.blemishes import DEFECTS, DISTRACTORS, PAINT, Paint, Painter, painted
from edge.simulation.surface import SURFACES, Appearance, SurfaceKind, render_surface
from edge.simulation.track import (
    HEAD_MM,
    TRACK_DEFECTS,
    TRACK_REPORTED,
    TRACK_SOUND,
    grease,
    render_track,
)
from edge.types import Image, Stretch

_SEGMENT_MM = 400  # blemishes are drawn segment by segment, each from its own seed
_REACH_MM = 80  # no blemish is longer than this, so only near segments can reach a window
GREASE = "grease"


@dataclass(frozen=True, slots=True)
class TrueDefect:
    """A defect, or a mark of paint: its kind, its place on the rail, the area of its exact mask."""

    kind: str
    stretch: Stretch
    width_mm: float
    area_mm2: float
    left_um: int = 0
    contrast: float = 0  # mean change in grey levels, up or down


@dataclass(frozen=True)
class Palette:
    """What there is on a surface: defects, what is named and only reported, and what is sound."""

    defects: Mapping[str, Painter]
    reported: Mapping[str, Painter]
    sound: Mapping[str, Painter]
    asked: Mapping[str, Painter]  # sound, and nowhere unless it is asked for

    def painter(self, kind: str) -> Painter:
        return {**self.defects, **self.reported, **self.sound, **self.asked}[kind]


_STEEL = Palette(DEFECTS, {}, DISTRACTORS, {PAINT: painted})
PALETTES: dict[SurfaceKind, Palette] = {
    "rail": _STEEL,
    "strip": _STEEL,
    "track": Palette(TRACK_DEFECTS, TRACK_REPORTED, TRACK_SOUND, {PAINT: painted, GREASE: grease}),
}


def surfaces_of(classes: Collection[str]) -> tuple[SurfaceKind, ...]:
    """Those that a network is at home on: track, if it names what only track has, or steel."""
    track = {*TRACK_DEFECTS, *TRACK_REPORTED}
    return ("track",) if classes and track.issuperset(classes) else SURFACES


@dataclass(frozen=True, eq=False)
class _Placed:
    kind: str
    paint: Paint
    top_row: int  # absolute
    left_column: int

    @property
    def bottom_row(self) -> int:
        rows: int = self.paint.coverage.shape[0]
        return self.top_row + rows


@dataclass(frozen=True)
class SimulatedLine:
    """A rail or strip that is the same for the same seed, wherever one looks first."""

    seed: int
    surface: SurfaceKind = "rail"
    width_px: int = 352
    um_per_px: int = 250
    defects_per_metre: float = 1.5
    distractors_per_metre: float = 2.0
    smallest: float = 1.0  # defects are drawn down to this share of their size, evenly by ratio
    paint_per_metre: float = 0.0  # bright marks by a brush, which are no defects
    grease_per_metre: float = 0.0  # on track, as sound; steel has some among its distractors

    def render(self, start_row: int, rows: int) -> tuple[Image, NDArray[np.uint8]]:
        """Grey image and labels (0, or 1 + index into `classes`) of a window of rows."""
        grey = self._sound(start_row, rows)
        mask = np.zeros((rows, self.width_px), np.uint8)
        for placed in self._near(start_row, start_row + rows):
            window, part = self._overlap(placed, start_row, rows)
            placed.paint.cover(grey[window], part)
            if placed.kind in self.classes:
                label = 1 + self.classes.index(placed.kind)
                mask[window][placed.paint.mask[part]] = label
        return np.asarray(np.clip(grey + 0.5, 0, 255), np.uint8), mask

    @property
    def classes(self) -> tuple[str, ...]:
        """What has a name on this surface: its defects, and what is only reported."""
        palette = PALETTES[self.surface]
        return (*palette.defects, *palette.reported)

    def _sound(self, start_row: int, rows: int) -> NDArray[np.float32]:
        if self.surface == "track":
            return render_track(self.seed, start_row, rows, self.width_px, self.um_per_px)
        appearance = Appearance.draw(self.seed, self.surface)
        return render_surface(appearance, self.seed, start_row, rows, self.width_px)

    def true_defects(self, start_row: int, end_row: int) -> list[TrueDefect]:
        """Defects wholly between two rows, in order along the rail."""
        return self._wholly(PALETTES[self.surface].defects, start_row, end_row)

    def true_paint(self, start_row: int, end_row: int) -> list[TrueDefect]:
        """Marks of paint, likewise."""
        return self._wholly({PAINT}, start_row, end_row)

    def _wholly(self, kinds: Collection[str], start_row: int, end_row: int) -> list[TrueDefect]:
        found = [
            self._true_defect(placed)
            for placed in self._near(start_row, end_row)
            if placed.kind in kinds
        ]
        low, high = start_row * self.um_per_px, end_row * self.um_per_px
        whole = [d for d in found if low <= d.stretch.start_um and d.stretch.end_um <= high]
        return sorted(whole, key=lambda d: d.stretch.start_um)

    def _true_defect(self, placed: _Placed) -> TrueDefect:
        left = max(0, -placed.left_column)
        right = self.width_px - placed.left_column
        mask = placed.paint.outline[:, left:right]
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        start, end = placed.top_row + int(rows[0]), placed.top_row + int(rows[-1]) + 1
        width_mm = int(np.ptp(columns) + 1) * self.um_per_px / 1000
        area_mm2 = int(mask.sum()) * (self.um_per_px / 1000) ** 2
        stretch = Stretch(start * self.um_per_px, end * self.um_per_px)
        left_um = (max(0, placed.left_column) + int(columns[0])) * self.um_per_px
        changed = placed.paint.coverage * placed.paint.shade
        contrast = float(np.abs(changed[:, left:right][mask]).mean())
        return TrueDefect(placed.kind, stretch, width_mm, area_mm2, left_um, contrast)

    def _overlap(
        self, placed: _Placed, start_row: int, rows: int
    ) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The same pixels, as an index into the window and as one into the blemish."""
        height, width = placed.paint.coverage.shape
        top, left = placed.top_row - start_row, placed.left_column
        y0, y1 = max(0, top), min(rows, top + height)
        x0, x1 = max(0, left), min(self.width_px, left + width)
        return np.s_[y0:y1, x0:x1], np.s_[y0 - top : y1 - top, x0 - left : x1 - left]

    def _near(self, start_row: int, end_row: int) -> Iterator[_Placed]:
        rows_per_mm = 1000 / self.um_per_px
        first = math.floor((start_row / rows_per_mm - _REACH_MM) / _SEGMENT_MM)
        last = math.floor(end_row / rows_per_mm / _SEGMENT_MM)
        for segment in range(max(0, first), last + 1):
            for placed in _segment(self, segment):
                if placed.top_row < end_row and placed.bottom_row > start_row:
                    yield placed


@lru_cache(maxsize=4)  # a window shows two, each up to two megabytes
def _segment(line: SimulatedLine, segment: int) -> tuple[_Placed, ...]:
    """The blemishes that begin in one segment; distractors lie under the defects."""
    rng = np.random.default_rng((line.seed, 3, segment))
    share = _SEGMENT_MM / 1000
    palette = PALETTES[line.surface]
    under = [*palette.reported, *palette.sound]
    kinds = [
        *rng.choice(under, rng.poisson(line.distractors_per_metre * share)),
        *rng.choice(list(palette.defects), rng.poisson(line.defects_per_metre * share)),
    ]
    placed = [_place(line, segment, str(kind), rng) for kind in kinds]
    # Each drawn apart: with it or without, all else is where it was.
    for kind, stream, per_metre in (
        (PAINT, 4, line.paint_per_metre),
        (GREASE, 5, line.grease_per_metre),
    ):
        if per_metre and kind in palette.asked:
            apart = np.random.default_rng((line.seed, stream, segment))
            marks = apart.poisson(per_metre * share)
            # Under everything: a defect that has come since is seen.
            placed = [*(_place(line, segment, kind, apart) for _ in range(marks)), *placed]
    return tuple(placed)


def _place(line: SimulatedLine, segment: int, kind: str, rng: np.random.Generator) -> _Placed:
    scale = paint_scale = 1000 / line.um_per_px
    palette = PALETTES[line.surface]
    if line.smallest < 1 and kind in palette.defects:
        paint_scale *= line.smallest ** rng.uniform()
    paint = palette.painter(kind)(rng, paint_scale)
    top = round((segment + rng.uniform()) * _SEGMENT_MM * scale)
    beside = 0 if line.surface != "track" else round(max(0, line.width_px - HEAD_MM * scale) / 2)
    spare = line.width_px - 2 * beside - paint.coverage.shape[1]
    # A defect lies wholly on the rail; what is wider than the rail is centred on it.
    left = beside + (round(rng.uniform(0, spare)) if spare > 0 else spare // 2)
    return _Placed(kind, paint, top, left)
