"""From masks to defects with their classes: those that count, and what is only reported.

Whatever is found is followed along the strip as one piece, and is a defect as it is, unless names
say otherwise. The parts of it that reject by themselves are followed, too, so that a crush beside a
joint is told from the joint: where all the rest of a piece is surely of a class that is only
reported, the parts are the defects, and the rest is reported. So nothing that was found gets lost,
however names may part it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import NamedTuple

from edge.bundle import Limits
from edge.inspect.naming import NAMELESS, Naming, rejecting
from edge.inspect.pieces import Across, Piece, added
from edge.inspect.seams import Seams
from edge.inspect.traces import Trace
from edge.types import Defect, Frame, Mask


class Found(NamedTuple):
    """What one frame shows, in order along the strip."""

    defects: list[Defect]
    reported: list[Defect]  # each surely of a class that is only reported


@dataclass(slots=True)
class _Part:
    """What rejects by itself of a piece, as far as it is known by now."""

    number: int
    whole: int  # the piece's number
    area_mm2: float
    shares_mm2: Mapping[str, float]
    told: frozenset[int]  # the numbers it is known by as a defect of its own
    seen: Defect | None  # in the latest frame


@dataclass
class Finder:
    """Follows what is found along the strip, frame by frame; the numbers begin at 1."""

    _wholes: Seams = field(init=False)
    _rejecting: Seams = field(init=False)
    _parts: Sequence[_Part] = field(default=(), init=False)  # of pieces that go on

    def __post_init__(self) -> None:
        unused = count(1)
        self._wholes, self._rejecting = Seams(unused), Seams(unused)

    def forget(self) -> None:
        """Nobody saw what comes next: nothing merges across it."""
        self._wholes.forget()
        self._rejecting.forget()

    @property
    def trace(self) -> Trace | None:
        """What of the latest frame another camera may see the rest of."""
        return self._wholes.trace

    def find(
        self,
        frame: Frame,
        mask: Mask,
        limits: Limits,
        naming: Naming = NAMELESS,
        across: Across | None = None,
    ) -> Found:
        """What lies in the rows that are this frame's own, as far as it is known by now."""
        wholes = self._wholes.follow(frame, mask, limits, across)
        inside = None if self._wholes.is_blank else rejecting(mask, naming)
        self._parts = self._known_by_now(wholes, self._rejecting.follow(frame, inside, limits))
        parts_of = defaultdict[int, list[_Part]](list)
        for part in self._parts:
            parts_of[part.whole].append(part)
        found = Found([], [])
        for whole in wholes:
            piece, parts = self._wholes.piece_of(whole.number), parts_of[whole.number]
            rest = _rest(whole, piece, parts, naming)
            if rest.class_name in naming.report_only and rest.area_mm2 >= limits.min_area_mm2:
                found.reported.append(rest)
                found.defects.extend(_told(parts, naming))
            else:
                found.defects.append(_as_it_is(whole, piece, parts, naming))
        found.defects.sort(key=lambda each: (each.stretch.start_um, each.left_um))
        return found

    def _known_by_now(self, wholes: Sequence[Defect], seen: Iterable[Defect]) -> list[_Part]:
        """The parts of what goes on, each by the numbers that it and its piece have by now."""
        now = {number: each.number for each in wholes for number in (each.number, *each.absorbed)}
        known = {part.number: part for part in self._parts if part.whole in now}
        for part in known.values():
            part.whole, part.seen = now[part.whole], None
        for each in seen:
            piece = self._rejecting.piece_of(each.number)
            before = [known.pop(number, None) for number in (each.number, *each.absorbed)]
            known[each.number] = _Part(
                number=each.number,
                whole=self._wholes.number_at(self._rejecting.pixel_of(each.number)),
                area_mm2=piece.area_mm2,
                shares_mm2=piece.shares_mm2,
                told=frozenset[int]().union(*(part.told for part in before if part is not None)),
                seen=each,
            )
        return list(known.values())


def find(frame: Frame, mask: Mask, limits: Limits, naming: Naming = NAMELESS) -> Found:
    """What one frame shows by itself."""
    return Finder().find(frame, mask, limits, naming)


def _rest(whole: Defect, piece: Piece, parts: Sequence[_Part], naming: Naming) -> Defect:
    """A piece without its parts, at the place of both."""
    taken = added([part.shares_mm2 for part in parts])
    shares_mm2 = {name: mm2 - taken.get(name, 0.0) for name, mm2 in piece.shares_mm2.items()}
    area_mm2 = piece.area_mm2 - sum(part.area_mm2 for part in parts)
    return naming.named(replace(whole, area_mm2=area_mm2), shares_mm2)


def _told(parts: Sequence[_Part], naming: Naming) -> Iterator[Defect]:
    """Those that the latest frame shows, as defects of their own."""
    for part in parts:
        if part.seen is not None:
            part.told = frozenset({part.number})
            yield naming.named_defect(part.seen, part.shares_mm2)


def _as_it_is(whole: Defect, piece: Piece, parts: Sequence[_Part], naming: Naming) -> Defect:
    """A piece that counts, with the parts that were told before; they are what it is named by."""
    told = frozenset[int]().union(*(part.told for part in parts))
    for part in parts:
        part.told = frozenset()
    if told:
        whole = replace(whole, absorbed=tuple(sorted({*whole.absorbed, *told})))
    if parts:
        return naming.named_defect(whole, added([part.shares_mm2 for part in parts]))
    return naming.named(whole, piece.shares_mm2)
