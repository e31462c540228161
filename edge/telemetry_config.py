"""What a line file says of what leaves the box: `health`, `metrics` and `mqtt`."""

from __future__ import annotations

from pydantic import Field

from edge.section import LinePath, Section


class HealthSettings(Section):
    """What the line's health is held against."""

    baseline: LinePath | None = Field(
        default=None,
        description="What `trackside commission` recorded; without it drift is not reported.",
    )


class MetricsSettings(Section):
    """A page for Prometheus, at `/metrics`."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address it is served at; whoever reaches it can read it.",
    )
    port: int = Field(default=9464, ge=0, le=65535, description="Its TCP port; 0: any free one.")
