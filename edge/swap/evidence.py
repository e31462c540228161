"""What a backtest came to, as a file: the evidence that a line may ask for before a bundle runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.errors import ConfigurationError


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Backtested(_Record):
    """What of it a request to activate a bundle carries along."""

    bundle: str
    against: str | None
    km: float
    newly_rejected: int
    most_newly_rejected_per_km: float | None
    passed: bool
    digest: str

    def objection(self, bundle: str, in_force: str) -> str | None:
        """Why it is no evidence for this bundle in place of that one; None where it is."""
        if self.bundle != bundle:
            return f"the backtest is of another bundle, {self.bundle[:12]}: run it with this one"
        if self.against != in_force:
            said = "more than one bundle" if self.against is None else self.against[:12]
            return (
                f"the backtest compares with {said}, and {in_force[:12]} is in force: run it again "
                "with --against the one in force"
            )
        if self.most_newly_rejected_per_km is None:
            return "the backtest had no gate: run it again with --max-new-rejects"
        if not self.passed:
            return "the backtest did not pass: look at its report.html"
        return None

    def said(self) -> str:
        """For the ledger."""
        return f"a backtest of {self.km:.3f} km has {self.newly_rejected} new rejects"


class Evidence(_Record):
    """The figures of a backtest. `against` is the old bundle, where there was one alone."""

    format: Literal[1] = 1
    bundle: str
    name: str
    against: str | None
    archives: tuple[str, ...]
    frames: int
    compared: int
    km: float
    newly_rejected: int
    no_longer_rejected: int
    newly_rejected_per_km: float | None  # without what people say are defects
    reviewed: int  # frames of which people said whether they show a defect
    false_rejects_before: int
    false_rejects_now: int
    missed_before: int
    missed_now: int
    most_newly_rejected_per_km: float | None  # what was asked for
    passed: bool
    faults: tuple[str, ...]  # the first of them
    fault_count: int
    digest: str  # of the rows
    at: str  # ISO 8601, UTC

    def brief(self) -> Backtested:
        return Backtested(**self.model_dump(include=set(Backtested.model_fields)))


def read_evidence(path: Path) -> Evidence:
    """ConfigurationError for anything else than what `trackside backtest` wrote."""
    try:
        return Evidence.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is of another form"
        raise ConfigurationError(
            f"{path} is no result of a backtest ({why}): give the backtest.json that "
            "`trackside backtest` wrote"
        ) from error
