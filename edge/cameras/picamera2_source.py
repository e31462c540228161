"""A Raspberry Pi's camera through picamera2. Untested on hardware."""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as NoneCame
from typing import Any

import cv2
import numpy as np

from edge.cameras.camera import Grab
from edge.errors import CameraError, CameraUnavailable
from edge.types import Image

try:
    from picamera2 import Picamera2
except ImportError as error:
    raise CameraUnavailable(
        f"picamera2 cannot be imported ({error}): on a Raspberry Pi `sudo apt install "
        "python3-picamera2` and make the environment with --system-site-packages; elsewhere choose "
        "another camera.type"
    ) from error

_WAIT_S = 2.0


class Picamera2Source:
    """One of the Pi's cameras, at a fixed exposure.

    Without `main_px` the main stream is inspected; with it, the lores stream, which the Pi's own
    hardware scales down from a main stream of that size.
    """

    def __init__(
        self,
        number: int,
        *,
        width_px: int,
        height_px: int,
        main_px: tuple[int, int] | None,
        fps: float,
        exposure_us: int,
        gain: float,
        colour: bool,
    ) -> None:
        self._size = width_px, height_px
        self._stream = "lores" if main_px else "main"
        self._colour = colour
        # RGB888 lies as blue, green, red in memory; only the main stream has it.
        form = "RGB888" if colour and not main_px else "YUV420"
        self._is_yuv = form == "YUV420"
        period_us = round(1e6 / fps)
        controls = {
            "AeEnable": False,
            "ExposureTime": exposure_us,
            "AnalogueGain": gain,
            "FrameDurationLimits": (period_us, period_us),
        }
        streams: dict[str, Any] = {self._stream: {"size": self._size, "format": form}}
        if main_px:
            streams["main"] = {"size": main_px}
        try:
            self._camera = Picamera2(number)
        except (RuntimeError, IndexError) as error:
            raise CameraError(
                f"camera {number} cannot be opened ({error}): see to its ribbon cable, and to "
                "`rpicam-hello --list-cameras`"
            ) from error
        try:
            self._start(streams, controls)
        except CameraError:
            self.close()
            raise

    def grab(self) -> Grab:
        try:
            request = self._camera.capture_request(wait=_WAIT_S)
        except NoneCame as error:
            raise CameraError(
                f"no picture came in {_WAIT_S:g} s: see to the ribbon cable of the camera"
            ) from error
        try:
            array = request.make_array(self._stream)
            told_ns = request.get_metadata()["SensorTimestamp"]
        finally:
            request.release()
        return Grab(self._picture(array), told_ns - _asleep_ns())

    def close(self) -> None:
        self._camera.close()

    def _start(self, streams: dict[str, Any], controls: dict[str, Any]) -> None:
        camera = self._camera
        try:
            camera.configure(camera.create_video_configuration(**streams, controls=controls))
            size = tuple(camera.camera_configuration()[self._stream]["size"])
            if size != self._size:
                raise CameraError(
                    f"the camera gives {size[0]} x {size[1]} pixels, not {self._size[0]} x "
                    f"{self._size[1]}: set camera.width_px and height_px to what it gives"
                )
            camera.start()
        except RuntimeError as error:
            raise CameraError(
                f"the camera does not take these settings ({error}): see to sizes and fps in "
                "`rpicam-hello --list-cameras`"
            ) from error

    def _picture(self, array: Image) -> Image:
        width, height = self._size
        if not self._is_yuv:
            return array
        if self._colour:
            return np.asarray(cv2.cvtColor(array, cv2.COLOR_YUV2BGR_I420)[:, :width], np.uint8)
        return np.ascontiguousarray(array[:height, :width])  # its brightness comes first


def _asleep_ns() -> int:
    """What the sensor's clock, which counts from boot, is ahead of the monotonic one."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
