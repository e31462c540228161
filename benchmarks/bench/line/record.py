"""The record of a line that was measured: what `--json` writes, and what the tables show."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.bench.schema import BundleRecord, Machine, Percentiles


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rate(_Part):
    """How much was judged in a second."""

    frames_per_s: float
    megapixels_per_s: float = Field(description="Of the frames as they are; rows seen twice once.")
    mm_per_s: float = Field(description="Of rail; of several cameras, by the slowest of them.")


class Stage(_Part):
    """One part of the way from a frame to its verdict."""

    p50_ms: float
    p99_ms: float | None = Field(description="Null where fewer than 100 frames were judged.")
    at_once: float = Field(description="Mean number of frames that were in it.")


class CameraRun(_Part):
    """What became of one camera's frames."""

    frames: int
    rate: Rate
    verdict: Percentiles = Field(description="From the light on the sensor to the verdict.")
    unknown: int = Field(description="Frames and lost rail that nobody could judge.")
    missed: int = Field(description="Orders that came too late for the frame's first row.")
    dropped: int = Field(description="Pictures that had to go for later ones.")


class LineRun(_Part):
    """All cameras together, for a while."""

    pace: Literal["flat out", "line"] = Field(
        description="Each frame as soon as the one before was judged, or when the rail has moved."
    )
    seconds: float
    frames: int
    rate: Rate
    verdict: Percentiles = Field(description="From the light on the sensor to the verdict.")
    order: Percentiles = Field(description="Until its orders have been given, too.")
    stages: dict[str, Stage]
    busy_cores: float = Field(description="Processor time of the line by the time that passed.")
    megapixels_per_core_s: float = Field(
        description="In each second of processor time: what others do here hardly changes it."
    )
    core_shares: list[float] = Field(description="Of each core, how busy all of the machine is.")
    cameras: dict[str, CameraRun]
    why_unknown: str | None = Field(description="Of the first that was, the reasons.")


class LineRecord(_Part):
    """A line file on this machine."""

    command: str
    line: str
    speed_mm_s: float = Field(description="Of the line, at its fastest.")
    engine: str
    workers: int
    bundle: BundleRecord
    machine: Machine
    runs: list[LineRun]
