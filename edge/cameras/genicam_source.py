"""GenICam cameras (GigE Vision, USB3 Vision, ...) through harvesters and a GenTL producer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.cameras.camera import Grab
from edge.cameras.stream_clock import StreamClock
from edge.errors import CameraError, CameraUnavailable, ConfigurationError, NoPicture
from edge.extras import install
from edge.types import Image

try:
    from genicam.genapi import GenericException as FeatureError
    from genicam.gentl import GenericException as ProducerError
    from genicam.gentl import TimeoutException
    from harvesters.core import Harvester
except ImportError as error:
    raise CameraUnavailable(
        f"harvesters cannot be imported ({error}): {install('genicam')}"
    ) from error

# Of its own accord it tells a terminal, of each failure, what is raised besides.
logging.getLogger("harvesters.core").handlers[:] = [logging.NullHandler()]

Feature = bool | int | float | str

_WAIT_S = 2.0
# OpenCV names a Bayer pattern by its second row.
_TO_BGR: dict[str, Callable[[Image], Any]] = {
    "Mono8": lambda image: image,
    "BGR8": lambda image: image,
    "RGB8": lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2BGR),
    "RGBa8": lambda image: cv2.cvtColor(image, cv2.COLOR_RGBA2BGR),
    "BayerRG8": lambda image: cv2.cvtColor(image, cv2.COLOR_BayerBG2BGR),
    "BayerBG8": lambda image: cv2.cvtColor(image, cv2.COLOR_BayerRG2BGR),
    "BayerGR8": lambda image: cv2.cvtColor(image, cv2.COLOR_BayerGB2BGR),
    "BayerGB8": lambda image: cv2.cvtColor(image, cv2.COLOR_BayerGR2BGR),
}


class GenicamSource:
    """A camera of one producer, its features set in the order given.

    Its pictures carry the camera's times, where its producer hands them on. Tested with a software
    producer, untested on hardware.
    """

    def __init__(
        self, producer: Path, *, serial: str | None, features: Mapping[str, Feature]
    ) -> None:
        self._clock = StreamClock()
        self._harvester = Harvester()
        self._camera: Any = None
        try:
            self._open(producer, serial, features)
        except (CameraError, ConfigurationError):
            self.close()
            raise

    def grab(self) -> Grab:
        until_s = time.monotonic() + _WAIT_S
        while time.monotonic() < until_s:
            try:
                with self._camera.fetch(timeout=_WAIT_S) as buffer:
                    arrived_ns = time.monotonic_ns()
                    told_ns = _told_ns(buffer)
                    taken_ns = told_ns and self._clock.taken_ns(told_ns, arrived_ns)
                    if taken_ns is not None or told_ns is None:
                        return Grab(_picture(buffer.payload.components[0]), taken_ns)
            except TimeoutException as error:
                raise NoPicture(
                    f"no picture came in {_WAIT_S:g} s: see to the camera's trigger, and to its "
                    "cable and power"
                ) from error
            except ProducerError as error:
                raise CameraError(
                    f"the camera has gone{_why(error)}: see to its cable and power"
                ) from error
        raise NoPicture("pictures come later and later: lower the frame rate, or see to the link")

    def close(self) -> None:
        if self._camera is not None:
            with suppress(ProducerError, FeatureError):  # it may be gone
                self._camera.destroy()
        with suppress(ProducerError):
            self._harvester.reset()

    def _open(self, producer: Path, serial: str | None, features: Mapping[str, Feature]) -> None:
        try:
            self._harvester.add_file(str(producer), check_existence=True, check_validity=True)
        except OSError as error:
            raise ConfigurationError(
                f"{producer} is no GenTL producer{_why(error)}: set camera.producer to the *.cti "
                "of the camera's maker"
            ) from error
        try:
            self._harvester.update()
            self._camera = self._harvester.create({"serial_number": serial} if serial else 0)
        except (IndexError, ValueError, ProducerError) as error:
            wanted = f"camera {serial}" if serial else "camera"
            raise CameraError(
                f"{producer.name} has no {wanted} to give{_why(error)}: see to its cable, power "
                "and address, and to camera.serial"
            ) from error
        _set_features(self._camera.remote_device.node_map, features)
        try:
            self._camera.start()
        except (FeatureError, ProducerError) as error:
            raise CameraError(
                f"the camera does not start{_why(error)}: end what else uses it, and see to its "
                "link"
            ) from error


def _set_features(node_map: Any, features: Mapping[str, Feature]) -> None:
    for name, value in features.items():
        try:
            getattr(node_map, name).value = value
        except (AttributeError, TypeError, FeatureError) as error:
            raise ConfigurationError(
                f"the camera does not take camera.features.{name} {value}{_why(error)}: see the "
                "camera's list of features"
            ) from error


def _why(error: Exception) -> str:
    """In brackets, where it says anything."""
    return f" ({error})" if str(error) else ""


def _told_ns(buffer: Any) -> int | None:
    try:
        told_ns: int = buffer.timestamp_ns
    except ProducerError:
        return None  # this producer hands none on
    return told_ns


def _picture(component: Any) -> Image:
    """The part of a buffer that is the image, which goes back to the producer: so a copy of it."""
    convert = _TO_BGR.get(component.data_format)
    if convert is None:
        raise ConfigurationError(
            f"pictures of {component.data_format} are not read: set camera.features.PixelFormat to "
            f"one of {', '.join(_TO_BGR)}"
        )
    height, width = component.height, component.width
    depth = round(component.num_components_per_pixel)
    rows = component.data.reshape(height, -1)[:, : width * depth]  # less what fills a row up
    image = rows.reshape(height, width, depth) if depth > 1 else rows
    return np.array(convert(image), np.uint8)
