"""The report's form: what a shift, a run or a coil came to (`trackside report --schema`).

Lengths are micrometres as ledger and store have them, so that every sum is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SIZES_MM = (2, 5, 10, 20, 50)  # between which defects are counted, by their extent


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rail(_Part):
    """What one camera looked at, or all of them together."""

    frames: int
    ok: int
    ng: int
    unknown: int
    run_um: int = Field(description="Rail that went by.")
    inspected_um: int
    unknown_um: int = Field(description="Of frames that could not be judged.")
    unseen_um: int = Field(description="Between frames, of which there is no verdict at all.")

    @property
    def coverage(self) -> float | None:
        """Rail inspected of rail run."""
        return self.inspected_um / self.run_um if self.run_um else None


class RunOf(_Part):
    """One run that the report is of."""

    run: int = Field(description="Its number in the store.")
    began: str = Field(description="Its name in the ledger; ISO 8601, UTC.")
    last: str = Field(description="The minute in which it looked last.")
    cameras: dict[str, Rail]
    starts_um: dict[str, int] = Field(description="Where each camera's rail begins.")
    places: tuple[str, ...] = Field(
        default=(), description="What people called its places, and where."
    )
    unaccounted_events: int = Field(
        default=0, description="Events beyond the account's end: the program was killed."
    )


class ByClass(_Part):
    """Things of one class, by what became of them and by size."""

    label: str
    code: str | None
    rejected: int
    reported: int
    let_by: int
    by_size: tuple[int, ...] = Field(description="Extent up to 2, 5, 10, 20, 50 mm, and above.")

    @property
    def count(self) -> int:
        return self.rejected + self.reported + self.let_by


class Kept(_Part):
    """What the event store holds of it."""

    events: int
    by_why: dict[str, int]
    without_pictures: dict[str, int] = Field(description="By reason; those with an image.")
    lost: int = Field(description="That could not even be entered, as far as it is known.")


class ActuatorSums(_Part):
    """What the ledger says of one actuator."""

    ordered: int
    fired: int
    missed: int
    missed_unordered: int = Field(description="Of rail that nobody had ordered, for want of a pass")
    handed_on: int = Field(description="Given anew by the next run.")
    open: int = Field(description="Ordered, and no outcome is known yet.")
    missed_um: int
    furthest_um: int = Field(description="How far from its place a reject began, at most.")
    pulses: int
    rejected_um: int = Field(description="Rail under the actuator while it was driven.")
    uninspected_um: int = Field(description="Rejected because nobody had looked at it.")
    late_passes: int
    confirmed: int
    unconfirmed: int


class Outputs(_Part):
    """What the ledger says."""

    actuators: dict[str, ActuatorSums]
    unwritten: int = Field(description="Orders acted on before they were on disk.")
    lost: int = Field(description="Entries that the disk refused for too long.")
    modes: tuple[str, ...] = Field(description="Changes of mode, the latest.")
    mode_changes: int


class Latency(_Part):
    """From the light on the sensor to the verdict, of all frames; figures to one part in twenty."""

    frames: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    most_ms: float | None = Field(description="Exact.")
    steps_ms: tuple[tuple[float, int], ...] = Field(description="Frames up to each bound.")


class BundleOf(_Part):
    """A bundle that judged, and whether a certificate is known to cover it."""

    digest: str
    name: str | None = Field(description="Of the line file's bundle; null of another.")
    frames: int
    certificate: str | None = Field(description="What the line's certificate says of it.")


class Roll(_Part):
    """Marks that come again at one spacing."""

    run: int
    camera: str
    first_um: int
    last_um: int
    across_um: int
    spacing_um: int
    diameter_mm: float


class Spot(_Part):
    """One thing on the map."""

    run: int
    camera: str
    fate: Literal["rejected", "reported", "let by"]
    label: str
    start_um: int
    end_um: int
    left_um: int
    right_um: int


class Dark(_Part):
    """Rail of a camera that could not be judged."""

    run: int
    camera: str
    start_um: int
    end_um: int


class Trend(_Part):
    """One run among the last ones."""

    run: int
    began: str
    frames: int
    ng: int
    unknown: int
    run_um: int
    inspected_um: int


class Report(_Part):
    """What it came to."""

    format: Literal[1]
    made: str = Field(description="ISO 8601, UTC.")
    version: str = Field(description="Of Trackside.")
    line: str
    what: str = Field(description="What it is of, for people.")
    since: str | None = Field(description="ISO 8601, UTC.")
    until: str | None
    rail: Rail
    runs: tuple[RunOf, ...]
    classes: tuple[ByClass, ...]
    kept: Kept
    unknown_for: dict[str, int] = Field(description="Frames, by reason; ... is a figure of each.")
    outputs: Outputs | None = Field(description="Null where there is no ledger of it.")
    latency: Latency
    bundles: tuple[BundleOf, ...]
    rolls: tuple[Roll, ...]
    trend: tuple[Trend, ...]
    spots: tuple[Spot, ...] = Field(description="Of the map; `trackside report --csv` has all.")
    dark: tuple[Dark, ...]

    @property
    def things(self) -> int:
        return sum(each.count for each in self.classes)

    def total(self, name: str) -> int:
        """Of all actuators."""
        each = () if self.outputs is None else self.outputs.actuators.values()
        return sum(getattr(sums, name) for sums in each)


def together(some: Iterable[Rail]) -> Rail:
    """The rail of several."""
    several = list(some)
    return Rail(**{name: sum(getattr(e, name) for e in several) for name in Rail.model_fields})


def report_schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    return Report.model_json_schema()
