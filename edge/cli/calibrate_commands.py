"""`trackside calibrate`: from pictures to the calibration that a line file names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from edge.errors import UsageError

_LEAST_MM, _MOST_MM = 0.01, 1e6
_MOST_CORNERS = 1000  # each way


def calibrate(
    pictures: Annotated[
        list[Path],
        typer.Argument(help="Frames that are not rectified yet: those of `trackside record`."),
    ],
    out: Annotated[Path, typer.Option(help="The calibration, for a camera's `calibration:`.")],
    board: Annotated[
        str | None, typer.Option(help="Inner corners of a checkerboard, such as 9x6.")
    ] = None,
    square_mm: Annotated[
        float | None, typer.Option(min=_LEAST_MM, max=_MOST_MM, help="Side of one of its squares.")
    ] = None,
    mark: Annotated[
        list[str] | None, typer.Option(help="A mark's COLUMN,ROW in the picture; give two.")
    ] = None,
    distance_mm: Annotated[
        float | None, typer.Option(min=_LEAST_MM, max=_MOST_MM, help="From one mark to the other.")
    ] = None,
) -> None:
    """Find how a camera sees the rail, from a checkerboard on it or from two marks.

    The board lies flat and still on the rail, its edges along it. Two marks do for a camera that
    looks straight down.
    """
    from edge.cameras import by_board, by_marks, write_calibration
    from edge.files.image_file import read_image

    shown = [read_image(path, colour=False) for path in pictures]
    if board and square_mm and not (mark or distance_mm):
        made = by_board(shown, _corners(board), square_mm)
    elif mark and distance_mm and not (board or square_mm):
        if len(shown) > 1:
            raise UsageError(f"{len(shown)} pictures: give the one in which the marks are")
        made = by_marks(shown[0], [_place(each) for each in mark], distance_mm)
    else:
        raise UsageError(
            "give --board 9x6 --square-mm 10, or --mark 40,20 --mark 600,20 --distance-mm 150"
        )
    write_calibration(made, out)
    print(f"{out}: {made.describe()}")


def _corners(board: str) -> tuple[int, int]:
    size = re.fullmatch(r"(\d+)x(\d+)", board)
    corners = tuple(map(int, size.groups())) if size else (0, 0)
    if not 3 <= min(corners) <= max(corners) <= _MOST_CORNERS:
        raise UsageError(
            f"--board {board}: give its inner corners, 3 to {_MOST_CORNERS} each way, as 9x6"
        )
    return corners[0], corners[1]


def _place(mark: str) -> tuple[float, float]:
    place = re.fullmatch(r"(\d+(?:\.\d+)?),(\d+(?:\.\d+)?)", mark)
    if place is None:
        raise UsageError(f"--mark {mark}: give a column and a row of the picture, as 40,20")
    return float(place[1]), float(place[2])
