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
from reference.data.duplicates import ALIKE, Twins, find_twins
from reference.datasets import FREE
from reference.proposal.survey import Survey

HELD_OUT = 0.2  # of each class
_SEED = 0
_OWN = ("plain", "by_class", "coco", "label_studio", "cvat")  # layouts without a published split
_FEW_GROUPS, _LARGEST = 5, 0.4  # names tell runs if there are more, none a larger part of all
# A surface that repeats is like itself everywhere: where that leaves a class without a picture to
# hold out, only those that are closer count as one.
_CLOSER = (ALIKE, 0.97, 1.0)
_SOME = 5  # pictures of a class, of which one at least is to be held out


@dataclass(frozen=True)
class Sides:
    """What is held out, and how that came about."""

    held_out: tuple[Seen, ...]
    listed: bool  # whether a list must name them, or the layout says so itself
    how: str


def split(found: Survey) -> Sides:
    """The data set's own split where it has one that leaks nothing, else one of whole groups."""
    seen = [one for one in found.seen if one.sample.split != "test"]
    prints = [one.print for one in seen if one.print is not None]
    twins = find_twins(prints, ["one"] * len(prints))
    own = tuple(one for one in seen if one.sample.split == "validation")
    if own and found.layout not in _OWN:
        return Sides(own, False, "as its layout splits it")
    if any(one.shows_defect for one in own) and not _leaks(seen, twins):
        return Sides(own, False, "as its folders say")
    runs = _runs([one.sample.image.relative_to(found.root) for one in seen])
    names = runs or [str(number) for number in range(len(seen))]
    for least in _CLOSER:
        closest = [pair for pair in twins if pair.alike >= least]
        held = _drawn(seen, _joined(names, closest))
        if _shows_all(seen, held):
            break
    if not any(seen[number].shows_defect for number in held):
        raise ConfigurationError(
            f"{found.root}: no picture with a defect can be held out without one that is much "
            "like it: add pictures of other runs or items"
        )
    told = "whole runs or items, by their names" if runs else "pictures"
    leaky = " (its own split shows one surface on two sides)" if own else ""
    alike = ", those that are alike together" if closest else ""
    return Sides(tuple(seen[number] for number in held), True, f"{told}{alike}{leaky}")


def _leaks(seen: Sequence[Seen], twins: Iterable[Twins]) -> bool:
    sides = [one.sample.split for one in seen]
    return any(sides[pair.first] != sides[pair.second] for pair in twins)


def _runs(files: Sequence[Path]) -> list[str] | None:
    """The run or item of each picture, if names tell: what comes before the last number, or the
    folder.
    """
    by_name = [re.sub(r"\d+\D*$", "", file.stem) for file in files]
    tells_number = all(re.search(r"\d", name) for name in by_name)
    for names in ([by_name] if tells_number else []) + [[str(file.parent) for file in files]]:
        counts = Counter(names)
        if len(counts) > _FEW_GROUPS and max(counts.values()) <= _LARGEST * len(files):
            return names if len(counts) <= len(files) / 2 else None
    return None


def _joined(names: Sequence[str], twins: Iterable[Twins]) -> list[list[int]]:
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
    for pair in twins:
        root[top(pair.first)] = top(pair.second)
    groups: dict[int, list[int]] = defaultdict(list)
    for number in range(len(names)):
        groups[top(number)].append(number)
    return list(groups.values())


def _shows_all(seen: Sequence[Seen], held: Sequence[int]) -> bool:
    """Whether every class of which there are some is among what is held out."""
    total = Counter(name for one in seen for name in one.classes)
    shown = {name for number in held for name in seen[number].classes}
    return all(name in shown for name, count in total.items() if count >= _SOME)


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
