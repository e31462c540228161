"""What a line file says of the fleet that its box belongs to: `fleet`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edge.line_file.section import Frames, LinePath, Section

BoxName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class FleetSettings(Section):
    """From where bundles and line files come by themselves, and what they must show here."""

    url: str = Field(
        pattern=r"^https?://[^\s?#]+$",
        description="Where the depot is served, by any web server: what `trackside fleet init` "
        "made, with metadata/ and targets/ in it.",
    )
    root: LinePath = Field(
        description="The root.json that `trackside fleet init` wrote, carried here by somebody: "
        "all trust begins with it."
    )
    folder: LinePath = Field(
        description="A folder of this line's own for what comes; it is made where there is none."
    )
    box: BoxName = Field(description="This box's name in the fleet, which no other has.")
    poll_s: float = Field(
        default=900,
        ge=0.1,
        le=604_800,
        description="How often it asks for news, on the average: each wait is drawn between half "
        "of it and half as much again, so that boxes do not ask together.",
    )
    well_within_s: float = Field(
        default=600,
        ge=1,
        le=86_400,
        description="A new line file must be well in so much time, or the one before comes back.",
    )
    well_frames: Frames = Field(
        default=100,
        description="It is well once nine of ten of each camera's latest so many frames could be "
        "judged.",
    )
