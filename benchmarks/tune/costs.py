"""Escapes against false rejects of every setting, with exact intervals, and which to take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.qualify.rates import share_at_least, share_at_most
from benchmarks.tune.grid import Setting

Per = Literal["defect", "picture"]
CONFIDENCE = 0.95  # of each end of an interval
_BINS = 4  # of sizes, with as many defects each


@dataclass(frozen=True, slots=True)
class Mark:
    """A defect that somebody has marked."""

    kind: str
    sizes: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Case:
    """What every setting makes of one picture; `found`, `rejected` and so on are by setting."""

    name: str
    marks: tuple[Mark, ...]
    found: tuple[tuple[bool, ...], ...]  # by setting, then by mark: what is rejected touches it
    rejected: tuple[bool, ...]
    false_calls: tuple[int, ...]  # rejected where nothing is marked


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, and between what the true share lies: each end holds at 95%."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        return self.count / self.of if self.of else None

    @property
    def at_least(self) -> float:
        return share_at_least(self.count, self.of, CONFIDENCE) if self.of else 0.0

    @property
    def at_most(self) -> float:
        return share_at_most(self.count, self.of, CONFIDENCE) if self.of else 1.0

    def record(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "of": self.of,
            "share": self.share,
            "at_least_95": self.at_least,
            "at_most_95": self.at_most,
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one setting."""

    setting: Setting
    defects: Share  # that escape
    pictures: Share  # with a defect, that are let by whole
    false_rejects: Share  # of the sound pictures
    false_calls: int  # in all pictures, beside whatever is marked

    def escapes(self, per: Per) -> Share:
        return self.defects if per == "defect" else self.pictures

    def record(self) -> dict[str, Any]:
        return {
            "threshold": self.setting.threshold,
            "size_limit": self.setting.size,
            "escaped_defects": self.defects.record(),
            "escaped_pictures": self.pictures.record(),
            "false_rejects": self.false_rejects.record(),
            "false_calls": self.false_calls,
        }


@dataclass(frozen=True, slots=True)
class Proposal:
    """The setting that rejects least falsely of those that let few enough escape."""

    cost: Cost
    wished: float
    per: Per
    reached: bool  # on these pictures
    promised: bool  # the true rate is below the wished one, at 95%

    @property
    def needed(self) -> int:
        """How many defects, none of which escapes, would promise it."""
        count = 1
        while share_at_most(0, count, CONFIDENCE) > self.wished:
            count += 1
        return count


def costs_of(cases: Sequence[Case], settings: Sequence[Setting]) -> list[Cost]:
    """One for each setting, in their order."""
    sound = [case for case in cases if not case.marks]
    marked = [case for case in cases if case.marks]
    total = sum(len(case.marks) for case in marked)
    return [
        Cost(
            setting,
            Share(total - sum(sum(case.found[at]) for case in marked), total),
            Share(sum(not any(case.found[at]) for case in marked), len(marked)),
            Share(sum(case.rejected[at] for case in sound), len(sound)),
            sum(case.false_calls[at] for case in cases),
        )
        for at, setting in enumerate(settings)
    ]


def choose(costs: Sequence[Cost], wished: float, per: Per) -> Proposal:
    """By what can be promised; by the pictures' own rate where they are too few for that.

    Where not even that is reached it is the setting that lets fewest escape.
    """
    promised = [cost for cost in costs if cost.escapes(per).at_most <= wished]
    reached = [cost for cost in costs if (cost.escapes(per).share or 0.0) <= wished]
    if not reached:
        fewest = min(cost.escapes(per).count for cost in costs)
        closest = [cost for cost in costs if cost.escapes(per).count == fewest]
        return Proposal(_cheapest(closest, per), wished, per, reached=False, promised=False)
    best = _cheapest(promised or reached, per)
    return Proposal(best, wished, per, reached=True, promised=bool(promised))


def _cheapest(costs: Sequence[Cost], per: Per) -> Cost:
    """Fewest false rejects, then fewest escapes; of equals the middle one, far from both ends."""

    def price(cost: Cost) -> tuple[int, int, int]:
        return cost.false_rejects.count, cost.false_calls, cost.escapes(per).count

    least = min(map(price, costs))
    equals = [cost for cost in costs if price(cost) == least]
    return equals[len(equals) // 2]


def by_class(cases: Sequence[Case], at: int) -> dict[str, Share]:
    """Of the defects of each class, those that escape at one setting."""
    return _grouped((mark.kind, found) for mark, found in _marks(cases, at))


def by_size(cases: Sequence[Case], at: int) -> dict[str, Share]:
    """Of the smallest quarter of the defects, and so on, by their larger extent in mm."""
    marks = sorted(_marks(cases, at), key=lambda each: each[0].sizes["extent_mm"])
    rows: dict[str, Share] = {}
    for number in range(_BINS):
        part = marks[number * len(marks) // _BINS : (number + 1) * len(marks) // _BINS]
        if part:
            low, high = (part[end][0].sizes["extent_mm"] for end in (0, -1))
            name = f"{low:.3g} to {high:.3g} mm"
            missed = sum(not found for _, found in part)
            before = rows.get(name, Share(0, 0))
            rows[name] = Share(before.count + missed, before.of + len(part))
    return rows


def _marks(cases: Sequence[Case], at: int) -> list[tuple[Mark, bool]]:
    return [pair for case in cases for pair in zip(case.marks, case.found[at] or (), strict=True)]


def _grouped(found: Any) -> dict[str, Share]:
    groups: dict[str, list[bool]] = {}
    for kind, was_found in found:
        groups.setdefault(kind, []).append(was_found)
    return {
        kind: Share(sum(not each for each in own), len(own)) for kind, own in sorted(groups.items())
    }
