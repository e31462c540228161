"""What all rows come to: by class, camera and day, a kilometre, and what people said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from edge.backtest.rows import Row
from edge.types import State

MOST_SHOWN = 48  # pictures on the page
MOST_FAULTS = 20  # that are named one by one


@dataclass
class Changes:
    """Rejects of one class, camera or day."""

    newly: int = 0
    no_longer: int = 0


@dataclass
class ByPeople:
    """Frames of which people said whether they show a defect."""

    reviewed: int = 0
    false_before: int = 0
    false_now: int = 0
    missed_before: int = 0
    missed_now: int = 0

    def add(self, row: Row) -> None:
        if row.has_defect is None:
            return
        before, now = (state != State.OK.value for state in (row.old_state, row.new_state))
        self.reviewed += 1
        self.false_before += before and not row.has_defect
        self.false_now += now and not row.has_defect
        self.missed_before += row.has_defect and not before
        self.missed_now += row.has_defect and not now


@dataclass
class Tally:
    """Counts as rows come."""

    frames: int = 0
    compared: int = 0
    inspected_um: int = 0
    faults: int = 0  # frames that could not be read
    states: Counter[tuple[str, str]] = field(default_factory=Counter)  # before, now
    by_class: dict[str, Changes] = field(default_factory=dict)
    by_camera: dict[str, Changes] = field(default_factory=dict)
    by_day: dict[str, Changes] = field(default_factory=dict)
    people: ByPeople = field(default_factory=ByPeople)
    newly_right: int = 0  # new rejects of frames that truly show a defect, as people say
    old_bundles: set[str] = field(default_factory=set)
    first_faults: list[str] = field(default_factory=list)
    shown: list[Row] = field(default_factory=list)

    def add(self, rows: Iterable[Row]) -> None:
        for row in rows:
            self._add(row)

    def _add(self, row: Row) -> None:
        self.frames += 1
        if row.fault is not None:
            self.faults += 1
            if len(self.first_faults) < MOST_FAULTS:
                self.first_faults.append(row.fault)
            return
        if row.old_state is None or row.new_state is None:
            return
        self.compared += 1
        self.inspected_um += row.inspected_um
        self.states[row.old_state, row.new_state] += 1
        self.people.add(row)
        if row.has_defect:
            self.newly_right += len(row.newly_rejected)
        if row.old_bundle is not None:
            self.old_bundles.add(row.old_bundle)
        for label in row.newly_rejected:
            for changes in self._of(row, label):
                changes.newly += 1
        for label in row.no_longer_rejected:
            for changes in self._of(row, label):
                changes.no_longer += 1
        changed = row.newly_rejected or row.no_longer_rejected
        if changed and row.picture is not None and len(self.shown) < MOST_SHOWN:
            self.shown.append(row)

    def _of(self, row: Row, label: str) -> list[Changes]:
        return [
            self.by_class.setdefault(label, Changes()),
            self.by_camera.setdefault(row.camera, Changes()),
            self.by_day.setdefault(row.day, Changes()),
        ]

    @property
    def newly(self) -> int:
        return sum(each.newly for each in self.by_class.values())

    @property
    def no_longer(self) -> int:
        return sum(each.no_longer for each in self.by_class.values())

    @property
    def km(self) -> float:
        """Of rail that was compared."""
        return self.inspected_um / 1e9

    @property
    def newly_per_km(self) -> float | None:
        """Without those that people say are right; None where nothing was compared."""
        return (self.newly - self.newly_right) / self.km if self.inspected_um else None
