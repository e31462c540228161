"""One run held against another: what is new, what is gone, what has grown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.comparison.alignment import Laid, Seen, align
from edge.errors import TracksideError
from edge.store import Run, Thing, Wanted, read_account, scan_events, things_of

GROWN = 1.3  # times its area or its extent; two looks at one defect differ by less
_LEAST_GROWTH = 1.0  # mm2 or mm


@dataclass(frozen=True, slots=True)
class Pass:
    """What was found in a run, each thing once, and what rail each camera saw."""

    things: Sequence[Thing]
    saw_um: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same thing in both."""

    before: Thing
    after: Thing

    @property
    def ratio(self) -> float:
        """How much larger it has become, by area or extent, whichever is more."""
        before, after = self.before.defect, self.after.defect
        area = after.area_mm2 / max(before.area_mm2, 0.01)
        return max(area, after.extent_mm / max(before.extent_mm, 0.01))

    def has_grown(self, ratio: float) -> bool:
        """By more than two looks at one defect differ."""
        before, after = self.before.defect, self.after.defect
        more = max(after.area_mm2 - before.area_mm2, after.extent_mm - before.extent_mm)
        return self.ratio >= ratio and more >= _LEAST_GROWTH


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that was found in either of them."""

    pairs: tuple[Pair, ...]
    new: tuple[Thing, ...]
    gone: tuple[Thing, ...]
    elsewhere: int  # on rail that the other run did not see, or that nothing lays on it
    stretched: float | None  # the second run's metre, in the first's; None of one pair

    def grown(self, ratio: float = GROWN) -> list[Pair]:
        """Those that have, the most first."""
        found = [pair for pair in self.pairs if pair.has_grown(ratio)]
        return sorted(found, key=lambda pair: -pair.ratio)


def read_pass(store: Path, run: Run) -> Pass:
    """Of a store's run; StoreError where it cannot be read."""
    saw_um: dict[str, tuple[int, int]] = {}
    for part in read_account(store, began=run.began):
        start_um, end_um = saw_um.get(part.camera, (part.start_um, part.end_um))
        saw_um[part.camera] = min(start_um, part.start_um), max(end_um, part.end_um)
    return Pass(things_of(scan_events(store, Wanted(run=run.run))), saw_um)


def compare(one: Pass, two: Pass, shift_mm: float = 0) -> Comparison:
    """Surface by surface: of cameras that share one, either may have seen a defect on their border
    last. TracksideError where nothing of the one is found again in the other.
    """
    each = [
        _of_surface(_Looked(one, surface), _Looked(two, surface), shift_mm)
        for surface in sorted({*map(_surface, one.things), *map(_surface, two.things)})
    ]
    known = [found for found in each if found is not None]
    pairs = tuple(pair for found in known for pair in found.pairs)
    if not pairs and (one.things or two.things):
        raise TracksideError(
            "nothing of the one run is found again in the other: name two runs over the same rail, "
            "and say with --shift-m how much greater the second's places are"
        )
    new = tuple(thing for found in known for thing in found.new)
    gone = tuple(thing for found in known for thing in found.gone)
    slopes = [found.stretched for found in known if found.stretched is not None]
    return Comparison(
        pairs,
        new,
        gone,
        elsewhere=len(one.things) + len(two.things) - 2 * len(pairs) - len(new) - len(gone),
        stretched=sum(slopes) / len(slopes) if slopes else None,
    )


class _Looked:
    """What a run found of one surface, along it."""

    def __init__(self, of: Pass, surface: str) -> None:
        things = [thing for thing in of.things if _surface(thing) == surface]
        self.things = sorted(things, key=_middle_mm)
        self.seen = [*map(_seen, self.things)]
        self._saw_um = of.saw_um

    def would_have_seen(self, thing: Thing, at_mm: float) -> bool:
        """Of the other run's, by the camera that saw it there, where it lies in this one."""
        start_um, end_um = self._saw_um.get(thing.camera, (0, 0))
        return start_um <= at_mm * 1000 <= end_um


def _surface(thing: Thing) -> str:
    """That of the cameras that share one, or the camera's own."""
    return "" if thing.defect.of_surface else thing.camera


def _of_surface(one: _Looked, two: _Looked, shift_mm: float) -> Comparison | None:
    matched = align(one.seen, two.seen, shift_mm)
    if not matched:
        return None
    there = Laid(one.seen, two.seen, matched)
    back = Laid(two.seen, one.seen, [(j, i) for i, j in matched])
    return Comparison(
        pairs=tuple(Pair(one.things[i], two.things[j]) for i, j in matched),
        new=tuple(_alone(two, {j for _, j in matched}, back, one)),
        gone=tuple(_alone(one, {i for i, _ in matched}, there, two)),
        elsewhere=0,
        stretched=there.slope if len(matched) > 1 else None,
    )


def _alone(of: _Looked, matched: set[int], laid: Laid, other: _Looked) -> Iterator[Thing]:
    """Those without a partner, where the other run would have seen them."""
    for number, thing in enumerate(of.things):
        if number not in matched and other.would_have_seen(thing, laid(_middle_mm(thing))):
            yield thing


def _seen(thing: Thing) -> Seen:
    of = thing.defect
    return Seen(
        along_mm=_middle_mm(thing),
        across_mm=(of.left_um + of.right_um) / 2000,
        length_mm=of.length_mm,
        width_mm=of.width_mm,
        area_mm2=of.area_mm2,
        class_name=of.class_name,
    )


def _middle_mm(thing: Thing) -> float:
    stretch = thing.defect.stretch
    return (stretch.start_um + stretch.end_um) / 2000
