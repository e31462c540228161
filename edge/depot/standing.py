"""How a release stands with the boxes of its ring, by what they report themselves.

A box that says nothing is not well: what nobody has seen is never taken for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edge.fleet import Release, Rollout
from edge.telemetry import FleetMessage

MIN_WELL = 0.9  # share of a ring's boxes that must report well before the next ring has its turn

Verdict = Literal["well", "held", "failing", "stopped", "revoked", "done"]


@dataclass(frozen=True)
class Report:
    """What a box said last, and whether it is there."""

    said: FleetMessage
    online: bool


@dataclass(frozen=True)
class Standing:
    """Of one release."""

    release: Release
    ring: str
    well: tuple[str, ...]  # boxes of the ring, by name
    waiting: Mapping[str, str]  # and why
    failed: Mapping[str, str]
    verdict: Verdict

    @property
    def boxes(self) -> int:
        return len(self.well) + len(self.waiting) + len(self.failed)

    def __str__(self) -> str:
        said = f"{len(self.well)} of {self.boxes} boxes are well"
        failed = f", {len(self.failed)} refused it" if self.failed else ""
        return f"release {self.release.number}, {self.ring}: {self.verdict}: {said}{failed}"


def standing_of(rollout: Rollout, release: Release, reports: Mapping[str, Report]) -> Standing:
    """Whether it may go further, must wait, or has failed too often."""
    reached = rollout.rings[: release.ring + 1]
    named = {box for ring in reached for box in ring.boxes}
    boxes = sorted(named | {box for box in reports if rollout.reaches(release, box)})
    well: list[str] = []
    waiting: dict[str, str] = {}
    failed: dict[str, str] = {}
    for box in boxes:
        report = reports.get(box)
        refusal = None if report is None else _refusal(report, release.number)
        if refusal is not None:
            failed[box] = refusal
        elif (why := _waits(report, release.number)) is not None:
            waiting[box] = why
        else:
            well.append(box)
    return Standing(
        release,
        rollout.rings[release.ring].name,
        tuple(well),
        waiting,
        failed,
        _verdict(rollout, release, len(boxes), len(well), len(failed)),
    )


def _verdict(rollout: Rollout, release: Release, boxes: int, well: int, failed: int) -> Verdict:
    if release.state != "going out":
        return release.state
    if boxes and failed > rollout.max_failures * boxes:
        return "failing"
    if not boxes or well < MIN_WELL * boxes:
        return "held"
    return "done" if release.ring + 1 == len(rollout.rings) else "well"


def _refusal(report: Report, number: int) -> str | None:
    return next((each.why for each in report.said.refused if each.release == number), None)


def _waits(report: Report | None, number: int) -> str | None:
    """Why it cannot be called well; None if it can."""
    if report is None:
        return "it has said nothing yet"
    said = report.said
    if not report.online:
        return "its line does not run"
    if said.runs is None or said.runs < number:
        doing = "" if said.doing == "nothing" else f", {said.doing}"
        return said.trouble or f"it runs {said.runs or 'no release'}{doing}"
    return "; ".join(said.complaints) or None
