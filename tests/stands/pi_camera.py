"""A small stand-in for picamera2, which runs on a Raspberry Pi alone: as much of it as is used.

Names, arguments, formats in memory and errors are those of picamera2 0.3.38.
"""

from __future__ import annotations

import time
from concurrent.futures import TimeoutError as NoneCame
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

_STRIDE = 64  # rows are filled up to a multiple of so many bytes


class Picamera2:
    """One camera, which shows columns from dark to bright in blue."""

    cameras = 1
    asleep: ClassVar[bool] = False  # no picture comes
    open: ClassVar[list[Picamera2]] = []

    def __init__(self, camera_num: int = 0) -> None:
        if camera_num >= self.cameras:
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras"'
            )
        self.open.append(self)
        self.started = False
        self.held = 0
        self.controls: dict[str, Any] = {}
        self._config: dict[str, Any] = {}

    def create_video_configuration(
        self, main: dict[str, Any] | None = None, lores: Any = None, controls: Any = None
    ) -> dict[str, Any]:
        main = {"format": "XBGR8888", "size": (1280, 720)} | (main or {})
        if lores is not None:
            lores = {"format": "YUV420", "size": main["size"]} | lores
        return {"main": main, "lores": lores, "controls": controls or {}}

    def configure(self, config: dict[str, Any]) -> None:
        for name in ("main", "lores"):
            stream = config[name]
            if stream is not None:
                width, height = stream["size"]
                stream["size"] = (width - width % 2, height - height % 2)  # as it aligns them
                bytes_a_pixel = 3 if stream["format"] == "RGB888" else 1
                stream["stride"] = -(-stream["size"][0] * bytes_a_pixel // _STRIDE) * _STRIDE
        self.controls = config["controls"]
        self._config = config

    def camera_configuration(self) -> dict[str, Any]:
        return self._config

    def start(self) -> None:
        self.started = True

    def capture_request(self, wait: float | None = None) -> CompletedRequest:
        if self.asleep:
            raise NoneCame()
        assert self.started and wait is not None
        self.held += 1
        return CompletedRequest(self)

    def close(self) -> None:
        assert self.held == 0
        self.started = False
        self.open.remove(self)


class CompletedRequest:
    """A picture that is the camera's again when it is released."""

    def __init__(self, camera: Picamera2) -> None:
        self._camera = camera

    def make_array(self, name: str) -> NDArray[np.uint8]:
        stream = self._camera.camera_configuration()[name]
        (width, height), stride = stream["size"], stream["stride"]
        ramp = np.broadcast_to(np.arange(width, dtype=np.uint8), (height, width))
        if stream["format"] == "RGB888":
            return np.stack([ramp, 0 * ramp, 0 * ramp], 2)
        assert stream["format"] == "YUV420"
        planes = np.full((height * 3 // 2, stride), 128, np.uint8)
        planes[:height, :width] = ramp
        return planes

    def get_metadata(self) -> dict[str, Any]:
        return {"SensorTimestamp": time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000}

    def release(self) -> None:
        self._camera.held -= 1
