"""A camera's calibration: from its picture to the plane of the rail, and a pixel's size there.

The file is JSON. Rectified frames have their rows along the rail and their columns across it, and
show no more than the camera saw everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from edge.errors import ConfigurationError, FrameError
from edge.files import write_whole
from edge.types import Image

FORMAT: Literal[1] = 1

Size = tuple[PositiveInt, PositiveInt]  # columns, rows
_Row = Annotated[tuple[float, float, float], Field(description="Of a 3 x 3 matrix.")]


class Calibration(BaseModel):
    """What `trackside calibrate` writes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = FORMAT
    method: Literal["checkerboard", "marks"]
    picture_px: Size
    frame_px: Size
    frame_from_picture: tuple[_Row, _Row, _Row]  # homography, of the middles of pixels
    along_um: PositiveFloat  # of rail a row of the frame shows
    across_um: PositiveFloat  # and a column
    error_mm: float | None  # root mean square over the board's corners; marks have nothing to tell

    def describe(self) -> str:
        """In a line."""
        columns, rows = self.frame_px
        pixel = f"{columns} x {rows} pixels of {self.across_um:.1f} x {self.along_um:.1f} um"
        error = "" if self.error_mm is None else f", {self.error_mm:.3f} mm out"
        return f"by {self.method}: {pixel}{error}"


def write_calibration(calibration: Calibration, path: Path) -> None:
    """In place of one that is there."""
    write_whole(path, calibration.model_dump_json(indent=1) + "\n")


def read_calibration(path: Path) -> Calibration:
    """What `trackside calibrate` wrote; ConfigurationError for anything else."""
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        reason = "; ".join(str(error).splitlines()[:2])
        raise ConfigurationError(
            f"{path} is no calibration ({reason}): make one with `trackside calibrate`"
        ) from error


class Rectifier:
    """Turns a camera's pictures into frames; FrameError for one of another size."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._maps = _maps(calibration)

    def __call__(self, picture: Image) -> Image:
        rows, columns = picture.shape[:2]
        if (columns, rows) != self._calibration.picture_px:
            wanted = "{} x {}".format(*self._calibration.picture_px)
            raise FrameError(
                f"the picture is {columns} x {rows} pixels, the calibration was made at {wanted}: "
                "set the camera to that size, or calibrate it again"
            )
        if self._maps is None:
            return picture
        rectified = cv2.remap(
            picture, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(rectified, np.uint8)


def _maps(calibration: Calibration) -> tuple[NDArray[np.int16], NDArray[np.uint16]] | None:
    """Where each pixel of a frame lies in the picture, in fixed point; None: at the same place."""
    forward = np.array(calibration.frame_from_picture)
    if np.array_equal(forward, np.eye(3)):
        return None
    columns, rows = calibration.frame_px
    y, x = np.mgrid[:rows, :columns]
    places = np.stack([x, y], axis=-1).reshape(-1, 1, 2).astype(np.float64)
    found = cv2.perspectiveTransform(places, np.linalg.inv(forward)).astype(np.float32)
    grid = found.reshape(rows, columns, 2)
    fixed, parts = cv2.convertMaps(grid[..., 0], grid[..., 1], cv2.CV_16SC2)
    return np.asarray(fixed, np.int16), np.asarray(parts, np.uint16)
