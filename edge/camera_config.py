"""What a line file says of the camera: where frames come from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from edge.section import LinePath, Section


class _Recording(Section):
    """Frames on disk, laid end to end along the rail from the start of the run."""

    path: LinePath
    along_um: PositiveFloat = Field(description="Micrometres of rail a row shows.")
    across_um: PositiveFloat = Field(description="Micrometres of rail a column shows.")
    colour: bool = Field(default=False, description="Keep colour; otherwise frames are grey.")


class FolderSettings(_Recording):
    """The images of a folder, in natural order."""

    type: Literal["folder"]


class VideoSettings(_Recording):
    """The frames of a video file."""

    type: Literal["video"]


class SyntheticSettings(Section):
    """The simulated line: the same rail for the same seed."""

    type: Literal["synthetic"]
    seed: NonNegativeInt = Field(description="Another seed, another rail.")
    surface: Literal["rail", "strip"] = Field(default="rail", description="What is looked at.")
    height_px: PositiveInt = Field(default=352, description="Rows of a frame, along the rail.")
    width_px: PositiveInt = Field(default=352, description="Columns of a frame, across the rail.")
    um_per_px: PositiveInt = Field(default=250, description="Micrometres a row and a column.")
    defects_per_metre: NonNegativeFloat = Field(
        default=1.5, description="Mean number of defects, which must be rejected."
    )
    distractors_per_metre: NonNegativeFloat = Field(
        default=2.0, description="Mean number of grease, rust and weld marks, which must not."
    )


CameraSettings = Annotated[
    FolderSettings | VideoSettings | SyntheticSettings, Field(discriminator="type")
]
