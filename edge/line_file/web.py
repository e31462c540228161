"""What a line file says of the live page: `web`."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Literal

from pydantic import Field, SecretStr, model_validator

from edge.line_file.section import Section

LEAST_TOKEN = 16  # characters, which nobody guesses


class WebSettings(Section):
    """A page that shows the running line in a browser."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address it is served at; beyond this box it needs a token.",
    )
    port: int = Field(default=8420, ge=0, le=65535, description="Its TCP port; 0: any free one.")
    token: SecretStr | None = Field(
        default=None,
        min_length=LEAST_TOKEN,
        description="What lets a browser in: write ${NAME}, and set NAME in the environment.",
    )
    controls: Literal["never", "always"] | str = Field(
        default="never",
        min_length=1,
        description="When the page's buttons work: `never`, `always`, or while the input of this "
        "name is active.",
    )

    @property
    def on_this_box_alone(self) -> bool:
        """Whether nobody can reach it from elsewhere."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

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
