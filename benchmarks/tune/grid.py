"""The settings that are tried: thresholds by size limits, each as a line's rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edge.bundle import Limits
from edge.line_file import Rules

# Closer at both ends, where a network that is sure of itself has most of its answers.
THRESHOLDS = (0.02, 0.05, *(step / 20 for step in range(2, 19)), 0.95, 0.98)
_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)  # of a decade
_MOST_SIZES = 12
# Of a defect's measures, the one that each size condition asks.
_MEASURES = {
    "min_area_mm2": "area_mm2",
    "min_length_mm": "length_mm",
    "min_width_mm": "width_mm",
    "min_extent_mm": "extent_mm",
}

Place = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """The one size that a line's rules ask."""

    place: Place  # below the line file's root
    now: float

    @property
    def name(self) -> str:
        return str(self.place[-1])

    @property
    def measure(self) -> str:
        return _MEASURES[self.name]

    @property
    def key(self) -> str:
        """As people write it: `rules.reject_if.any[0].min_area_mm2`."""
        return key_of(self.place)


def key_of(place: Place) -> str:
    """As a mistake in a line file is named."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(steps).removeprefix(".")


@dataclass(frozen=True, slots=True)
class Setting:
    """One threshold with one size limit; None where the rules ask no size, or several."""

    threshold: float
    size: float | None


@dataclass(frozen=True)
class Grid:
    """Every setting, and the rules that it makes of a line's own."""

    rules: Rules
    root: Place  # where they lie in the line file
    limit: SizeLimit | None
    settings: tuple[Setting, ...]
    now: Setting

    def ruled(self, setting: Setting) -> Rules:
        """The line's rules with nothing else changed."""
        written = self.rules.model_dump()
        written["threshold"] = setting.threshold
        if self.limit is not None:
            *above, last = self.limit.place[len(self.root) :]
            part: Any = written
            for step in above:
                part = part[step]
            part[last] = setting.size
        return Rules.model_validate(written)


def grid_of(
    rules: Rules,
    root: Place,
    own_threshold: float,
    limits: Limits,
    sizes: Sequence[dict[str, float]],
    *,
    keep_size: bool,
) -> Grid:
    """What is tried of a line whose bundle has such limits, on defects of such sizes."""
    limit = None if keep_size else _only_limit(rules, root)
    now = Setting(
        own_threshold if rules.threshold is None else rules.threshold,
        None if limit is None else limit.now,
    )
    tried: list[float | None] = [None] if limit is None else [*_sizes(limit, limits, sizes)]
    thresholds = sorted({*THRESHOLDS, now.threshold})
    settings = tuple(Setting(threshold, size) for size in tried for threshold in thresholds)
    return Grid(rules, root, limit, settings, now)


def limits_in(rules: Rules, root: Place) -> list[SizeLimit]:
    """Every size that the rules ask, which lie there in a line file."""
    return list(_limits(rules.model_dump()["reject_if"], (*root, "reject_if")))


def _limits(condition: dict[str, object], place: Place) -> Iterator[SizeLimit]:
    for key, value in condition.items():
        if isinstance(value, list | tuple) and key != "classes":
            for number, inner in enumerate(value):
                yield from _limits(inner, (*place, key, number))
        elif key in _MEASURES and isinstance(value, float | int):
            yield SizeLimit((*place, key), float(value))


def _only_limit(rules: Rules, root: Place) -> SizeLimit | None:
    found = limits_in(rules, root)
    return found[0] if len(found) == 1 else None


def _sizes(limit: SizeLimit, limits: Limits, sizes: Sequence[dict[str, float]]) -> list[float]:
    """From what the bundle is good for to what most defects exceed, in round steps."""
    area = limit.measure == "area_mm2"
    least = limits.min_area_mm2 if area else limits.min_extent_mm
    own = sorted(each[limit.measure] for each in sizes)
    most = max(limit.now, own[len(own) * 3 // 4] if own else 0)
    between = {
        value
        for decade in range(-3, 7)
        for step in _STEPS
        if least < (value := step * 10.0**decade) <= most
    }
    spread = sorted(between)
    while len(spread) > _MOST_SIZES - 2:  # every other one, the first kept
        spread = spread[::2]
    return sorted({least, limit.now, *spread})
