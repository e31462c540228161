"""A run of frames, inspected as its line would: by the candidate, and beside it by the old bundle.

The clock stands, for each frame, where it stood when the line looked at it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge.assembly.camera import rail_plane
from edge.backtest.cases import Case, Decided, Reject, Run, cut_at_gaps
from edge.backtest.isal_png import decode
from edge.backtest.pictures import beside
from edge.backtest.rows import Row
from edge.cameras.camera import size
from edge.errors import ArchiveError, FrameError
from edge.inspect import Inspector, make_inspector
from edge.line_file import Lookout
from edge.network import Network
from edge.types import Frame, Image, LostFrame, Stretch, unite

MOST_PICTURES = 24  # of a piece; what differs beyond them is in the table without a picture
APART_UM = 50_000  # of what one side rejects: masks of the same defect differ by less
LONGEST_UM = 1_000_000  # of one reject: a bundle that rejects all rail has rejected it many times
_GONE = 3  # pictures in a row that cannot be reached: the archive is not asked for more of a run

Read = Callable[[str], bytes]


class Networks:
    """What frames are judged by; the old one only where somebody named it."""

    def __init__(self, new: Network, old: Network | None) -> None:
        self.new, self.old = new, old

    def check(self, lookout: Lookout) -> None:
        """ConfigurationError where one of them does not fit a line."""
        for each in (self.new, self.old):
            if each is not None:
                make_inspector(lookout, each, lambda: 0, None)

    def close(self) -> None:
        for each in (self.new, self.old):
            if each is not None:
                each.engine.close()


class _Clock:
    def __init__(self) -> None:
        self.ns = 0

    def __call__(self) -> int:
        return self.ns


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """One frame as it was judged anew, and what is against it."""

    case: Case
    old: Decided | None
    new: Decided
    fault: str | None
    picture: bytes | None
    is_lost: bool  # there is no picture of it to be judged


def inspect_run(run: Run, networks: Networks, read: Read) -> list[Row]:
    """A row for each frame. What cannot be read is a fault of its row, and seen as rail that
    nobody looked at.
    """
    pictures, clock = _Pictures(run, read), _Clock()
    new = _inspector(run, networks.new, clock)
    old = None if networks.old is None else _inspector(run, networks.old, clock)
    rows = list[Row]()
    for piece in cut_at_gaps(run.cases):
        new.begin_anew()
        if old is not None:
            old.begin_anew()
        rows += _rows(run, list(_looked_at(piece, new, old, clock, pictures)))
    return rows


def _looked_at(
    piece: Sequence[Case],
    new: Inspector,
    old: Inspector | None,
    clock: _Clock,
    pictures: _Pictures,
) -> Iterator[_Looked]:
    """Each of its frames, in their order."""
    drawn = 0
    for case in piece:
        clock.ns = case.looked_ns
        seen, fault = pictures.seen(case)
        judged = new.inspect(seen)
        now = Decided.of(judged.verdict, judged.bundle)
        before, was = None, case.was
        if old is not None:
            before = old.inspect(seen)
            was = Decided.of(before.verdict, before.bundle)
        picture = None
        if _differs(was, now) and fault is None and drawn < MOST_PICTURES:
            picture, drawn = beside(judged, before, was), drawn + 1
        said = None if fault else was
        yield _Looked(case, said, now, fault, picture, isinstance(seen, LostFrame))


def _inspector(run: Run, network: Network, clock: _Clock) -> Inspector:
    made = make_inspector(run.lookout, network, clock, None)
    return made if run.baseline is None else replace(made, baseline=run.baseline)


class _Pictures:
    """Reads the frames of a run, and gives up where its archive is gone."""

    def __init__(self, run: Run, read: Read) -> None:
        self._run, self._read = run, read
        self._missing, self._why = 0, ""
        kind = run.kind
        self._prepare = rail_plane(run.lookout.camera).rectify if kind == "folder" else None

    def seen(self, case: Case) -> tuple[Frame | LostFrame, str | None]:
        """A frame as its camera gave it, and what is wrong with the archive there."""
        stretch = Stretch(case.start_um, case.end_um)

        def lost(why: str) -> LostFrame:
            return LostFrame(case.index, case.captured_ns, stretch, why)

        if case.picture is None:
            return lost(case.lost or ""), None
        try:
            image = self._image(case.picture, case.colour)
        except (ArchiveError, FrameError) as error:
            return lost(str(error)), str(error)
        if self._run.shape is not None and image.shape != self._run.shape:
            return lost(
                f"image is {size(image.shape)}, the first one is {size(self._run.shape)}"
            ), None
        return Frame(case.index, image, case.captured_ns, stretch, case.across_um), None

    def _image(self, name: str, colour: bool) -> Image:
        if self._missing >= _GONE:
            raise ArchiveError(self._why)
        try:
            data = self._read(name)
        except ArchiveError as error:
            if not isinstance(error.__cause__, FileNotFoundError):  # whose neighbours may be there
                self._missing, self._why = self._missing + 1, str(error)
            raise
        self._missing = 0
        image = decode(f"{self._run.archive}/{name}", data, colour=colour)
        return image if self._prepare is None else self._prepare(image)


def _differs(was: Decided | None, now: Decided) -> bool:
    """Whether the frame is worth a picture."""
    if was is None:
        return False
    return was.state != now.state or any(
        _beyond(reject.stretch, theirs)
        for ours, theirs in ((was.rejects, now.rejects), (now.rejects, was.rejects))
        for reject in ours
    )


def _beyond(stretch: Stretch, others: Iterable[Reject]) -> list[Stretch]:
    """What of it lies well away from all of the others."""
    return list(stretch.without(other.stretch.widened(APART_UM) for other in others))


def _rows(run: Run, looked: list[_Looked]) -> Iterator[Row]:
    """What is rejected by one side alone belongs to the first frame that shows it."""
    old = [each.old.rejects if each.old else () for each in looked]
    new = [each.new.rejects if each.old else () for each in looked]  # what is compared
    newly, no_longer = _alone(new, old), _alone(old, new)
    seen_um = None
    for number, each in enumerate(looked):
        case = each.case
        fresh_um = case.end_um - (case.start_um if seen_um is None else max(case.start_um, seen_um))
        seen_um = case.end_um if seen_um is None else max(seen_um, case.end_um)
        yield Row(
            archive=run.archive,
            kind=run.kind,
            run=run.number,
            camera=run.camera,
            frame=case.index,
            event=case.event,
            utc=case.utc,
            start_um=case.start_um,
            end_um=case.end_um,
            inspected_um=0 if each.is_lost else max(0, fresh_um),
            old_state=each.old.state if each.old else None,
            new_state=None if each.fault else each.new.state,
            old_reasons=list(each.old.reasons) if each.old else [],
            new_reasons=[] if each.fault else list(each.new.reasons),
            old_bundle=each.old.bundle if each.old else None,
            newly_rejected=newly[number],
            no_longer_rejected=no_longer[number],
            people=case.people,
            has_defect=case.has_defect,
            fault=each.fault,
            picture=each.picture,
        )


def _alone(some: list[tuple[Reject, ...]], others: list[tuple[Reject, ...]]) -> list[list[str]]:
    """Of each frame, the labels of what one side rejects there first, well away from all that the
    other rejects. What is only larger is no reject of its own; what is long is several.
    """
    theirs = [reject for rejects in others for reject in rejects]
    found: list[list[str]] = [[] for _ in some]
    for whole in unite(reject.stretch for rejects in some for reject in rejects):
        for stretch in _beyond(whole, theirs):
            parts = [
                (number, reject)
                for number, rejects in enumerate(some)
                for reject in rejects
                if reject.stretch.overlaps(stretch)
            ]
            largest = max(parts, key=lambda part: part[1].area_mm2)[1]
            length_um = stretch.end_um - stretch.start_um
            times = -(-length_um // LONGEST_UM)
            found[min(number for number, _ in parts)] += [largest.label] * times
    return found
