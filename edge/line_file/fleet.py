"""What a line file says of the fleet that its box belongs to: `fleet`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from edge.line_file.section import Frames, LinePath, Section

BoxName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


_Url = Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]


class HawkbitSettings(Section):
    """A server that speaks hawkBit's DDI, where the plant has one. It signs nothing."""

    url: _Url = Field(description="The server, without `/TENANT/controller`.")
    tenant: str = Field(
        default="DEFAULT", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="The tenant there."
    )
    token: SecretStr | None = Field(
        default=None,
        description="This box's security token there: write ${NAME}, and set NAME in the "
        "environment.",
    )


class FleetSettings(Section):
    """From where bundles and line files come by themselves, and what they must show here."""

    url: _Url | None = Field(
        default=None,
        description="Where the depot is served, by any web server: what `trackside fleet init` "
        "made, with metadata/ and targets/ in it.",
    )
    root: LinePath | None = Field(
        default=None,
        description="The root.json that `trackside fleet init` wrote, carried here by somebody: "
        "all trust begins with it.",
    )
    hawkbit: HawkbitSettings | None = Field(
        default=None, description="In place of a depot, which is the better choice."
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

    @model_validator(mode="after")
    def _has_one_source(self) -> FleetSettings:
        if (self.url is None) != (self.root is None):
            raise ValueError("url and root belong together: give both, or neither")
        if (self.url is None) == (self.hawkbit is None):
            raise ValueError("give a depot's `url:` and `root:`, or `hawkbit:` in their place")
        return self
