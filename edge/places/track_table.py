"""Where a track runs: a table of chainage, latitude and longitude, and a fix laid on it."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from edge.errors import ConfigurationError

_COLUMNS = ("chainage_m", "latitude", "longitude")
_METRES_A_DEGREE = 111_319.49  # along the equator, of a sphere as large as WGS 84 there
_MOST_POINTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Point:
    """One row."""

    chainage_m: float
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class OnTrack:
    """Where a fix is along the track, and how far beside it."""

    chainage_m: float
    beside_m: float


class TrackTable:
    """Straight from one point to the next, which is right to millimetres for points 100 m apart in
    a curve of 10 km, and to half a metre in one of 2.5 km.
    """

    def __init__(self, points: list[Point]) -> None:
        self._points = points

    def __len__(self) -> int:
        return len(self._points)

    def nearest(self, latitude: float, longitude: float) -> OnTrack:
        """The place of the track that is nearest."""
        found = (_foot(one, two, latitude, longitude) for one, two in pairwise(self._points))
        return min(found, key=lambda each: each.beside_m)


def read_track(path: Path) -> TrackTable:
    """Its points, in order along it."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            points = list(_points(file, path))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(
            f"{path}: {error}: give a table with the columns {', '.join(_COLUMNS)}"
        ) from error
    steps = [two.chainage_m - one.chainage_m for one, two in pairwise(points)]
    if not steps or not (min(steps) > 0 or max(steps) < 0):
        raise ConfigurationError(
            f"{path}: its chainage neither rises nor falls all along: give two points or more, in "
            "order along the track"
        )
    return TrackTable(points)


def _points(file: Iterator[str], path: Path) -> Iterator[Point]:
    rows = csv.DictReader(file)
    for number, row in enumerate(rows, start=2):
        try:
            point = Point(*(float(row[name]) for name in _COLUMNS))
            is_place = math.isfinite(point.chainage_m)
            is_place &= abs(point.latitude) <= 90 and abs(point.longitude) <= 180
        except (KeyError, TypeError, ValueError):
            is_place = False
        if not is_place or number > _MOST_POINTS:
            raise ConfigurationError(
                f"{path}:{number}: no point of a track: give {', '.join(_COLUMNS)}, as numbers, of "
                f"{_MOST_POINTS} points at most"
            )
        yield point


def _foot(one: Point, two: Point, latitude: float, longitude: float) -> OnTrack:
    """Of the perpendicular on the straight line between two points, or the nearer of them."""
    shrunk = math.cos(math.radians(one.latitude))

    def metres(lat: float, lon: float) -> tuple[float, float]:
        turned = (lon - one.longitude + 180) % 360 - 180
        return turned * shrunk * _METRES_A_DEGREE, (lat - one.latitude) * _METRES_A_DEGREE

    (x, y), (end_x, end_y) = metres(latitude, longitude), metres(two.latitude, two.longitude)
    length2 = end_x * end_x + end_y * end_y
    share = min(max((x * end_x + y * end_y) / length2, 0), 1) if length2 else 0.0
    beside_m = math.hypot(x - share * end_x, y - share * end_y)
    return OnTrack(one.chainage_m + share * (two.chainage_m - one.chainage_m), beside_m)
