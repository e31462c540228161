"""What a line file says of whatever is served beside the line: where, to whom, and as whom."""

from __future__ import annotations

import re
from ipaddress import ip_address
from itertools import pairwise

from pydantic import Field, SecretStr, field_validator, model_validator

from edge.line_file.section import LinePath, Section
from edge.serving import Address, Certificate

LEAST_TOKEN = 16  # characters
_LEAST_LEFT, _LEAST_KINDS = 10, 7  # characters of a token, less what everybody tries first
_TRIED_FIRST = re.compile(
    r"password|passwort|passw0rd|trackside|change.?me|secret|token|admin|root|letmein|welcome|"
    r"qwertz|qwerty|asdfgh|yxcvbn|zxcvbn|default|example|test|user|line|(.)\1{2,}|(.{2,})\2+",
    re.IGNORECASE,
)
_REMEDY = "`openssl rand -hex 16` makes a good one"


class ServedSection(Section):
    """Something that is served over HTTP, encrypted where there is a certificate."""

    host: str = Field(default="127.0.0.1", min_length=1, description="The address it is served at.")
    port: int = Field(ge=0, le=65535, description="Its TCP port; 0: any free one.")
    token: SecretStr | None = Field(
        default=None,
        description="What lets a reader in: write ${NAME}, and set NAME in the environment.",
    )
    certificate: LinePath | None = Field(
        default=None,
        description="A PEM file with its certificate and those that vouch for it; served by https.",
    )
    key: LinePath | None = Field(
        default=None, description="The key of `certificate`, a PEM file without a password."
    )

    @property
    def on_this_box_alone(self) -> bool:
        """Whether nobody can reach it from elsewhere."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def address(self, section: str) -> Address:
        """As the server of this section of the line file knows it."""
        certificate = None
        if self.certificate is not None and self.key is not None:
            certificate = Certificate(self.certificate, self.key)
        return Address(section, self.host, self.port, certificate)

    @property
    def scheme(self) -> str:
        return "http" if self.certificate is None else "https"

    @property
    def word(self) -> str | None:
        """The token, to be compared with."""
        return None if self.token is None else self.token.get_secret_value()

    @field_validator("token")
    @classmethod
    def _is_not_guessed(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and (weakness := _weakness(token.get_secret_value())):
            raise ValueError(f"the token {weakness}: {_REMEDY}")
        return token

    @model_validator(mode="after")
    def _has_both(self) -> ServedSection:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: give both, or neither")
        return self


def _weakness(token: str) -> str | None:
    """Why it would be guessed. The token itself is never repeated."""
    if not token.isascii() or not token.isprintable():
        return "has characters that a header cannot carry"
    if len(token) < LEAST_TOKEN:
        return f"needs {LEAST_TOKEN} characters or more"
    left = _without_runs(_TRIED_FIRST.sub("", token))
    if len(left) < _LEAST_LEFT or len(set(left)) < _LEAST_KINDS:
        return "is easily guessed"
    return None


def _without_runs(text: str) -> str:
    """Less each character that follows the one before in the alphabet or among the digits."""
    return text[:1] + "".join(b for a, b in pairwise(text) if abs(ord(b) - ord(a)) > 1)
