"""What a line file says of what leaves the box: `metrics` and `mqtt`."""

from __future__ import annotations

from pydantic import Field, SecretStr, model_validator

from edge.line_file.section import LinePath, Section
from edge.line_file.served import ServedSection


class MetricsSettings(ServedSection):
    """A page for Prometheus, at `/metrics`; whoever reaches it can read it, or has the token."""

    port: int = Field(default=9464, ge=0, le=65535, description="Its TCP port; 0: any free one.")


class TlsSettings(Section):
    """How the broker is known, and how it knows this box."""

    ca: LinePath | None = Field(
        default=None, description="Certificates of who may vouch for it; the system's if left out."
    )
    cert: LinePath | None = Field(default=None, description="This box's own certificate.")
    key: LinePath | None = Field(default=None, description="The key of `cert`.")

    @model_validator(mode="after")
    def _has_both(self) -> TlsSettings:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key belong together: give both, or neither")
        return self


class MqttSettings(Section):
    """Every verdict, and the line's health, as messages to an MQTT broker."""

    host: str = Field(min_length=1, description="The broker.")
    port: int = Field(
        default=1883, ge=1, le=65535, description="Its TCP port; with TLS often 8883."
    )
    topic: str = Field(
        pattern=r"^[^#+/\x00]+(/[^#+/\x00]+)*$",
        description="Messages go to TOPIC/verdict/CAMERA, TOPIC/health and TOPIC/availability, and "
        "those of a box in a fleet to TOPIC/fleet.",
    )
    username: str | None = Field(default=None, description="Whom the broker takes this box for.")
    password: SecretStr | None = Field(
        default=None, description="Its password: write ${NAME}, and set NAME in the environment."
    )
    tls: TlsSettings | None = Field(default=None, description="Encrypts the connection.")
    spool: LinePath = Field(
        description="The SQLite file in which messages wait, over restarts, until the broker has "
        "them."
    )
    max_spooled: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000_000,
        description="Messages that may wait; beyond this the oldest are given up.",
    )
    health_every_s: float = Field(
        default=10, ge=0.01, le=86_400, description="How often the line's health is told."
    )

    @model_validator(mode="after")
    def _is_somebody(self) -> MqttSettings:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs its `username:`: give it too")
        return self
