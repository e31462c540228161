"""Whether the new bundle is better: on what was held out of people's word, and nowhere worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from scipy.special import bdtr

from benchmarks.adapt.asked import Limits
from benchmarks.adapt.judging import Count
from edge.certificate import Answer, Certificate

_BY_CHANCE = 0.05  # a growth of false calls that is likelier than this says nothing


@dataclass(frozen=True)
class Guarded:
    """One part of the guard set, before and after."""

    old: Certificate
    new: Certificate

    def classes(self) -> dict[str, tuple[Answer, Answer]]:
        """Of each class what was found, before and after."""
        before, after = (of.main().by_class for of in (self.old, self.new))
        return {name: (before[name], after[name]) for name in before if name in after}


def objections(held_out: Count, guards: Mapping[str, Guarded], limits: Limits) -> Iterator[str]:
    """Why the new bundle is not better; nothing where it is."""
    yield from _by_people(held_out, limits)
    for name, guard in guards.items():
        for found in (*_lost(guard, limits), *_size(guard, limits), *_false_calls(guard, limits)):
            yield f"{name}: {found}"


def _by_people(held_out: Count, limits: Limits) -> Iterator[str]:
    old, new = held_out.wrong_old, held_out.wrong_new
    if old == 0:
        yield (
            f"the old bundle judges all {held_out.of} held-out events rightly, so nothing shows "
            "that another is better: review more of what it judges wrongly"
        )
    elif new >= old:
        yield (
            f"{new} of {held_out.of} held-out events are judged wrongly, and {old} were before: "
            "review more of the kind, or train for longer (--iterations)"
        )
    if held_out.missed_new > held_out.missed_old + limits.let_by:
        yield (
            f"{held_out.missed_new} held-out events with a defect are let by, and "
            f"{held_out.missed_old} were before: mark more defects"
        )


def _lost(guard: Guarded, limits: Limits) -> Iterator[str]:
    for name, (old, new) in guard.classes().items():
        lost = _points_lost(old, new)
        if lost > _whole(limits.class_points, old.n):
            yield (
                f"of {name} {new.found} of {new.n} are found, and {old.found} of {old.n} were "
                f"before: {lost:.1f} points less, and {limits.class_points:g} may be lost"
            )


def _points_lost(old: Answer, new: Answer) -> float:
    return 100 * (old.found / old.n - new.found / new.n)


def _whole(points: float, of: int) -> float:
    """As many points as so many defects are, up to the next whole one."""
    return 100 * ceil(points * of / 100 - 1e-9) / of + 1e-9


def _size(guard: Guarded, limits: Limits) -> Iterator[str]:
    old, new = (of.main().of_all for of in (guard.old, guard.new))
    if old.a90_95 is not None and new.a90_95 is not None:
        if new.a90_95 > old.a90_95 + limits.a90_95_mm:
            yield f"a90/95 grows from {old.a90_95:.2f} to {new.a90_95:.2f} mm"
    elif old.n and new.n and _points_lost(old, new) > _whole(limits.class_points, old.n):
        yield (
            f"{new.found} of {new.n} are found, and {old.found} were before; a90/95 cannot be told"
        )


def _false_calls(guard: Guarded, limits: Limits) -> Iterator[str]:
    old, new = guard.old.false_calls, guard.new.false_calls
    if old is None or new is None or new.count <= old.count:
        return
    # Were they as frequent as before, each would as soon be the one's as the other's.
    by_chance = 1 - float(bdtr(new.count - 1, old.count + new.count, 0.5))
    more_per_km = 1000 * (new.count - old.count) / new.inspected_m
    if by_chance < _BY_CHANCE and more_per_km > limits.calls_per_km:
        yield (
            f"{new.count} false calls in {new.inspected_m:.0f} m, and {old.count} were before: "
            f"{more_per_km:.0f} more in a kilometre, and {limits.calls_per_km:g} may be"
        )
