"""What a line file says of the live page: `web`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, model_validator

from edge.line_file.served import LEAST_TOKEN, ServedSection


class WebSettings(ServedSection):
    """A page that shows the running line in a browser."""

    port: int = Field(default=8420, ge=0, le=65535, description="Its TCP port; 0: any free one.")
    names: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="What the page is called in a browser's address line, beside addresses, this "
        "box's own name and localhost; such as the name that a proxy gives it.",
    )
    session_hours: PositiveFloat = Field(
        default=12, le=8760, description="After so long a browser must give the token again."
    )
    controls: Literal["never", "always"] | str = Field(
        default="never",
        min_length=1,
        description="When the page's buttons work: `never`, `always`, or while the input of this "
        "name is active.",
    )

    @model_validator(mode="after")
    def _lets_in_by_token(self) -> WebSettings:
        if self.token is None and not self.on_this_box_alone:
            raise ValueError(
                f"{self.host} can be reached from elsewhere: give `token:`, of {LEAST_TOKEN} "
                "characters at least, or leave `host:` out"
            )
        return self


def check_key(web: WebSettings, inputs: list[str]) -> None:
    """The key that frees the buttons must be wired."""
    if web.controls not in {"never", "always", *inputs}:
        known = ", ".join(inputs) or "there is none"
        raise ValueError(
            f"no input is called {web.controls}: give `controls:` never, always or an input's "
            f"name ({known})"
        )
