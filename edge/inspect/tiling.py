"""How a frame is shown to the network: stretched to its size, or cut to tiles.

Tiles overlap, and each pixel is judged by the tile in which it lies deepest: the seams between
tiles are in the middle of their overlap. A frame that overlaps the one before by less than that is
looked at with the last rows of that one, so that the network sees across their seam, too.

Tiles have the network's own size, unless its engine takes others: then each is a block of rows, as
wide as the frame, or as the part of it that one of the engine's threads has, and few pixels are
looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, product
from math import ceil, floor, isclose
from typing import Protocol

import cv2
import numpy as np

from edge.bundle import STRIDE, InputSpec, Manifest
from edge.engines import Answer, Prepared
from edge.errors import ConfigurationError
from edge.line_file import TileSettings
from edge.network import (
    SURELY_SOUND,
    Part,
    last_rows,
    read_answer,
    refuse_no_number,
    stitch_names,
)
from edge.types import Defect, Frame, Image, Mask, Stretch

Prepare = Callable[[Image], Prepared]  # as the engine wants it
Size = tuple[int, int]  # rows and columns
Box = tuple[tuple[int, int], tuple[int, int]]  # from which row to which, and column
_MOST_ROWS, _MOST_COLUMNS = 1024, 8192  # of a block: what it takes of memory grows with it
# Of a block that is parted among threads, the share of what each sees that its neighbour sees too.
_MOST_SEEN_TWICE = 0.25
# Where a line-scan camera's picture ends is known as well as its time, so that its rows seem to be
# longer or shorter than those before, which are the same to a network.
_SAME_SCALE = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is looked at for a frame: it, and maybe some rows of the one before."""

    frame: Frame
    inside: Image | None  # H,W of 255 where it is to be inspected; None for everywhere
    rows_before: int = 0

    def own_mask(self, mask: Mask) -> Mask:
        """Of the frame alone."""
        if not self.rows_before:
            return mask
        names = mask.names and last_rows(mask.names, self.rows_before / len(self.frame.image))
        return replace(mask, logits=mask.logits[self.rows_before :], names=names)

    def own_box(self, defect: Defect) -> Defect:
        """With its box in the frame alone, at whose edge is what lies before it."""
        if not self.rows_before:
            return defect
        return replace(defect, box_px=self.own_px(defect.box_px))

    def own_px(self, box_px: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """A box in the frame alone."""
        left, top, width, height = box_px
        start, stop = (max(0, row - self.rows_before) for row in (top, top + height))
        return left, start, width, max(1, stop - start)


class View(Protocol):
    """One way to show frames to a network."""

    def check(self, spec: InputSpec) -> None:
        """ConfigurationError if the network cannot be shown frames in this way."""
        ...

    def widen(self, before: Shown | None, shown: Shown, spec: InputSpec) -> Shown:
        """With what of the rail before must be looked at again."""
        ...

    def window(self, shown: Shown, spec: InputSpec, blocks_at_once: int) -> Size:
        """What the network is shown at once, by an engine that takes so many blocks of other sizes
        than its own, or none. `cut` and `put_together` are told of the network as it is shown that.
        """
        ...

    def cut(self, shown: Shown, spec: InputSpec, prepare: Prepare) -> list[Prepared]:
        """What the network is given."""
        ...

    def put_together(self, answers: Sequence[Answer], shown: Shown, manifest: Manifest) -> Mask:
        """The answers to what was cut, as a mask of all that is shown."""
        ...


class WholeView:
    """Each frame stretched to the network's size."""

    def check(self, spec: InputSpec) -> None:
        """Every network takes what has its size."""

    def widen(self, before: Shown | None, shown: Shown, spec: InputSpec) -> Shown:
        return shown

    def window(self, shown: Shown, spec: InputSpec, blocks_at_once: int) -> Size:
        return spec.height, spec.width

    def cut(self, shown: Shown, spec: InputSpec, prepare: Prepare) -> list[Prepared]:
        return [prepare(shown.frame.image)]

    def put_together(self, answers: Sequence[Answer], shown: Shown, manifest: Manifest) -> Mask:
        rows, columns = shown.frame.image.shape[:2]
        (answer,) = answers
        mask = read_answer(answer, (rows, columns), manifest)
        return _nothing_outside(mask, shown.inside)


@dataclass(frozen=True)
class TiledView:
    """Each frame at one scale, in tiles of the network's size, or in blocks of rows."""

    settings: TileSettings

    def check(self, spec: InputSpec) -> None:
        most = min(spec.height, spec.width) // 2
        if self.settings.overlap_px > most:
            raise ConfigurationError(
                f"tiles.overlap_px {self.settings.overlap_px} is more than half of the network's "
                f"{spec.width} x {spec.height} pixels: give at most {most}"
            )

    def widen(self, before: Shown | None, shown: Shown, spec: InputSpec) -> Shown:
        frame = shown.frame
        if before is None or not _goes_on(before.frame, frame):
            return shown
        ahead_um = frame.stretch.start_um - before.frame.stretch.start_um
        wanted = ceil(self.settings.overlap_px * self.um_per_px(spec) / frame.along_um)
        rows: int = before.frame.image.shape[0]
        again = slice(max(0, rows - wanted), round(ahead_um / before.frame.along_um))
        if again.start >= again.stop:
            return shown
        image = np.vstack([before.frame.image[again], frame.image])
        more = len(image) - len(frame.image)
        start_um = frame.stretch.start_um - round(more * frame.along_um)
        wider = replace(frame, image=image, stretch=Stretch(start_um, frame.stretch.end_um))
        if before.inside is None or shown.inside is None:
            return Shown(wider, None, more)
        return Shown(wider, np.vstack([before.inside[again], shown.inside]), more)

    def window(self, shown: Shown, spec: InputSpec, blocks_at_once: int) -> Size:
        if not blocks_at_once:
            return spec.height, spec.width
        (top, bottom), (left, right) = self._box(shown, self._scaled(shown.frame, spec))
        across, overlap = right - left, self.settings.overlap_px
        parts = max(1, min(blocks_at_once, floor(across * _MOST_SEEN_TWICE / overlap)))
        each = ceil((across + (parts - 1) * overlap) / parts)
        return _grained(bottom - top, _MOST_ROWS), _grained(each, _MOST_COLUMNS)

    def cut(self, shown: Shown, spec: InputSpec, prepare: Prepare) -> list[Prepared]:
        image = shown.frame.image
        grid = self._grid(shown, spec)
        if image.shape[:2] != (grid.rows, grid.columns):
            image = np.asarray(cv2.resize(image, (grid.columns, grid.rows)), np.uint8)
        short = max(0, spec.height - grid.rows), max(0, spec.width - grid.columns)
        if any(short):  # less than a tile goes on as in a mirror, which shows no edge
            image = np.asarray(
                cv2.copyMakeBorder(image, 0, short[0], 0, short[1], cv2.BORDER_REFLECT_101),
                np.uint8,
            )
        return [
            prepare(image[tile.top : tile.top + spec.height, tile.left : tile.left + spec.width])
            for tile in grid.inside(shown.inside)
        ]

    def put_together(self, answers: Sequence[Answer], shown: Shown, manifest: Manifest) -> Mask:
        spec, frame = manifest.input, shown.frame
        grid = self._grid(shown, spec)
        logits = np.empty((grid.rows, grid.columns), np.float32)
        if shown.inside is not None:  # else there is no pixel that is not some tile's own
            logits.fill(SURELY_SOUND)
        judged = np.empty((spec.height, spec.width), np.float32)  # one for all: it is megabytes
        for tile, answer in zip(grid.inside(shown.inside), answers, strict=True):
            refuse_no_number(answer.logits)
            cv2.resize(answer.logits[0, 0], (spec.width, spec.height), dst=judged)
            rows, columns = tile.own
            logits[rows, columns] = judged[
                _seen_from(rows, tile.top), _seen_from(columns, tile.left)
            ]
        if logits.shape != frame.image.shape[:2]:
            rows_columns = frame.image.shape[1::-1]
            logits = np.asarray(cv2.resize(logits, rows_columns), np.float32)
        names = None
        if manifest.names is not None:
            parts = (
                Part(tile.top, tile.left, tile.own, answer)
                for tile, answer in zip(grid.inside(shown.inside), answers, strict=True)
            )
            names = stitch_names(parts, (grid.rows, grid.columns), manifest)
        mask = Mask(logits, manifest.threshold, names, manifest.output.clip)
        return _nothing_outside(mask, shown.inside)

    def um_per_px(self, spec: InputSpec) -> float:
        return self.settings.um_per_px or spec.um_per_px

    def _scaled(self, frame: Frame, spec: InputSpec) -> tuple[int, int]:
        """Rows and columns of a frame at the tiles' scale."""
        rows, columns = frame.image.shape[:2]
        um = self.um_per_px(spec)
        return (
            max(1, round(rows * frame.along_um / um)),
            max(1, round(columns * frame.across_um / um)),
        )

    def _grid(self, shown: Shown, spec: InputSpec) -> Grid:
        size, tile = self._scaled(shown.frame, spec), (spec.height, spec.width)
        return lay_grid(size, tile, self.settings.overlap_px, self._box(shown, size))

    def _box(self, shown: Shown, size: Size) -> Box:
        """What of a frame at the tiles' scale is looked at: its region, and what that needs to be
        seen round it.
        """
        if shown.inside is None or not (found := cv2.boundingRect(shown.inside))[2]:
            return (0, size[0]), (0, size[1])
        left, top, width, height = found
        along, across = (
            _widened(start * scaled / pixels, stop * scaled / pixels, self._reach, scaled)
            for start, stop, pixels, scaled in zip(
                (top, left), (top + height, left + width), shown.inside.shape, size, strict=True
            )
        )
        return along, across

    @property
    def _reach(self) -> int:
        """How far the network must see round a pixel."""
        return ceil(self.settings.overlap_px / 2)


@dataclass(frozen=True, slots=True)
class Tile:
    """One window of a frame at the tiles' scale."""

    top: int
    left: int
    own: tuple[slice, slice]  # rows and columns that lie deeper in it than in any other


@dataclass(frozen=True)
class Grid:
    """The tiles of a frame of so many rows and columns."""

    rows: int
    columns: int
    tiles: tuple[Tile, ...]

    def inside(self, region: Image | None) -> Iterator[Tile]:
        """The tiles of whose own pixels some are inside of a region of the frame."""
        for tile in self.tiles:
            if region is None or region[self._scaled(tile, region)].any():
                yield tile

    def _scaled(self, tile: Tile, region: Image) -> tuple[slice, slice]:
        rows, columns = (
            slice(floor(own.start * size / scaled), ceil(own.stop * size / scaled))
            for own, size, scaled in zip(
                tile.own, region.shape, (self.rows, self.columns), strict=True
            )
        )
        return rows, columns


@lru_cache(maxsize=32)
def lay_grid(size: Size, tile: Size, overlap: int, box: Box | None = None) -> Grid:
    """Tiles over a frame, or over a box in it; the last of each row and column ends where that
    does.
    """
    parts = box or ((0, size[0]), (0, size[1]))
    along, across = (_laid(*each, overlap) for each in zip(parts, size, tile, strict=True))
    tiles = tuple(
        Tile(top, left, (rows, columns)) for (top, rows), (left, columns) in product(along, across)
    )
    return Grid(*size, tiles)


def _laid(part: tuple[int, int], whole: int, tile: int, overlap: int) -> list[tuple[int, slice]]:
    """`spans` of a part, each moved back where it would end beyond the whole."""
    start, stop = part
    last = max(0, whole - tile)
    return [
        (min(start + at, last), slice(start + own.start, start + own.stop))
        for at, own in spans(stop - start, tile, overlap)
    ]


def _widened(start: float, stop: float, by: int, whole: int) -> tuple[int, int]:
    return max(0, floor(start) - by), min(whole, ceil(stop) + by)


def _grained(length: int, most: int) -> int:
    return min(most, ceil(length / STRIDE) * STRIDE)


def spans(length: int, tile: int, overlap: int) -> list[tuple[int, slice]]:
    """Where each tile begins, and what of the whole it lies deepest in."""
    last = max(0, length - tile)
    starts = [*range(0, last, tile - overlap), last] if last else [0]
    seams = [(one + tile + two) // 2 for one, two in pairwise(starts)]
    return list(zip(starts, map(slice, [0, *seams], [*seams, length]), strict=True))


def _seen_from(own: slice, start: int) -> slice:
    return slice(own.start - start, own.stop - start)


def _goes_on(before: Frame, frame: Frame) -> bool:
    """The second shows the same columns at the same scale, further down and without a gap."""
    ahead_um = frame.stretch.start_um - before.stretch.start_um
    length_um = before.stretch.end_um - before.stretch.start_um
    return (
        before.image.shape[1:] == frame.image.shape[1:]
        and before.image.dtype == frame.image.dtype
        and before.across_um == frame.across_um
        and isclose(before.along_um, frame.along_um, rel_tol=_SAME_SCALE)
        and 0 < ahead_um <= length_um + frame.along_um / 2
    )


def _nothing_outside(mask: Mask, inside: Image | None) -> Mask:
    if inside is None:
        return mask
    return replace(mask, logits=np.where(inside, mask.logits, SURELY_SOUND))
