"""From what a line file says of the camera to an open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name

import cv2
import numpy as np

from edge.camera_config import (
    CameraSettings,
    GenicamSettings,
    HardwareSettings,
    LiveSettings,
    Picamera2Settings,
    RtspSettings,
    SyntheticSettings,
    V4l2Settings,
    VideoSettings,
)
from edge.cameras import Camera
from edge.cameras.camera_faults import Faults
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.live_camera import LiveCamera
from edge.cameras.ring import Laying
from edge.cameras.source import PreparedSource, Source
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.synthetic_source import SyntheticSource
from edge.cameras.track import Place
from edge.cameras.unlaid_camera import UnlaidCamera
from edge.cameras.video_camera import VideoCamera
from edge.config import LineConfig
from edge.quality import exposure_faults
from edge.simulation import SimulatedLine
from edge.types import Image
from edge.wiring import clock_ns

# Resolved when a line file asks for them, because some need a library of their own.
_SOURCES: dict[type[HardwareSettings], str] = {
    V4l2Settings: "edge.cameras.opencv_source:V4l2Source",
    RtspSettings: "edge.cameras.opencv_source:RtspSource",
    Picamera2Settings: "edge.cameras.picamera2_source:Picamera2Source",
    GenicamSettings: "edge.cameras.genicam_source:GenicamSource",
}
_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


def simulated_line(settings: SyntheticSettings) -> SimulatedLine:
    """The rail that a synthetic camera looks at."""
    return SimulatedLine(
        settings.seed,
        settings.surface,
        settings.width_px,
        settings.um_per_px,
        settings.defects_per_metre,
        settings.distractors_per_metre,
    )


def open_camera(settings: CameraSettings) -> Camera:
    """The configured camera, unpaced: frames end to end, as fast as they are asked for."""
    if isinstance(settings, SyntheticSettings):
        line = simulated_line(settings)
        return SyntheticCamera(line, height_px=settings.height_px, clock_ns=clock_ns)
    if isinstance(settings, HardwareSettings):
        return UnlaidCamera(
            _open_hardware(settings),
            along_um=settings.along_um,
            across_um=settings.across_um,
            clock_ns=clock_ns,
        )
    kind = VideoCamera if isinstance(settings, VideoSettings) else FolderCamera
    return kind(**settings.model_dump(exclude={"type"}), clock_ns=clock_ns)


def is_live(settings: CameraSettings) -> bool:
    """Whether the camera runs freely, and waits for nobody."""
    if isinstance(settings, SyntheticSettings):
        return settings.fps is not None
    return isinstance(settings, LiveSettings)


def open_live_camera(
    config: LineConfig,
    where: Callable[[], Place],
    *,
    check: Callable[[], None],
    waited: Callable[[], None],
    limit: int | None,
    faults: Faults,
) -> LiveCamera:
    """The configured camera, over a rail that is at `where`."""
    settings = config.camera
    assert isinstance(settings, LiveSettings)
    return LiveCamera(
        partial(_open_source, settings, where, faults),
        _laying(settings),
        where=where,
        check=check,
        faults=partial(exposure_faults, limits=config.quality),
        clock_ns=clock_ns,
        waited=waited,
        limit=limit,
    )


def _open_source(settings: LiveSettings, where: Callable[[], Place], faults: Faults) -> Source:
    if isinstance(settings, HardwareSettings):
        return _open_hardware(settings)
    assert isinstance(settings, SyntheticSettings)
    assert settings.fps is not None
    return SyntheticSource(
        simulated_line(settings),
        height_px=settings.height_px,
        fps=settings.fps,
        where=where,
        faults=faults,
    )


def _open_hardware(settings: HardwareSettings) -> Source:
    own = settings.model_dump(exclude={"type", *HardwareSettings.model_fields})
    if isinstance(settings, Picamera2Settings):
        own["colour"] = settings.colour  # it has a cheap grey of its own
    source: Source = resolve_name(_SOURCES[type(settings)])(**own)
    return PreparedSource(source, partial(_prepared, settings=settings))


def _prepared(image: Image, settings: HardwareSettings) -> Image:
    if image.ndim == 3 and not settings.colour:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    if settings.turn_deg:
        image = np.asarray(cv2.rotate(image, _TURNS[settings.turn_deg]), np.uint8)
    return image


def _laying(settings: LiveSettings) -> Laying:
    match settings:
        case HardwareSettings():
            along_um, across_um = settings.along_um, settings.across_um
        case SyntheticSettings():
            along_um = across_um = float(settings.um_per_px)
    return Laying(
        along_um=along_um,
        across_um=across_um,
        overlap_um=round(settings.overlap_mm * 1000),
        lost_after_um=round(settings.lost_after_mm * 1000),
        delay_ns=round(settings.delay_ms * 1e6),
        ring=settings.ring,
        drop=settings.drop,
    )
