"""What a line file says of a camera: where its frames come from, and how they lie on the rail."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from edge.line_file.every_camera import EveryCamera
from edge.line_file.section import (
    Exposure,
    Frames,
    Length,
    LinePath,
    PerMetre,
    Pixels,
    Place,
    Rate,
    Scale,
    TimeOrNone,
)


class ScaledSettings(EveryCamera):
    """How large a pixel is: by a calibration, or as it was measured with a ruler."""

    along_um: Scale | None = Field(default=None, description="Micrometres of rail a row shows.")
    across_um: Scale | None = Field(default=None, description="Micrometres of rail a column shows.")
    calibration: LinePath | None = Field(
        default=None,
        description="What `trackside calibrate` wrote, in place of along_um and across_um: frames "
        "are rectified by it.",
    )
    colour: bool = Field(default=False, description="Keep colour; otherwise frames are grey.")

    @model_validator(mode="after")
    def _has_one_scale(self) -> ScaledSettings:
        ruled = (self.along_um, self.across_um)
        if self.calibration is not None and ruled != (None, None):
            raise ValueError("calibration gives along_um and across_um: leave them out, or it")
        if self.calibration is None and None in ruled:
            raise ValueError(
                "give along_um and across_um, or a calibration, which `trackside calibrate` makes"
            )
        return self


class _Recording(ScaledSettings):
    """Frames on disk, laid end to end along the rail from the start of the run."""

    path: LinePath


class FolderSettings(_Recording):
    """The images of a folder, in natural order."""

    type: Literal["folder"]


class VideoSettings(_Recording):
    """The frames of a video file."""

    type: Literal["video"]


class LiveSettings(EveryCamera):
    """How the pictures of a camera that runs freely are laid on the rail."""

    overlap_mm: Length = Field(
        default=20,
        description="The most rail that neighbouring frames share; a picture that would share more "
        "is passed over. Must be more than the rail moves from one picture to the next.",
    )
    lost_after_mm: Length = Field(
        default=200,
        description="Rail that has gone by so far without a good picture is UNKNOWN. Must be more "
        "than a frame is long.",
    )
    delay_ms: TimeOrNone = Field(
        default=0,
        description="From the light on the sensor to the time that the camera tells of a picture, "
        "or, if it tells none, to the picture's arrival.",
    )
    ring: Frames = Field(default=4, description="Frames that may wait for the network.")
    drop: Literal["oldest", "never"] = Field(
        default="oldest",
        description="When no more may wait: `oldest` gives up the oldest, `never` has the camera "
        "wait. Rail that is not seen for it is UNKNOWN.",
    )


class SyntheticSettings(LiveSettings):
    """The simulated line: the same rail for the same seed."""

    type: Literal["synthetic"]
    seed: int = Field(ge=0, lt=1 << 53, description="Another seed, another rail.")
    surface: Literal["rail", "strip", "track"] = Field(
        default="rail",
        description="What is looked at: new steel, `rail` or `strip`, or `track` in service.",
    )
    height_px: Pixels = Field(default=352, le=8192, description="Rows of a frame, along the rail.")
    width_px: Pixels = Field(
        default=352, le=8192, description="Columns of a frame, across the rail."
    )
    um_per_px: int = Field(
        default=250, ge=20, le=100_000, description="Micrometres a row and a column."
    )
    defects_per_metre: PerMetre = Field(
        default=1.5, description="Mean number of defects, which must be rejected."
    )
    distractors_per_metre: PerMetre = Field(
        default=2.0, description="Mean number of grease, rust and weld marks, which must not."
    )
    paint_per_metre: PerMetre = Field(
        default=0.0,
        description="Mean number of bright marks of paint, which must not either; the shipped"
        " networks have never seen any, and reject them.",
    )
    fps: Rate | None = Field(
        default=None,
        description="Pictures a second of a camera that runs freely; left out, each frame is taken "
        "when its last row has passed.",
    )


class HardwareSettings(LiveSettings, ScaledSettings):
    """What all cameras that are really there have in common."""

    turn_deg: Literal[0, 90, 180, 270] = Field(
        default=0,
        description="Turns each picture clockwise, so that the rail that comes last is in its last "
        "row.",
    )


class _Sized(HardwareSettings):
    width_px: Pixels = Field(description="Columns of a picture, before it is turned.")
    height_px: Pixels = Field(description="Rows of a picture, before it is turned.")


class V4l2Settings(_Sized):
    """A USB camera, or any other that Linux knows as /dev/video*. Untested on hardware."""

    type: Literal["v4l2"]
    device: str = Field(
        default="/dev/video0", description="Its file; those in /dev/v4l/by-id keep their names."
    )
    fps: Rate | None = Field(default=None, description="Pictures a second.")
    fourcc: str | None = Field(
        default=None, pattern=r"^[ -~]{4}$", description="How pictures are coded, such as MJPG."
    )
    exposure_us: Exposure | None = Field(
        default=None,
        multiple_of=100,
        description="Fixes the exposure; left out, it stays as the driver has it.",
    )
    gain: float | None = Field(
        default=None, ge=0, le=1_000_000, description="In the driver's own unit."
    )


_RTSP = "^rtsps?://[^/]"


def _is_rtsp(url: str) -> str:
    """What was typed is not repeated: a password may be in it, wherever the mistake is."""
    if re.match(_RTSP, url) is None:
        raise ValueError("begin it with rtsp:// or rtsps://, and then the host")
    return url


class RtspSettings(HardwareSettings):
    """A network camera's RTSP stream, over TCP."""

    type: Literal["rtsp"]
    url: Annotated[str, AfterValidator(_is_rtsp)] = Field(
        json_schema_extra={"pattern": _RTSP},
        description="rtsp://USER:PASSWORD@HOST:PORT/PATH; take the password from ${NAME}.",
    )


class Picamera2Settings(_Sized):
    """A Raspberry Pi's own camera. Untested on hardware."""

    type: Literal["picamera2"]
    number: Place = Field(default=0, description="Which of the Pi's cameras.")
    main_px: tuple[Pixels, Pixels] | None = Field(
        default=None,
        strict=False,
        description="Width and height of a main stream, from which the Pi scales a lores stream "
        "of width_px and height_px; left out, the main stream itself has that size.",
    )
    fps: Rate = Field(default=60, description="Pictures a second.")
    exposure_us: Exposure = Field(description="Exposure, which is fixed.")
    gain: float = Field(default=1, ge=1, le=1000, description="Analogue gain, which is fixed.")


_Integer = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]  # as GenICam has them
_Real = Annotated[float, Field(ge=-1e18, le=1e18)]


class GenicamSettings(HardwareSettings):
    """A GigE Vision, USB3 Vision or other GenICam camera, by its maker's GenTL producer.

    Tested with a software producer, untested on hardware.
    """

    type: Literal["genicam"]
    producer: LinePath = Field(description="The producer's *.cti.")
    serial: str | None = Field(
        default=None, description="The camera's serial number; left out, the first one found."
    )
    features: dict[str, bool | _Integer | _Real | str] = Field(
        default={},
        description="GenICam features to be set, in this order, such as Width, PixelFormat or "
        'ExposureTime; in quotes what YAML takes for another thing, such as "Off".',
    )
    line_scan: bool = Field(
        default=False,
        description="Its rows are taken one by one as the rail moves: a picture goes on where the "
        "one before ended. overlap_mm is what their places may be off by.",
    )


CameraSettings = Annotated[
    FolderSettings
    | VideoSettings
    | SyntheticSettings
    | V4l2Settings
    | RtspSettings
    | Picamera2Settings
    | GenicamSettings,
    Field(discriminator="type"),
]
