"""What a line file says of the event store."""

from __future__ import annotations

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from edge.section import LinePath, Section


class StoreSettings(Section):
    """Which frames are kept, where, and for how long."""

    path: LinePath = Field(description="A folder of its own; it is made where there is none.")
    unsure_below: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Frames whose verdict is less sure than this are kept, for relabelling.",
    )
    ok_every: NonNegativeInt = Field(
        default=1000, description="One OK frame in so many is kept; 0 keeps none."
    )
    max_age_days: PositiveFloat = Field(
        default=90,
        description="What is older is removed, once the clock has gone for hours without a leap.",
    )
    max_size_mb: PositiveFloat = Field(
        default=10_000, description="Beyond this the oldest is removed; pictures and all."
    )
    keep_free_mb: PositiveFloat = Field(
        default=200, description="With less room on the disk, events are kept without pictures."
    )
    queue_frames: PositiveInt = Field(
        default=64, description="Pictures that may wait for the disk; then events go without."
    )
