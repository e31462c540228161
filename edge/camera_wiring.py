"""From what a line file says of the camera to an open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edge.camera_config import CameraSettings, LiveSettings, SyntheticSettings, VideoSettings
from edge.cameras import Camera
from edge.cameras.camera_faults import Faults
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.live_camera import LiveCamera
from edge.cameras.ring import Laying
from edge.cameras.source import Source
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.synthetic_source import SyntheticSource
from edge.cameras.track import Place
from edge.cameras.video_camera import VideoCamera
from edge.config import LineConfig
from edge.quality import exposure_faults
from edge.simulation import SimulatedLine
from edge.wiring import clock_ns


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
    assert isinstance(settings, SyntheticSettings)
    assert settings.fps is not None
    return SyntheticSource(
        simulated_line(settings),
        height_px=settings.height_px,
        fps=settings.fps,
        where=where,
        faults=faults,
    )


def _laying(settings: LiveSettings) -> Laying:
    assert isinstance(settings, SyntheticSettings)
    return Laying(
        along_um=settings.um_per_px,
        across_um=settings.um_per_px,
        overlap_um=round(settings.overlap_mm * 1000),
        lost_after_um=round(settings.lost_after_mm * 1000),
        delay_ns=round(settings.delay_ms * 1e6),
        ring=settings.ring,
        drop=settings.drop,
    )
