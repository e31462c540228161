"""From what a line file says of a camera to an open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pkgutil import resolve_name
from typing import NamedTuple

import cv2
import numpy as np

from edge.bridge import Reading
from edge.cameras import (
    Camera,
    Faults,
    Laying,
    LiveCamera,
    Memory,
    Place,
    PreparedSource,
    Rectifier,
    Source,
    as_it_is,
    read_calibration,
)
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.memory_camera import MemoryCamera, MemorySource
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.synthetic_source import SyntheticSource
from edge.cameras.unlaid_camera import UnlaidCamera
from edge.cameras.video_camera import VideoCamera
from edge.clock import clock_ns
from edge.errors import CameraError, FrameError
from edge.inspect import PictureInspector, by_line, exposure_faults, region_of
from edge.line_file import (
    CameraSettings,
    GenicamSettings,
    HardwareSettings,
    LiveSettings,
    Lookout,
    Picamera2Settings,
    RtspSettings,
    SyntheticSettings,
    V4l2Settings,
    VideoSettings,
)
from edge.network import Network
from edge.simulation import SimulatedLine
from edge.types import Image

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
        paint_per_metre=settings.paint_per_metre,
    )


def open_camera(settings: CameraSettings) -> Camera:
    """The configured camera, unpaced: frames end to end, as fast as they are asked for.

    CameraError where it cannot be opened, ConfigurationError where its calibration cannot be read
    or its package is not installed.
    """
    if isinstance(settings, SyntheticSettings):
        line = simulated_line(settings)
        return SyntheticCamera(line, height_px=settings.height_px, clock_ns=clock_ns)
    plane = rail_plane(settings)
    scale = {"along_um": plane.along_um, "across_um": plane.across_um}
    if isinstance(settings, HardwareSettings):
        source = _open_hardware(settings, plane.rectify)
        return UnlaidCamera(source, **scale, clock_ns=clock_ns)
    kind = VideoCamera if isinstance(settings, VideoSettings) else FolderCamera
    return kind(
        settings.path, **scale, colour=settings.colour, rectify=plane.rectify, clock_ns=clock_ns
    )


def open_memory(settings: CameraSettings, memory: Memory) -> MemoryCamera:
    """A stand-in for the configured camera, which shows what it has shown before."""
    plane = rail_plane(settings)
    return MemoryCamera(
        memory, along_um=plane.along_um, across_um=plane.across_um, clock_ns=clock_ns
    )


class RailPlane(NamedTuple):
    """How a camera's pictures lie on the rail."""

    along_um: float  # a row
    across_um: float  # a column
    rectify: Callable[[Image], Image]


def rail_plane(settings: CameraSettings) -> RailPlane:
    """As it was drawn, calibrated or measured."""
    if isinstance(settings, SyntheticSettings):
        return RailPlane(settings.um_per_px, settings.um_per_px, as_it_is)
    if settings.calibration is not None:
        calibration = read_calibration(settings.calibration)
        return RailPlane(calibration.along_um, calibration.across_um, Rectifier(calibration))
    assert settings.along_um is not None
    assert settings.across_um is not None
    return RailPlane(settings.along_um, settings.across_um, as_it_is)


def pictures_of(lookout: Lookout, network: Network) -> PictureInspector:
    """What judges pictures from files as the line judges this camera's."""
    plane = rail_plane(lookout.camera)
    return by_line(lookout, network, (plane.along_um, plane.across_um), plane.rectify)


def live_settings(settings: CameraSettings) -> LiveSettings | None:
    """How its pictures are laid on the rail; None of a camera that does not run freely."""
    if isinstance(settings, SyntheticSettings) and settings.fps is None:
        return None
    return settings if isinstance(settings, LiveSettings) else None


def is_line_scan(settings: LiveSettings) -> bool:
    """Whether its rows are taken one by one, as the rail moves."""
    return isinstance(settings, GenicamSettings) and settings.line_scan


def open_live_camera(
    settings: CameraSettings,
    where: Callable[[], Place],
    *,
    check: Callable[[], None],
    waited: Callable[[], None],
    limit: int | None,
    faults: Faults,
    memory: Memory | None,
) -> LiveCamera:
    """The configured camera, over a rail that is at `where` for the line; with a `memory` that is
    shown, and nothing is opened.
    """
    assert isinstance(settings, LiveSettings)
    plane, region = rail_plane(settings), region_of(settings.region)
    where = partial(_upstream, where, settings.downstream_um)

    def exposure(image: Image) -> tuple[str, ...]:
        try:
            lit = region.lit(region.inside(image, plane.across_um))
        except FrameError as error:  # no rail is found in it, so nothing can be followed
            return (str(error),)
        return exposure_faults(image, settings.quality, lit)

    open_source = partial(_open_source, settings, plane.rectify, where, faults)
    return LiveCamera(
        open_source if memory is None else partial(MemorySource, memory, where),
        _laying(settings, plane),
        where=where,
        check=check,
        faults=exposure,
        clock_ns=clock_ns,
        waited=waited,
        limit=limit,
    )


def _upstream(where: Callable[[], Place], downstream_um: int) -> Place:
    """What lies under a camera that looks so far downstream of the line's origin."""
    place = where()
    return Reading(place.position_um - downstream_um, place.at_ns) if downstream_um else place


def _open_source(
    settings: LiveSettings,
    rectify: Callable[[Image], Image],
    where: Callable[[], Place],
    faults: Faults,
) -> Source:
    if isinstance(settings, HardwareSettings):
        return _open_hardware(settings, rectify)
    assert isinstance(settings, SyntheticSettings)
    assert settings.fps is not None
    return SyntheticSource(
        simulated_line(settings),
        height_px=settings.height_px,
        fps=settings.fps,
        where=where,
        faults=faults,
    )


def _open_hardware(settings: HardwareSettings, rectify: Callable[[Image], Image]) -> Source:
    own = settings.model_dump(exclude={"type", "line_scan", *HardwareSettings.model_fields})
    if isinstance(settings, Picamera2Settings):
        own["colour"] = settings.colour  # it can deliver grey by itself, for less
    source: Source = resolve_name(_SOURCES[type(settings)])(**own)
    return PreparedSource(source, partial(_prepared, settings=settings, rectify=rectify))


def _prepared(image: Image, settings: HardwareSettings, rectify: Callable[[Image], Image]) -> Image:
    if image.ndim == 3 and not settings.colour:
        image = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    if settings.turn_deg:
        image = np.asarray(cv2.rotate(image, _TURNS[settings.turn_deg]), np.uint8)
    try:
        return rectify(image)
    except FrameError as error:
        raise CameraError(str(error)) from error


def _laying(settings: LiveSettings, plane: RailPlane) -> Laying:
    return Laying(
        along_um=plane.along_um,
        across_um=plane.across_um,
        overlap_um=round(settings.overlap_mm * 1000),
        lost_after_um=round(settings.lost_after_mm * 1000),
        delay_ns=round(settings.delay_ms * 1e6),
        ring=settings.ring,
        drop=settings.drop,
        line_scan=is_line_scan(settings),
    )
