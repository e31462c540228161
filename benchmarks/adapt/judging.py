"""The old and the new bundle at every picture of which people said what it is.

Frames follow each other or overlap: what lies on the seam of two is found where either finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from benchmarks.adapt.people import Said
from benchmarks.adapt.written import Drawn
from edge.assembly.camera import rail_plane
from edge.backtest.cases import Decided
from edge.backtest.pictures import beside
from edge.cameras import as_it_is
from edge.inspect import Inspection, PictureInspector, by_line
from edge.network import Network
from edge.types import State, Stretch, Verdict

_SEAM_UM = 1  # what goes on in the next frame is the same thing


@dataclass(frozen=True)
class Judged:
    """One event; each picture by itself, by the rules of its line."""

    event: int
    store: str
    camera: str
    said: str
    side: str
    has_defect: bool
    wanted_class: str | None
    old: str  # the verdict's state
    new: str
    old_classes: tuple[str, ...]
    new_classes: tuple[str, ...]
    picture: bytes | None  # JPEG, old on the left; of a verdict that changed
    # It rejects what is truly there, in this frame or in another that shows it.
    old_finds: bool = False
    new_finds: bool = False

    def wrong(self, *, new: bool) -> str | None:
        """What is wrong with a verdict, by people's word."""
        state, classes = (self.new, self.new_classes) if new else (self.old, self.old_classes)
        rejected = state != State.OK.value
        if rejected and not self.has_defect:
            return "false reject"
        if self.has_defect and not (self.new_finds if new else self.old_finds):
            return "missed"
        if self.wanted_class is not None and self.wanted_class not in classes:
            return "wrong class"
        return None


class _Thing(NamedTuple):
    """What is truly there, and where on its rail."""

    rail: tuple[str, str, int]  # store, camera, run
    stretch: Stretch
    columns: range

    def is_shown_by(self, other: _Thing) -> bool:
        here, there = self.columns, other.columns
        return (
            self.rail == other.rail
            and self.stretch.widened(_SEAM_UM).overlaps(other.stretch)
            and max(here.start, there.start) < min(here.stop, there.stop)
        )


class _Looked(NamedTuple):
    """One event, and which of its things each bundle rejects in it."""

    judged: Judged
    things: list[_Thing]
    old: list[_Thing]
    new: list[_Thing]


def judged(said: Sequence[Said], old: Network, new: Network) -> Iterator[Judged]:
    """In their order."""
    looked = [_look(each, old, new) for each in said]
    by_old = [thing for each in looked for thing in each.old]
    by_new = [thing for each in looked for thing in each.new]
    for one in looked:
        yield replace(
            one.judged, old_finds=_is_found(one, by_old), new_finds=_is_found(one, by_new)
        )


def _is_found(one: _Looked, found: list[_Thing]) -> bool:
    return any(thing.is_shown_by(each) for thing in one.things for each in found)


def _look(each: Said, old: Network, new: Network) -> _Looked:
    image = each.image(colour=old.bundle.manifest.input.channels == 3)
    before, now = (_inspector(each, network).inspect(image) for network in (old, new))
    classes = [_classes(of.verdict) for of in (before, now)]
    changed = before.verdict.state is not now.verdict.state or classes[0] != classes[1]
    truth = [drawn for drawn in each.drawn() if drawn.mask.any()]
    things = [_thing(each, drawn) for drawn in truth]
    found_old, found_new = (
        [thing for thing, drawn in zip(things, truth, strict=True) if _hits(of, drawn)]
        for of in (before, now)
    )
    was = Decided.of(before.verdict, old.bundle.digest)
    made = Judged(
        event=each.event.id,
        store=str(each.config_store.root),
        camera=each.event.camera,
        said=each.review.said,
        side=each.side,
        has_defect=each.has_defect,
        wanted_class=each.wanted_class,
        old=before.verdict.state.value,
        new=now.verdict.state.value,
        old_classes=classes[0],
        new_classes=classes[1],
        picture=beside(now, before, was) if changed else None,
    )
    return _Looked(made, things, found_old, found_new)


def _thing(said: Said, drawn: Drawn) -> _Thing:
    along_um = rail_plane(said.lookout.camera).along_um
    rows, columns = (np.flatnonzero(drawn.mask.any(axis=axis)) for axis in (1, 0))
    start_um = said.event.start_um
    stretch = Stretch(
        start_um + round(int(rows[0]) * along_um), start_um + round((int(rows[-1]) + 1) * along_um)
    )
    rail = (str(said.config_store.root), said.event.camera, said.event.run)
    return _Thing(rail, stretch, range(int(columns[0]), int(columns[-1]) + 1))


def _inspector(said: Said, network: Network) -> PictureInspector:
    plane = rail_plane(said.lookout.camera)
    # What is kept in a store was rectified already.
    return by_line(said.lookout, network, (plane.along_um, plane.across_um), as_it_is)


def _hits(looked: Inspection, truth: Drawn) -> bool:
    """A frame that is rejected for paint alone shows no defect found; UNKNOWN rejects all of it."""
    verdict = looked.verdict
    if verdict.state is not State.NG or looked.mask is None:
        return verdict.state is State.UNKNOWN
    touched = looked.mask.binary & (truth.mask > 0)
    boxes = (defect.box_px for defect in verdict.defects)
    return any(
        touched[top : top + height, left : left + width].any() for left, top, width, height in boxes
    )


def _classes(verdict: Verdict) -> tuple[str, ...]:
    return tuple(sorted({defect.label for defect in verdict.defects}))


@dataclass(frozen=True)
class Count:
    """Of some events, those that each bundle judges wrongly."""

    of: int
    false_old: int
    false_new: int
    missed_old: int
    missed_new: int
    misnamed_old: int
    misnamed_new: int

    @property
    def wrong_old(self) -> int:
        return self.false_old + self.missed_old + self.misnamed_old

    @property
    def wrong_new(self) -> int:
        return self.false_new + self.missed_new + self.misnamed_new


def count(some: Iterable[Judged]) -> Count:
    """What is wrong, by kind."""
    events = list(some)

    def kind(name: str, *, new: bool) -> int:
        return sum(each.wrong(new=new) == name for each in events)

    return Count(
        of=len(events),
        false_old=kind("false reject", new=False),
        false_new=kind("false reject", new=True),
        missed_old=kind("missed", new=False),
        missed_new=kind("missed", new=True),
        misnamed_old=kind("wrong class", new=False),
        misnamed_new=kind("wrong class", new=True),
    )
