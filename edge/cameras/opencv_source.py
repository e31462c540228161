"""Cameras through OpenCV: V4L2 devices, as USB cameras are, and RTSP streams by FFMPEG."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from edge.cameras.camera import Grab
from edge.cameras.ffmpeg_memory import limit_ffmpeg
from edge.cameras.stream_clock import StreamClock
from edge.errors import CameraError, ConfigurationError
from edge.types import Image

_OPEN_MS, _READ_MS = 5000, 2000
_CATCH_UP_S = 5.0
_OLD_NS = 2_000_000_000  # a time further back than this is not of this machine's clock
_MANUAL = 1  # V4L2's value for an exposure that is set by hand


class V4l2Source:
    """A V4L2 device. A picture was taken when its driver says so, if it says so by our clock.

    Its driver gives up a read after ten seconds. Untested on hardware.
    """

    def __init__(
        self,
        device: str,
        *,
        width_px: int,
        height_px: int,
        fps: float | None,
        fourcc: str | None,
        exposure_us: int | None,
        gain: float | None,
    ) -> None:
        if not Path(device).exists():
            raise CameraError(
                f"{device} is not there: see to the camera's cable, and to its name in "
                "`v4l2-ctl --list-devices`"
            )
        self._device = device
        self._tells_time: bool | None = None
        self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        try:
            self._choose_format(width_px, height_px, fps, fourcc)
            self._set_controls(exposure_us, gain)
        except CameraError:
            self.close()
            raise

    def grab(self) -> Grab:
        if not self._capture.grab():
            raise CameraError(f"{self._device} gives no picture: see to its cable and power")
        told_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if self._tells_time is None:
            self._tells_time = 0 <= time.monotonic_ns() - told_ns < _OLD_NS
        return Grab(_retrieved(self._capture, self._device), told_ns if self._tells_time else None)

    def close(self) -> None:
        self._capture.release()

    def _choose_format(
        self, width_px: int, height_px: int, fps: float | None, fourcc: str | None
    ) -> None:
        if not self._capture.isOpened():
            raise CameraError(
                f"{self._device} cannot be opened as a camera: end what else uses it, and "
                "`sudo adduser $USER video` if it may not be read"
            )
        wanted: dict[int, float] = {}
        if fourcc is not None:
            wanted[cv2.CAP_PROP_FOURCC] = cv2.VideoWriter.fourcc(*fourcc)
        wanted |= {cv2.CAP_PROP_FRAME_WIDTH: width_px, cv2.CAP_PROP_FRAME_HEIGHT: height_px}
        if fps is not None:
            wanted[cv2.CAP_PROP_FPS] = fps
        for each, value in wanted.items():
            self._capture.set(each, value)
        got = {each: self._capture.get(each) for each in wanted}
        if any(round(got[each]) != round(value) for each, value in wanted.items()):
            raise CameraError(
                f"{self._device} gives {_format(got)}, not {_format(wanted)}: choose from "
                f"`v4l2-ctl -d {self._device} --list-formats-ext`"
            )

    def _set_controls(self, exposure_us: int | None, gain: float | None) -> None:
        controls: list[tuple[str, int, float]] = []
        if exposure_us is not None:  # V4L2 counts it in steps of 100 us
            controls.append(("exposure_us", cv2.CAP_PROP_AUTO_EXPOSURE, _MANUAL))
            controls.append(("exposure_us", cv2.CAP_PROP_EXPOSURE, exposure_us // 100))
        if gain is not None:
            controls.append(("gain", cv2.CAP_PROP_GAIN, gain))
        for key, control, value in controls:
            if not self._capture.set(control, value):
                raise CameraError(
                    f"{self._device} does not take camera.{key}: see its range in "
                    f"`v4l2-ctl -d {self._device} --list-ctrls`, or leave it out"
                )


class RtspSource:
    """An RTSP stream over TCP, so that no packet of a picture is lost without a word.

    Its pictures carry the camera's times; the first ones, which the camera had in store, are passed
    over. One thread decodes, because several would each hold a picture back. A picture is given
    when one of a later time has followed: what the one lacks in which a stream was cut, the decoder
    makes up without a word, and gives it as the last, or twice.
    """

    def __init__(self, url: str) -> None:
        self._clock = StreamClock()
        self._name = _without_password(url)
        self._held: Grab | None = None  # until another one follows
        limit_ffmpeg()
        self._capture = cv2.VideoCapture(
            url,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _OPEN_MS),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _READ_MS),
                *(cv2.CAP_PROP_N_THREADS, 1),
            ],
        )
        if not self._capture.isOpened():
            raise CameraError(
                f"{self._name} cannot be opened: see that the camera is on and reached, and to "
                "path, user and password in camera.url"
            )

    def grab(self) -> Grab:
        until_s = time.monotonic() + _CATCH_UP_S
        while time.monotonic() < until_s:
            held, self._held = self._held, self._decode()
            if held is not None and self._held is not None:
                return held
        raise CameraError(
            f"{self._name} does not tell when its pictures are taken: see that the camera sends "
            "timestamps, and fewer pictures than the network carries"
        )

    def close(self) -> None:
        self._capture.release()

    def _decode(self) -> Grab | None:
        """The next picture, whole or not; None of one that is not later, or has to catch up."""
        if not self._capture.grab():
            raise CameraError(f"{self._name} has ended: see to camera and network")
        arrived_ns = time.monotonic_ns()
        told_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        taken_ns = self._clock.taken_ns(told_ns, arrived_ns)
        if taken_ns is None:
            return None
        return Grab(_retrieved(self._capture, self._name), taken_ns)


def _without_password(url: str) -> str:
    """For messages."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:  # its message may hold a part of the password, and must not be shown
        raise ConfigurationError(
            "camera.url has no number for its port: in user and password write / as %2F, ? as %3F, "
            "# as %23"
        ) from None
    return f"{parts.scheme}://{parts.hostname}{f':{port}' if port else ''}{parts.path}"


def _retrieved(capture: cv2.VideoCapture, name: str) -> Image:
    decoded, image = capture.retrieve()
    if not decoded:
        raise CameraError(f"{name} gave a picture that cannot be decoded: see to cable and network")
    return np.asarray(image, np.uint8)


def _format(values: dict[int, float]) -> str:
    width, height = values[cv2.CAP_PROP_FRAME_WIDTH], values[cv2.CAP_PROP_FRAME_HEIGHT]
    text = f"{width:g} x {height:g} pixels"
    if cv2.CAP_PROP_FPS in values:
        text += f" at {values[cv2.CAP_PROP_FPS]:g} a second"
    if cv2.CAP_PROP_FOURCC in values:
        code = round(values[cv2.CAP_PROP_FOURCC])
        text += f" as {code.to_bytes(4, 'little').decode('ascii', 'replace')}"
    return text
