"""One surface of several cameras: what one sees of a defect and its neighbour the rest is one.

Each camera's verdict stands, and its orders are given, as soon as it is there: nothing here waits
for another camera. What joins it is told with the frame in which it came to be known: a defect of
the surface has one number, and is as large as all cameras together know it to be by then. Where it
is a reason to reject only as a whole, the frame that made it one is NG, and all cameras that saw a
part of it have their actuators reject it. So verdicts only ever grow worse here, and rail is
ordered to leave, never let by.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, count, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Limits
from edge.inspect.inspector import Inspection
from edge.inspect.neighbours import Neighbours
from edge.inspect.traces import Share, Strip
from edge.inspect.verdict import reason_of, reject_stretches
from edge.line_file import Rules
from edge.types import Defect, State, Stretch, Verdict, unite

_Key = tuple[str, int]  # a camera, and its number
_Box = tuple[int, int, int, int]
_MOST_STRIPS = 64  # of one side of a camera, that wait for its neighbour
_MOST_PIECES = 4096  # that another one may yet be joined to; of older ones only the sums are kept
_METRE_UM = 1_000_000
_NEAR = (-1, 0, 1)  # pixels that touch, at a side or at a corner
_KINDS = ("defects", "reported", "let_by")  # of what a verdict tells


class _Size(NamedTuple):
    """How large a thing is, of what was seen of it."""

    stretch: Stretch
    left_um: int
    right_um: int
    own_mm2: float
    seen_mm2: float  # by whoever sees most of it
    area_mm2: float  # what all saw, of which some is the same
    score_mm2: float

    def __add__(self, other: Any) -> _Size:
        return _Size(
            Stretch(
                min(self.stretch.start_um, other.stretch.start_um),
                max(self.stretch.end_um, other.stretch.end_um),
            ),
            min(self.left_um, other.left_um),
            max(self.right_um, other.right_um),
            self.own_mm2 + other.own_mm2,
            max(self.seen_mm2, other.seen_mm2),
            self.area_mm2 + other.area_mm2,
            self.score_mm2 + other.score_mm2,
        )


@dataclass(eq=False)
class _Thing:
    """One defect of the surface, or what may become one."""

    parts: dict[_Key, _Size] = field(default_factory=dict)
    settled: _Size | None = None  # of parts that nothing will be joined to any more
    number: int | None = None  # once it was told
    absorbed: set[int] = field(default_factory=set)  # that were told, and not yet told to be it
    named: Defect | None = None  # the largest part of it that was told, by which it is named
    is_reported: bool = False  # by that, it is no reason to reject

    def size(self) -> _Size | None:
        sizes = [*self.parts.values(), *([] if self.settled is None else [self.settled])]
        if not sizes:
            return None
        whole = sizes[0]
        for size in sizes[1:]:
            whole = whole + size
        return whole

    def seen_by(self, since_um: int) -> list[str]:
        """The cameras that saw a part of it from there on."""
        seen = (key[0] for key, size in self.parts.items() if size.stretch.end_um > since_um)
        return list(dict.fromkeys(seen))

    def settle(self, key: _Key) -> None:
        size = self.parts.pop(key)
        self.settled = size if self.settled is None else self.settled + size

    def take_in(self, other: _Thing) -> None:
        """The other is this."""
        self.parts.update(other.parts)
        if other.settled is not None:
            self.settled = other.settled if self.settled is None else self.settled + other.settled
        self.absorbed |= other.absorbed
        numbers = {each for each in (self.number, other.number) if each is not None}
        if numbers:
            self.number = min(numbers)
            self.absorbed |= numbers - {self.number}
        if other.named is not None:
            self.name_by(other.named, is_reported=other.is_reported)

    def name_by(self, part: Defect, *, is_reported: bool) -> None:
        if self.named is None or part.area_mm2 >= self.named.area_mm2:
            self.named, self.is_reported = part, is_reported


class Surface:
    """Joins what the cameras of one line find. For the main loop's thread."""

    def __init__(self, neighbours: Neighbours, rules: Mapping[str, Rules]) -> None:
        self._neighbours, self._rules = neighbours, rules
        self._unused = count(1)
        self._things: dict[_Key, _Thing] = {}  # the latest last
        self._strips: dict[tuple[str, str], deque[Strip]] = defaultdict(
            lambda: deque(maxlen=_MOST_STRIPS)
        )
        self._rejected: dict[str, list[Stretch]] = defaultdict(list)

    def joined(self, judged: Iterable[Inspection]) -> Iterator[Inspection]:
        """Each of them, with what it shows as part of the surface."""
        for inspection in judged:
            yield self.join(inspection)

    def join(self, inspection: Inspection) -> Inspection:
        """Of a camera that shares no surface, as it is."""
        camera = inspection.camera
        place_um = self._neighbours.places_um.get(camera)
        if place_um is None:
            return inspection
        trace = inspection.trace
        shown = dict[int, Share]()
        if trace is not None:
            for share in trace.shares:
                self._know(camera, share, place_um)
                shown[share.number] = share
            for beside, strip in zip(
                self._neighbours.beside(camera), (trace.left, trace.right), strict=True
            ):
                if beside is not None and strip is not None:
                    self._link(camera, beside, replace(strip, left_um=strip.left_um + place_um))
        telling = _Telling(self, inspection, shown, place_um)
        verdict = telling.verdict()
        elsewhere = telling.rejects_beside()
        self._forget_old(camera, verdict.stretch)
        return replace(inspection, verdict=verdict, beside=elsewhere)

    def thing(self, camera: str, number: int) -> _Thing:
        return self._things.setdefault((camera, number), _Thing())

    def number(self, thing: _Thing) -> int:
        if thing.number is None:
            thing.number = next(self._unused)
        return thing.number

    def counts(self, thing: _Thing, whole: Defect, by: Iterable[str]) -> bool:
        """Whether all of it is a reason to reject, for one of these cameras."""
        return not thing.is_reported and any(
            self._rules[each].reject_if.matches(whole) for each in by
        )

    def newly_rejected(self, camera: str, reached: Iterable[Stretch]) -> tuple[Stretch, ...]:
        """All that is reached, less what this camera has had rejected, on whoever's word."""
        known = self._rejected[camera]
        more = [rest for each in unite(reached) for rest in each.without(known)]
        self._rejected[camera] = unite([*known, *more])
        return tuple(more)

    def _know(self, camera: str, share: Share, place_um: int) -> None:
        key = camera, share.number
        thing = self._things.pop(key, None) or _Thing()
        self._things[key] = thing
        thing.parts[key] = _Size(
            share.stretch,
            share.left_um + place_um,
            share.right_um + place_um,
            share.own_mm2,
            share.area_mm2,
            share.area_mm2,
            share.score_mm2,
        )
        for number in share.absorbed:  # what it covered is in the share by now
            before = self._things.pop((camera, number), None)
            if before is not None:
                before.parts.pop((camera, number), None)
                self._unite(thing, before)

    def _link(self, camera: str, beside: str, strip: Strip) -> None:
        """What touches something that the neighbour has seen is one with it."""
        for other in self._strips[beside, camera]:
            if not strip.reaches(other):
                continue
            for mine, theirs in _touching(strip, other):
                one = self._things.get((camera, mine))
                two = self._things.get((beside, theirs))
                if one is not None and two is not None:
                    self._unite(one, two)
        self._strips[camera, beside].append(strip)

    def _unite(self, one: _Thing, two: _Thing) -> None:
        if one is two:
            return
        one.take_in(two)
        for key, thing in self._things.items():
            if thing is two:
                self._things[key] = one

    def _forget_old(self, camera: str, reached: Stretch) -> None:
        """What this camera had rejected long before; of pieces, those beyond the most."""
        since_um = reached.start_um - _METRE_UM
        rejected = self._rejected[camera]
        self._rejected[camera] = [each for each in rejected if each.end_um > since_um]
        while len(self._things) > _MOST_PIECES:
            key = next(iter(self._things))
            thing = self._things.pop(key)
            if key in thing.parts:
                thing.settle(key)


@dataclass
class _Telling:
    """What one frame shows, as parts of the surface's defects."""

    surface: Surface
    inspection: Inspection
    shown: Mapping[int, Share]
    place_um: int
    counting: dict[_Thing, Defect] = field(default_factory=dict)  # once there is a verdict

    def verdict(self) -> Verdict:
        camera, verdict = self.inspection.camera, self.inspection.verdict
        if self.inspection.mask is None:  # nobody has looked
            self.surface.newly_rejected(camera, [verdict.stretch])
            return verdict
        told = {kind: self._told(kind) for kind in _KINDS}
        for thing, defect in self._untold(chain.from_iterable(told.values())):
            told["reported" if thing.is_reported else "let_by"][thing] = defect
        for thing, defect in list(told["let_by"].items()):
            by = [camera, *thing.seen_by(self._since_um)]
            if thing in told["defects"] or self.surface.counts(thing, defect, by):
                told["defects"].setdefault(thing, defect)
                del told["let_by"][thing]
        defects = tuple(told["defects"].values())
        alone = {reason_of(each) for each in verdict.defects}
        reasons = (
            *(f"{reason_of(each)}, {_place(each)}" for each in defects),
            *(reason for reason in verdict.reasons if reason not in alone),
        )
        joined = replace(
            verdict,
            state=State.NG if defects else verdict.state,
            defects=defects,
            reasons=reasons,
            reported=tuple(told["reported"].values()),
            let_by=tuple(told["let_by"].values()),
        )
        self.counting = told["defects"]
        reached = [*reject_stretches(verdict), *(each.stretch for each in defects)]
        return replace(joined, rejects=self.surface.newly_rejected(camera, reached))

    def rejects_beside(self) -> dict[str, tuple[Stretch, ...]]:
        """By each other camera that saw a part of what counts, over the whole length of it."""
        reached = dict[str, list[Stretch]]()
        for thing, defect in self.counting.items():
            for camera in thing.seen_by(self._since_um):
                # A part that rejects by itself of what is only reported leaves by its own camera.
                if camera != self.inspection.camera and not thing.is_reported:
                    reached.setdefault(camera, []).append(defect.stretch)
        return {
            camera: self.surface.newly_rejected(camera, stretches)
            for camera, stretches in reached.items()
        }

    @property
    def _since_um(self) -> int:
        """What left another camera's view before it is no more of its rail."""
        return self.inspection.verdict.stretch.start_um - _METRE_UM

    def _told(self, kind: str) -> dict[_Thing, Defect]:
        """Each thing once, however many pieces of it the frame shows."""
        found = dict[_Thing, Defect]()
        for defect in getattr(self.inspection.verdict, kind):
            thing = self.surface.thing(self.inspection.camera, defect.number)
            thing.name_by(defect, is_reported=kind == "reported")
            box = defect.box_px
            if thing in found:
                box = _around(found[thing].box_px, box)
            found[thing] = replace(defect, box_px=box)
        return {thing: self._whole(thing, shown) for thing, shown in found.items()}

    def _untold(self, told: Iterable[_Thing]) -> Iterator[tuple[_Thing, Defect]]:
        """What is too small by itself, and part of something that is not."""
        trace, known = self.inspection.trace, set(told)
        if trace is None:
            return
        for share in self.shown.values():
            thing = self.surface.thing(self.inspection.camera, share.number)
            size = thing.size()
            if thing in known or size is None or not _is_above(trace.limits, size):
                continue
            known.add(thing)
            sides = share.left_um, share.right_um
            shown = Defect(share.stretch, *sides, share.area_mm2, 0.0, share.box_px)
            yield thing, self._whole(thing, shown)

    def _whole(self, thing: _Thing, shown: Defect) -> Defect:
        """As large as all of it is known to be; by the name of the largest part."""
        size, named = thing.size(), thing.named
        number = self.surface.number(thing)
        absorbed = tuple(sorted(thing.absorbed))
        thing.absorbed.clear()
        if size is None:  # a part that rejects by itself of what is only reported
            return replace(
                shown,
                left_um=shown.left_um + self.place_um,
                right_um=shown.right_um + self.place_um,
                number=number,
                absorbed=absorbed,
                of_surface=True,
            )
        named = named or shown
        return replace(
            shown,
            stretch=size.stretch,
            left_um=size.left_um,
            right_um=size.right_um,
            # Twice seen it counts once, by whose own the surface is; it never is less than one saw.
            area_mm2=max(size.own_mm2, size.seen_mm2),
            score=size.score_mm2 / size.area_mm2,
            class_name=named.class_name,
            class_score=named.class_score,
            code=named.code,
            number=number,
            absorbed=absorbed,
            of_surface=True,
        )


def _is_above(limits: Limits, size: _Size) -> bool:
    extent_mm = max(size.stretch.length_mm, (size.right_um - size.left_um) / 1000)
    return limits.reached_by(max(size.own_mm2, size.seen_mm2), extent_mm)


def _place(defect: Defect) -> str:
    return f"{defect.left_um / 1000:.0f} to {defect.right_um / 1000:.0f} mm across"


def _around(one: _Box, other: _Box) -> _Box:
    left, top = min(one[0], other[0]), min(one[1], other[1])
    right = max(one[0] + one[2], other[0] + other[2])
    bottom = max(one[1] + one[3], other[1] + other[3])
    return left, top, right - left, bottom - top


def _touching(one: Strip, other: Strip) -> set[tuple[int, int]]:
    """Numbers of pieces that touch each other, of two cameras' views of the same columns."""
    rows, columns = np.nonzero(one.numbers)
    mine = one.numbers[rows, columns]
    along = _pixels(one.start_um + (rows + 0.5) * one.along_um, other.start_um, other.along_um)
    across = _pixels(one.left_um + (columns + 0.5) * one.across_um, other.left_um, other.across_um)
    height, width = other.numbers.shape
    touching = set[tuple[int, int]]()
    for down, right in product(_NEAR, _NEAR):
        y, x = along + down, across + right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        theirs = other.numbers[y[inside], x[inside]]
        met = theirs != 0
        touching.update(zip(mine[inside][met].tolist(), theirs[met].tolist(), strict=True))
    return touching


def _pixels(at_um: NDArray[Any], start_um: float, pixel_um: float) -> NDArray[np.int64]:
    return np.floor((at_um - start_um) / pixel_um).astype(np.int64)
