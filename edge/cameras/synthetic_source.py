"""The simulated rail, seen by a camera that runs freely, and that fails when it is told to."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from edge.cameras.camera import Grab
from edge.cameras.camera_faults import Fault, Faults
from edge.cameras.track import Place
from edge.errors import CameraError
from edge.simulation import SimulatedLine
from edge.types import Image


class SyntheticSource:
    """Takes a picture so many times a second of whatever lies under it at the rail's place then."""

    def __init__(
        self,
        line: SimulatedLine,
        *,
        height_px: int,
        fps: float,
        where: Callable[[], Place],
        faults: Faults,
    ) -> None:
        _fail_if(faults, Fault.VANISHED)
        self._line = line
        self._height_px = height_px
        self._period_s = 1 / fps
        self._where = where
        self._faults = faults
        self._due_s = time.monotonic()

    def grab(self) -> Grab:
        self._due_s = max(self._due_s + self._period_s, time.monotonic())
        time.sleep(max(0.0, self._due_s - time.monotonic()))
        if self._faults.now is Fault.BLOCKED:
            self._faults.wait_until_mended()
        _fail_if(self._faults, Fault.VANISHED, Fault.STOPPED)
        place = self._where()
        return Grab(self._picture(place.position_um), place.at_ns)

    def close(self) -> None:
        """There is nothing to give back."""

    def _picture(self, position_um: int) -> Image:
        faults = self._faults
        if faults.now is Fault.FROZEN and faults.frozen is not None:
            return faults.frozen
        end_row = position_um // self._line.um_per_px
        image, _ = self._line.render(end_row - self._height_px, self._height_px)
        faults.frozen = image
        return _spoilt(image, faults.now)


def _fail_if(faults: Faults, *fatal: Fault) -> None:
    if faults.now in fatal:
        raise CameraError(f"the synthetic camera has {faults.now.value}: mend its fault")


def _spoilt(image: Image, fault: Fault | None) -> Image:
    match fault:
        case Fault.DARK:
            return image // 16
        case Fault.BRIGHT:
            return np.asarray(np.minimum(image.astype(np.uint16) + 130, 255), np.uint8)
        case Fault.RESIZED:
            return np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5), np.uint8)
    return image
