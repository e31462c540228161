"""What a line file says of what the box keeps: the event store, and the bundles it changes."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from edge.line_file.section import Frames, LinePath, Megabytes, Section

DATABASE = "events.sqlite"
JOURNAL = "places.sqlite"  # of what was said of places, unless it has a file of its own


class StoreSettings(Section):
    """Which frames are kept, where, and for how long."""

    path: LinePath = Field(description="A folder of its own; it is made where there is none.")
    unsure_below: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="Frames whose verdict is less sure than this are kept, for relabelling.",
    )
    unfamiliar_above: float = Field(
        default=1.5,
        ge=0,
        le=1_000,
        description="Frames that are more unfamiliar to the network than this are kept: 1 is what "
        "one good frame in a hundred reached when the line was commissioned. Only with a camera's "
        "`baseline` of the bundle that runs.",
    )
    ok_every: int = Field(
        default=1000,
        ge=0,
        le=1_000_000_000,
        description="One OK frame in so many is kept, at random; 0 keeps none.",
    )
    max_age_days: float = Field(
        default=90,
        ge=0.001,
        le=100_000,
        description="What is older is removed, once the clock has gone for hours without a leap.",
    )
    max_size_mb: Megabytes = Field(
        default=10_000, description="Beyond this the oldest is removed; pictures and all."
    )
    keep_free_mb: Megabytes = Field(
        default=200, description="With less room on the disk, events are kept without pictures."
    )
    queue_frames: Frames = Field(
        default=64, description="Pictures that may wait for the disk; then events go without."
    )

    @property
    def database(self) -> Path:
        """The SQLite file of its events."""
        return self.path / DATABASE


class SwapSettings(Section):
    """Where a line's bundles are kept, and what a new one must show before it takes over."""

    folder: LinePath = Field(
        description="A folder of this line's own, which holds the bundle in force and the one "
        "before it; it is made where there is none."
    )
    shadow_frames: int = Field(
        default=300,
        ge=1,
        le=10_000_000,
        description="Frames that both bundles look at before the new one takes over.",
    )
    require_backtest: bool = Field(
        default=False,
        description="A bundle is taken only with the result of a `trackside backtest` against the "
        "one in force, with a gate that it passed: `bundle activate --backtest`.",
    )

    min_agreement: float = Field(
        default=0.95, ge=0, le=1, description="Least share of them with the same verdict."
    )
    min_ng_agreement: float = Field(
        default=0.95,
        ge=0,
        le=1,
        description="Least share of those that the old one rejects that the new one rejects too; "
        "the defect of the old one's golden pair must be among them, unless this is 0.",
    )
    min_overlap: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Least intersection over union of the two masks, over all of them together.",
    )
    max_slowdown: float = Field(
        default=1.5,
        gt=0,
        le=1_000_000,
        description="Greatest p99 of the new one's time a frame, as a multiple of the old one's; "
        "both are timed beside the line, in turn.",
    )

    @property
    def fleet_objection(self) -> str | None:
        """Why a box of a fleet cannot have this; a revoked bundle could not even be left."""
        if not self.require_backtest:
            return None
        return (
            "releases of a fleet bring no backtest along, so no bundle of theirs could be taken: "
            "leave `require_backtest` out of `swap:`"
        )
