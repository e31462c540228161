"""When which fault comes: the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

_WARM_UP, _CALM = (0.15, 120.0), (0.12, 120.0)  # share of the run, and at most so many seconds
_SLOT_S = (3.0, 20.0)  # a fault and the recovery from it
_SHARE = (0.25, 0.5)  # of its slot that a fault lasts
# By then all that the line remembers is full: the page's ten minutes, the latest outcomes, the
# store's disk. Until it is, memory grows by its nature.
_FULL_S = 900.0


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault to come, in seconds from the line's first frame."""

    fault: str
    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """A warm-up, fault after fault, and a calm end in which all must have recovered."""

    settled_s: float
    steady_s: float  # no memory is taken for the first time any more
    faults: tuple[Planned, ...]
    end_s: float


def schedule(
    faults: Sequence[str], seconds: float, seed: int, *, more_at_first: Sequence[str] = ()
) -> Schedule:
    """Each fault once before any comes again, in another order each time."""
    warm_up_s, calm_s = (min(share * seconds, most) for share, most in (_WARM_UP, _CALM))
    room_s = seconds - warm_up_s - calm_s
    if not faults:
        return Schedule(warm_up_s, _FULL_S, (), seconds)
    first = [*faults, *more_at_first]
    slot_s = min(max(room_s / len(first), _SLOT_S[0]), _SLOT_S[1])
    chance = random.Random(seed)
    planned: list[Planned] = []
    slots = int(room_s / slot_s + 1e-9)
    while len(planned) < slots:
        names = faults if planned else first
        for fault in chance.sample(names, len(names)):
            begin_s = warm_up_s + len(planned) * slot_s
            planned.append(Planned(fault, begin_s, begin_s + slot_s * chance.uniform(*_SHARE)))
    steady_s = max(warm_up_s + len(first) * slot_s, _FULL_S)  # each fault was there once
    return Schedule(warm_up_s, steady_s, tuple(planned[:slots]), seconds)
