"""From the encoder's axis to what people call a place, by what was said while the line ran.

Along a track, chainage is linear between two anchors, and beyond them by the wheel as all of them
together show it. Along a coil, a place is so far from its head and, once that is known, from its
tail. A map is a value: another mark makes another map, and the position of nothing changes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edge.places.mark import NOWHERE, Along, Kind, Mark, Named, km

_PARTS = 1_000_000_000


@dataclass(frozen=True)
class PlaceMap:
    """Of one run; `marks` are those that are believed, in any order."""

    along: Along
    falls: bool = False  # whether chainage falls as the encoder counts up
    marks: tuple[Mark, ...] = ()

    def with_mark(self, mark: Mark) -> PlaceMap:
        return self if mark.refused else replace(self, marks=(*self.marks, mark))

    def named(self, position_um: int) -> Named:
        """What is said of a position; Named() where nothing is."""
        bound = self._bound_at(position_um)
        if self.along == "coil":
            return NOWHERE if bound is None else self._in_coil(bound, position_um)
        name = None if bound is None else self._bounds[bound].name
        chainage_um = self.chainage_um(position_um)
        if chainage_um is None:
            return NOWHERE if name is None else Named(name, None, name)
        text = km(chainage_um) if name is None else f"{name}, {km(chainage_um)}"
        return Named(name, chainage_um, text)

    def chainage_um(self, position_um: int) -> int | None:
        """Along the track; None before anybody has said where that is."""
        section = self._section_at(position_um)
        if not section:
            return None
        after = bisect_right(section, position_um, key=lambda mark: mark.position_um)
        if 0 < after < len(section):
            return _between(section[after - 1], section[after], position_um)
        nearest = section[0] if after == 0 else section[-1]
        assert nearest.chainage_um is not None
        gone_um = position_um - nearest.position_um
        return nearest.chainage_um + gone_um * self._parts // _PARTS

    @property
    def wheel_error(self) -> float | None:
        """How much too far the encoder counts, as a share; None of fewer than two anchors."""
        counted_um, true_um = self._travelled
        return counted_um / true_um - 1 if true_um else None

    def refusal(self, mark: Mark, max_wheel_error: float, tolerance_um: int) -> str | None:
        """Why an anchor cannot be true beside its neighbours."""
        if mark.kind is not Kind.ANCHOR:
            return None
        section = self._section_at(mark.position_um)
        after = bisect_right(section, mark.position_um, key=lambda each: each.position_um)
        for near in section[max(0, after - 1) : after + 1]:
            assert near.chainage_um is not None and mark.chainage_um is not None
            gone_um = mark.position_um - near.position_um
            expected_um = near.chainage_um + (-gone_um if self.falls else gone_um)
            off_um = abs(mark.chainage_um - expected_um)
            if off_um > tolerance_um + max_wheel_error * abs(gone_um):
                return (
                    f"{km(mark.chainage_um)} is {off_um / 1e6:.1f} m from where the encoder has it "
                    f"since {km(near.chainage_um)} ({km(expected_um)}): press at the right post, "
                    "or say that the chainage leaps here"
                )
        return None

    def runs_of(self, name: str) -> list[tuple[int, int | None]]:
        """From where to where the rail or coil of this name is; None: to the end of the run."""
        ends = [mark.position_um for mark in self._bounds[1:]]
        return [
            (mark.position_um, end_um)
            for mark, end_um in zip(self._bounds, [*ends, None], strict=False)
            if mark.kind is Kind.NAME and mark.name == name
        ]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """In order along the run, each once."""
        return tuple(dict.fromkeys(mark.name for mark in self._bounds if mark.name is not None))

    @cached_property
    def _bounds(self) -> tuple[Mark, ...]:
        """Where a name begins or ends; of two at one position the later one holds."""
        bounds = [mark for mark in self.marks if mark.kind in {Kind.NAME, Kind.TAIL}]
        return tuple(_by_position(bounds))

    @cached_property
    def _sections(self) -> tuple[tuple[Mark, ...], ...]:
        """Anchors between which the chainage goes on without a leap."""
        sections: list[list[Mark]] = []
        anchors = [mark for mark in self.marks if mark.kind in {Kind.ANCHOR, Kind.JUMP}]
        for mark in _by_position(anchors):
            if not sections or mark.kind is Kind.JUMP:
                sections.append([])
            sections[-1].append(mark)
        return tuple(map(tuple, sections))

    def _section_at(self, position_um: int) -> tuple[Mark, ...]:
        """What was before the first leap belongs to the first section, anchors or not."""
        begun = [each for each in self._sections if each[0].position_um <= position_um]
        return (begun or list(self._sections[:1]) or [()])[-1]

    @cached_property
    def _travelled(self) -> tuple[int, int]:
        """Counted and true micrometres between the outermost anchors of each section."""
        pairs = [(each[0], each[-1]) for each in self._sections]
        counted_um = sum(last.position_um - first.position_um for first, last in pairs)
        true_um = sum(
            abs((last.chainage_um or 0) - (first.chainage_um or 0)) for first, last in pairs
        )
        return counted_um, true_um

    @cached_property
    def _parts(self) -> int:
        """Chainage for a thousand metres of the encoder's, in micrometres."""
        counted_um, true_um = self._travelled
        parts = _PARTS if not counted_um else round(true_um * _PARTS / counted_um)
        return -parts if self.falls else parts

    def _bound_at(self, position_um: int) -> int | None:
        """Which name has begun by then; None where none has, or it has ended."""
        number = bisect_right(self._bounds, position_um, key=lambda mark: mark.position_um) - 1
        begun = number >= 0 and self._bounds[number].kind is Kind.NAME
        return number if begun else None

    def _in_coil(self, number: int, position_um: int) -> Named:
        begun = self._bounds[number]
        from_head_um = position_um - begun.position_um
        text = f"{begun.name}, {from_head_um / 1e6:.3f} m from its head"
        if number + 1 < len(self._bounds):
            left_um = self._bounds[number + 1].position_um - position_um
            text += f", {left_um / 1e6:.3f} m from its tail"
        return Named(begun.name, from_head_um, text)


def _by_position(marks: Iterable[Mark]) -> list[Mark]:
    """What was said later at the same position takes the place of what was said before."""
    return sorted({mark.position_um: mark for mark in marks}.values(), key=lambda m: m.position_um)


def _between(before: Mark, after: Mark, position_um: int) -> int:
    assert before.chainage_um is not None and after.chainage_um is not None
    counted_um = after.position_um - before.position_um
    gone_um = position_um - before.position_um
    return before.chainage_um + (after.chainage_um - before.chainage_um) * gone_um // counted_um


def map_of(along: Along, falls: bool, marks: Sequence[Mark]) -> PlaceMap:
    """Of all that was said, what is believed."""
    return PlaceMap(along, falls, tuple(mark for mark in marks if mark.refused is None))
