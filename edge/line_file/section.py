"""What every mapping in a line file has in common, and the paths and quantities in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo


class Section(BaseModel):
    """A mapping in the line file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,  # `yes` is not the number 1
        allow_inf_nan=False,  # .inf would switch a limit off in silence
    )


def _beside_the_line_file(path: Any, info: ValidationInfo) -> Any:
    return Path((info.context or {}).get("folder", ""), path) if isinstance(path, str) else path


LinePath = Annotated[
    Path,
    BeforeValidator(_beside_the_line_file),
    Field(description="A relative path starts at the line file's folder."),
]

# Quantities, each with bounds that every line is well within. Beyond them sums overflow, memory
# runs out, or what was meant was another unit: a key that is refused says so by its name and line,
# and a number that no pulse ever comes from says nothing.
Length = Annotated[float, Field(ge=0.001, le=1_000_000)]  # mm, up to a kilometre
LengthOrNone = Annotated[float, Field(ge=0, le=1_000_000)]  # mm
Time = Annotated[float, Field(ge=0.001, le=3_600_000)]  # ms, up to an hour
TimeOrNone = Annotated[float, Field(ge=0, le=3_600_000)]  # ms
Scale = Annotated[float, Field(ge=0.01, le=100_000)]  # um that a pixel shows
Speed = Annotated[float, Field(ge=0.001, le=100_000)]  # mm/s, up to 360 km/h
Rate = Annotated[float, Field(ge=0.1, le=100_000)]  # a second
PerMetre = Annotated[float, Field(ge=0, le=1_000)]
Megabytes = Annotated[float, Field(ge=0.001, le=1_000_000_000)]

Pixels = Annotated[int, Field(ge=1, le=65_536)]  # of a picture's side
Place = Annotated[int, Field(ge=0, le=65_535)]  # a row, a column, a pin: counted from 0
Threads = Annotated[int, Field(ge=1, le=256)]
Frames = Annotated[int, Field(ge=1, le=10_000)]  # that wait
Exposure = Annotated[int, Field(ge=1, le=10_000_000)]  # us, up to ten seconds
