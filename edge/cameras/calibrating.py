"""From pictures of a checkerboard, or from two marks, to a camera's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import hypot

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.cameras.calibration import Calibration
from edge.errors import UsageError
from edge.types import Image

_Points = NDArray[np.float64]  # N,2
_Matrix = NDArray[np.float64]  # 3,3

_MOST_MOVED_PX = 1.0  # of a corner from one picture to the next
_MOST_ERROR_PX = 0.5
_LEAST_SHARE = 0.25  # of the picture, that board or marks must reach over
_MOST_TURNED_DEG = 30.0  # beyond it nobody can say which edge of the board was meant to lie along
_TURNS = [  # by right angles, mirrored too: a board's corners may be counted from any of the four
    np.diag(signs) @ turn
    for signs in product((1.0, -1.0), repeat=2)
    for turn in (np.eye(2), np.eye(2)[::-1])
]


def by_board(pictures: Sequence[Image], board: tuple[int, int], square_mm: float) -> Calibration:
    """From a board that lies still on the rail, its edges along it, with so many inner corners.

    UsageError where the board is not found whole, moved, reaches over too little of the picture, is
    turned too far, or its corners are out of place.
    """
    rows, columns = pictures[0].shape[:2]
    corners = _still_corners(pictures, board)
    places = np.array([(x, y) for y, x in product(range(board[1]), range(board[0]))], np.float64)
    places *= square_mm
    to_board = np.asarray(cv2.findHomography(corners, places)[0], np.float64)
    off_mm = _moved(corners, to_board) - places
    error_mm = float(np.sqrt((off_mm**2).sum(1).mean()))
    return _calibration(_squared(to_board, (columns, rows)), (columns, rows), error_mm)


def by_marks(
    picture: Image, marks: Sequence[tuple[float, float]], distance_mm: float
) -> Calibration:
    """From two marks so far apart: a camera that looks straight down, with square pixels.

    UsageError for any other number of them, for one that is not in the picture, and for two that
    are too near each other.
    """
    rows, columns = picture.shape[:2]
    if len(marks) != 2:
        raise UsageError(f"{len(marks)} marks: give two, as --mark COLUMN,ROW --mark COLUMN,ROW")
    for x, y in marks:
        if not (0 <= x < columns and 0 <= y < rows):
            raise UsageError(
                f"the mark {x:g},{y:g} is outside of the picture, which is {columns} x {rows}"
                " pixels: give its column and row"
            )
    (x0, y0), (x1, y1) = marks
    apart_px = hypot(x1 - x0, y1 - y0)
    least_px = _LEAST_SHARE * max(columns, rows)
    if apart_px < least_px:
        raise UsageError(
            f"the marks are {apart_px:.0f} pixels apart, and a pixel's error would count too much: "
            f"give marks at least {least_px:.0f} apart"
        )
    um_per_px = distance_mm * 1000 / apart_px
    return Calibration(
        method="marks",
        picture_px=(columns, rows),
        frame_px=(columns, rows),
        frame_from_picture=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        along_um=um_per_px,
        across_um=um_per_px,
        error_mm=None,
    )


def _still_corners(pictures: Sequence[Image], board: tuple[int, int]) -> _Points:
    """The mean over all pictures, row by row of the board."""
    if len({picture.shape[:2] for picture in pictures}) > 1:
        raise UsageError("the pictures are not of one size: give those of one camera, as it is set")
    each = [_corners(picture, board, at) for at, picture in enumerate(pictures, start=1)]
    moved_px = max(float(np.linalg.norm(found - each[0], axis=1).max()) for found in each)
    if moved_px > _MOST_MOVED_PX:
        raise UsageError(
            f"the board moved by {moved_px:.1f} pixels from one picture to another: give pictures "
            "of one board that lies still, or one picture"
        )
    corners = np.asarray(np.mean(each, axis=0))
    rows, columns = pictures[0].shape[:2]
    share = float((np.ptp(corners, axis=0) / (columns, rows)).min())
    if share < _LEAST_SHARE:
        raise UsageError(
            f"the board reaches over {share:.0%} of the picture: use one that reaches over more "
            f"than {_LEAST_SHARE:.0%} of its width and of its height"
        )
    return corners


def _corners(picture: Image, board: tuple[int, int], at: int) -> _Points:
    flags = cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
    grey = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    found, corners = cv2.findChessboardCornersSB(grey, board, flags=flags)
    if not found:
        raise UsageError(
            f"no board with {board[0]} x {board[1]} inner corners in picture {at}: see that all of "
            "it is in the picture, evenly lit and with a white rim, and count corners, not squares"
        )
    return np.asarray(corners, np.float64).reshape(-1, 2)


def _squared(to_board: _Matrix, size: tuple[int, int]) -> _Matrix:
    """The board's axes turned, by right angles, to where the picture's columns and rows go."""
    middle = np.array([[size[0] / 2, size[1] / 2]])
    here = _scale(to_board, middle)
    best = max(_TURNS, key=lambda turn: float(np.trace(turn @ here / np.linalg.norm(here, axis=0))))
    ahead = best @ here
    angle_deg = float(np.degrees(np.arctan2(abs(ahead[0, 1]), ahead[1, 1])))
    if angle_deg > _MOST_TURNED_DEG:
        raise UsageError(
            f"the board is turned by {angle_deg:.0f} degrees: lay its edges along the rail, and "
            "turn the camera so that rows of its picture lie across the rail"
        )
    matrix = np.eye(3)
    matrix[:2, :2] = best
    return np.asarray(matrix @ to_board)


def _scale(matrix: _Matrix, at: _Points) -> NDArray[np.float64]:
    """2,2: millimetres across and along for a column and for a row, at a place in the picture."""
    steps = np.array([[0.5, 0], [-0.5, 0], [0, 0.5], [0, -0.5]])
    right, left, below, above = _moved(at + steps, matrix)
    return np.stack([right - left, below - above], axis=1)


def _calibration(to_rail: _Matrix, size: tuple[int, int], error_mm: float) -> Calibration:
    """Frames as large as what the picture shows of the rail everywhere, at its middle's scale."""
    columns, rows = size
    scale = _scale(to_rail, np.array([[columns / 2, rows / 2]]))
    across_mm, along_mm = (float(each) for each in np.linalg.norm(scale, axis=0))
    if error_mm > _MOST_ERROR_PX * min(across_mm, along_mm):
        raise UsageError(
            f"the board's corners are {error_mm:.2f} mm out, and a pixel shows "
            f"{min(across_mm, along_mm):.2f}: use a flat board, and a lens that bends lines less"
        )
    edges = np.array([[0, 0], [columns - 1, 0], [columns - 1, rows - 1], [0, rows - 1]], np.float64)
    depths = np.column_stack([edges, np.ones(4)]) @ to_rail[2]
    top_left, top_right, bottom_right, bottom_left = _moved(edges, to_rail)
    left, right = max(top_left[0], bottom_left[0]), min(top_right[0], bottom_right[0])
    top, bottom = max(top_left[1], top_right[1]), min(bottom_left[1], bottom_right[1])
    frame = int((right - left) / across_mm) + 1, int((bottom - top) / along_mm) + 1
    # Where the signs differ, the plane's horizon runs through the picture.
    if min(frame) < _LEAST_SHARE * min(size) or depths.min() * depths.max() <= 0:
        raise UsageError(
            "the camera sees the rail at too flat an angle: mount it to look down more steeply"
        )
    to_frame = np.array(
        [[1 / across_mm, 0, -left / across_mm], [0, 1 / along_mm, -top / along_mm], [0, 0, 1]]
    )
    matrix = to_frame @ to_rail
    matrix /= matrix[2, 2]
    return Calibration(
        method="checkerboard",
        picture_px=size,
        frame_px=frame,
        frame_from_picture=matrix.tolist(),
        along_um=along_mm * 1000,
        across_um=across_mm * 1000,
        error_mm=error_mm,
    )


def _moved(points: _Points, matrix: _Matrix) -> _Points:
    moved = cv2.perspectiveTransform(points.reshape(-1, 1, 2), matrix)
    return np.asarray(moved, np.float64).reshape(-1, 2)
