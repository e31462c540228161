"""Which pictures to hold out: never one of a run, an item or a surface that is trained on too."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import ConfigurationError
from reference.data.check import Seen
from reference.data.duplicates import find_twins
from reference.datasets import FREE
from reference.proposal.survey import Survey

HELD_OUT = 0.2  # of each class
_SEED = 0
_OWN = ("plain", "by_class", "coco", "label_studio", "cvat")  # layouts without a published split
_FEW_GROUPS, _LARGEST = 5, 0.4  # names tell runs if there are more, none a larger part of all


@dataclass(frozen=True)
class Sides:
    """What is held out, and how that came about."""

    held_out: tuple[Seen, ...]
    listed: bool  # whether a list must name them, or the layout says so itself
    how: str


def split(found: Survey) -> Sides:
    """The data set's own split where it has one that leaks nothing, else one of whole groups."""
    seen = [one for one in found.seen if one.sample.split != "test"]
    twins = _twins(seen)
    own = tuple(one for one in seen if one.sample.split == "validation")
    if own and found.layout not in _OWN:
        return Sides(own, False, "as its layout splits it")
    if any(one.shows_defect for one in own) and not _leaks(seen, twins):
        return Sides(own, False, "as its folders say")
    runs = _runs([one.sample.image.relative_to(found.root) for one in seen])
    groups = _joined(runs or [str(number) for number in range(len(seen))], twins)
    held = _drawn(seen, groups)
    if not any(seen[number].shows_defect for number in held):
        raise ConfigurationError(
            f"{found.root}: no picture with a defect can be held out without one that is much "
            "like it: add pictures of other runs or items"
        )
    told = "whole runs or items, by their names" if runs else "pictures"
    leaky = " (its own split shows one surface on two sides)" if own else ""
    alike = ", those that are alike together" if twins else ""
    return Sides(tuple(seen[number] for number in held), True, f"{told}{alike}{leaky}")


def _twins(seen: Sequence[Seen]) -> list[tuple[int, int]]:
    prints = [one.print for one in seen if one.print is not None]
    return [(pair.first, pair.second) for pair in find_twins(prints, ["one"] * len(prints))]


def _leaks(seen: Sequence[Seen], twins: Iterable[tuple[int, int]]) -> bool:
    return any(seen[one].sample.split != seen[other].sample.split for one, other in twins)


def _runs(files: Sequence[Path]) -> list[str] | None:
    """The run or item of each picture, if names tell: what comes before the last number, or the
    folder.
    """
    by_name = [str(file.parent / re.sub(r"\d+\D*$", "", file.stem)) for file in files]
    tells_number = all(re.search(r"\d", Path(name).name) for name in by_name)
    for names in ([by_name] if tells_number else []) + [[str(file.parent) for file in files]]:
        counts = Counter(names)
        if len(counts) > _FEW_GROUPS and max(counts.values()) <= _LARGEST * len(files):
            return names if len(counts) <= len(files) / 2 else None
    return None


def _joined(names: Sequence[str], twins: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Pictures by groups, in which what is alike is together."""
    root = list(range(len(names)))

    def top(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    first: dict[str, int] = {}
    for number, name in enumerate(names):
        root[top(number)] = top(first.setdefault(name, number))
    for one, other in twins:
        root[top(one)] = top(other)
    groups: dict[int, list[int]] = defaultdict(list)
    for number in range(len(names)):
        groups[top(number)].append(number)
    return list(groups.values())


def _drawn(seen: Sequence[Seen], groups: Sequence[list[int]]) -> list[int]:
    """Groups until a fifth of each class is held out, rare classes first; never most of one."""
    kinds = [min(one.classes - {FREE}, default=FREE) for one in seen]
    total, held = Counter(kinds), Counter[str]()
    order = [groups[n] for n in np.random.default_rng(_SEED).permutation(len(groups))]
    chosen: list[int] = []
    for kind, count in sorted(total.items(), key=lambda item: (item[1], item[0])):
        for group in order:
            if held[kind] >= max(1, round(HELD_OUT * count)):
                break
            own = Counter(kinds[number] for number in group)
            small = all(held[k] + n <= max(1, 2 * HELD_OUT * total[k]) for k, n in own.items())
            if own[kind] and small and not set(group) & set(chosen):
                chosen += group
                held += own
    return sorted(chosen)
