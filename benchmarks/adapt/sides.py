"""What is learned from, and what is held out: runs, so that no thing is on both sides.

The newest runs are held out, about a quarter of what was said. Of one run alone it is its newest
rail; what lies within a metre of that is on neither side.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from benchmarks.adapt.people import Said
from edge.errors import UsageError

APART_UM = 1_000_000
SHARE = 0.25  # that is held out


def held_out_by_run(said: Sequence[Said]) -> list[Said]:
    """Each on its side, in the order of the rail."""
    ordered = sorted(said, key=lambda each: (each.event.utc, each.store, each.event.id))
    runs = list(dict.fromkeys((each.store, each.event.run) for each in ordered))
    if len(runs) > 1:
        held = _newest(ordered, runs)
        return [
            replace(each, side="val" if (each.store, each.event.run) in held else "train")
            for each in ordered
        ]
    return _newest_rail(ordered)


def _newest(ordered: Sequence[Said], runs: Sequence[Hashable]) -> set[Hashable]:
    """So many runs from the last on that about as much of each kind is held out as should be."""

    def off(count: int) -> float:
        held = set(runs[-count:])
        total = 0.0
        for kind in (False, True):
            own = [(each.store, each.event.run) in held for each in ordered if _is(each, kind)]
            total += abs(sum(own) / len(own) - SHARE) if own else 0.0
        return total

    return set(runs[-min(range(1, len(runs)), key=off) :])


def _is(said: Said, defect: bool) -> bool:
    return said.has_defect is defect


def _newest_rail(ordered: Sequence[Said]) -> list[Said]:
    along = sorted(ordered, key=lambda each: each.event.start_um)
    first = along[len(along) - max(1, round(len(along) * SHARE))].event.start_um
    sided = [
        replace(each, side=_side(each.event.start_um, each.event.end_um, first)) for each in along
    ]
    if not any(each.side == "train" for each in sided):
        raise UsageError(
            "all that was reviewed lies within a metre of rail: review events of another run, or "
            "from further along this one"
        )
    return sided


def _side(start_um: int, end_um: int, first_um: int) -> str:
    if start_um >= first_um:
        return "val"
    return "train" if end_um + APART_UM <= first_um else "between"
