"""The record of a run: what `--json` writes, `--compare` reads, and every table and page shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge.errors import ConfigurationError

Mode = Literal["latency", "throughput", "paced"]
Form = Literal["released", "official", "deploy"]  # of a network that PyTorch runs


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Reading(_Part):
    """What changes while a machine works; null where it cannot be read."""

    load_average: list[float] = Field(description="Over 1, 5 and 15 minutes.")
    frequency_mhz: float | None = Field(description="Mean over the processors.")
    temperature_c: dict[str, float] = Field(description="By thermal zone.")
    throttle_count: int | None = Field(description="Times that x86 cores were throttled.")
    throttle_flags: str | None = Field(description="The Raspberry Pi's firmware word.")


class Machine(_Part):
    """What the figures were measured on, and with which versions."""

    date: str = Field(description="When the run began, UTC.")
    cpu: str
    architecture: str
    processors: int = Field(description="Those that this process may use.")
    virtual: bool = Field(description="A virtual machine, whose processors may be others' too.")
    instruction_sets: list[str] = Field(description="Of those that matter to these networks.")
    memory_mb: int
    governor: list[str] = Field(description="Every frequency governor in use; empty: unreadable.")
    max_frequency_mhz: float | None
    system: str
    versions: dict[str, str]
    before: Reading
    after: Reading
    stolen_share: float | None = Field(description="Of the time, what the hypervisor took away.")


class Ceiling(_Part):
    """The best that this machine reached in the same run with so many threads."""

    sgemm_gflops: float = Field(description="FP32 matrix product, NumPy's BLAS, 512x512.")
    int8_gemm_gops: float | None = Field(description="u8 by s8 matrix product, 512x512.")
    int8_gemm_by: str | None = Field(description="The library whose product was fastest.")
    copy_gb_per_s: float = Field(description="Read and written, 64 MB to 64 MB.")


class BundleRecord(_Part):
    """A bundle that was measured."""

    name: str
    sha256: str = Field(description="Of its manifest, which holds that of every other file.")


class Percentiles(_Part):
    """In milliseconds. One in a thousand is null where fewer than 1000 runs were measured."""

    p50_ms: float
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    max_ms: float


class Accuracy(_Part):
    """What this row's engine answered on this machine."""

    golden_iou: float | None = Field(description="Mask overlap with the bundle's golden output.")
    golden_mae: float | None = Field(description="Mean difference of probability there.")
    golden_names: float | None = Field(
        default=None, description="Share of what is found there that has the same class."
    )
    simulated_iou: float = Field(description="Mask overlap with the truth, all frames together.")
    verdict_agreement: float = Field(description="Share of frames judged as their truth is.")
    frames: int = Field(description="Simulated frames asked.")
    packed: dict[str, float] = Field(description="What the bundle recorded when it was packed.")


class Paced(_Part):
    """Frames that came at the line's pace, each to be judged before the next one."""

    period_ms: float
    frames: int
    misses: int


class Row(Percentiles):
    """One network on one engine. Percentiles are of the inference alone."""

    bundle: str | None = Field(description="Null for a network that is in no bundle.")
    network: str
    engine: str
    precision: str
    graph: str = Field(description="`deploy`, `official`, or `released`: as the authors wrote it.")
    threads: int
    size: tuple[int, int] = Field(description="Height and width of the input.")
    mode: Mode
    streams: int = Field(description="Frames in work at the same time.")
    pinned_to: list[int] = Field(description="Processors; empty where it was free to move.")

    runs: int
    short: bool = Field(description="Fewer than 200 runs, or less than 10 s.")
    steady: bool = Field(description="The warm-up ended with two like medians.")
    noisy: bool = Field(description="The spread is too large for the figures to be trusted.")
    spread: float = Field(description="Interquartile range of the rounds' medians, by the median.")
    round_p50_ms: list[float] = Field(description="The median of each round.")
    quantiles_ms: list[float] = Field(description="0%, 1%, ... 100% of the inference.")

    whole_path: Percentiles = Field(description="Decoded frame to verdict; paced: from its due.")
    round_whole_p50_ms: list[float]
    stage_p50_ms: dict[str, float]
    cpu_ms: float = Field(description="Processor time of a frame, all stages and threads.")
    fps: float = Field(description="Frames judged in a second, all streams together.")
    paced: Paced | None

    load_ms: float = Field(description="From a verified bundle to an engine, imports included.")
    first_ms: float = Field(description="The first inference.")
    rss_mb: float = Field(description="Resident memory of a process with this row alone.")
    artefact_bytes: int
    macs: int | None = Field(description="Multiply-adds of one inference.")
    floor_ms: float | None = Field(description="What the ceiling allows for so many MACs, bytes.")
    roofline_ratio: float | None = Field(description="p50 by the floor: 1 is as fast as can be.")
    accuracy: Accuracy | None = Field(description="Null for a network without trained weights.")

    @property
    def key(self) -> tuple[Any, ...]:
        """What a row of another run must share to be compared with this one."""
        sort = (self.engine, self.precision, self.graph, self.threads, self.size, self.mode)
        return (self.bundle, self.network, *sort)


class LeftOut(_Part):
    """A row that was asked for and is not there."""

    what: str
    reason: str


class BenchRecord(_Part):
    """One run of `trackside bench`."""

    format: Literal[1] = 1
    command: str
    complete: bool = Field(description="False where it was stopped: what was measured so far.")
    seconds: float = Field(description="What the whole run took.")
    machine: Machine
    bundles: list[BundleRecord]
    roofline: dict[str, Ceiling] = Field(description="By number of threads.")
    rows: list[Row]
    left_out: list[LeftOut]


def read_record(path: Path) -> BenchRecord:
    """A record that `--json` wrote."""
    try:
        return BenchRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise ConfigurationError(
            f"{path}: {key}: {first['msg']}: give a file that `trackside bench --json` wrote"
        ) from error
