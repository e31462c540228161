"""What an archive holds: recordings, kept frames and folders of pictures, as runs of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from edge.assembly.camera import rail_plane
from edge.backtest.archive import Place, fetched, open_place
from edge.backtest.cases import Case, Decided, Kind, Reject, Run, in_runs
from edge.backtest.recorded import RECORDING, recorded_runs
from edge.cameras.camera import EndToEnd
from edge.cameras.folder_camera import in_natural_order
from edge.errors import (
    ArchiveError,
    FrameError,
    StoreError,
    TracksideError,
    UsageError,
)
from edge.files.image_file import IMAGE_SUFFIXES, decode_image
from edge.inspect import Baseline, read_baseline
from edge.line_file import DATABASE, LineSettings, Lookout, read_line
from edge.review import REVIEWS, Review, latest_reviews
from edge.review.side_file import Key
from edge.store import read_events
from edge.store.event import Event
from edge.store.pictures import FRAME
from edge.store.pictures import picture_name as event_picture_name
from edge.types import State

_DEEPEST = 4  # folders within folders, in which an archive is looked for


@dataclass(frozen=True)
class ByLine:
    """The line file that frames are judged by whose archive says nothing of that."""

    config: LineSettings | None
    camera: str | None  # of a folder of pictures, where the line has several

    def line(self, url: str) -> LineSettings:
        if self.config is None:
            raise UsageError(
                f"{url} does not say how its frames are judged: name the line file with --line"
            )
        return self.config


@dataclass
class Listed:
    """What was found in one archive, and what could not be read of it."""

    runs: list[Run]
    faults: list[str]


def list_archive(given: str, by: ByLine) -> Listed:
    """The runs of an archive; what cannot be read of it is told, and the rest is there.

    UsageError where a line file is needed and not given.
    """
    if given.endswith((".yaml", ".yml")) and "://" not in given:
        config = read_line(Path(given))
        if config.store is None:
            raise UsageError(f"{given} keeps no events: give a line file with a `store:`")
        by, place = ByLine(config, by.camera), open_place(str(config.store.path))
    else:
        place = open_place(given)
    listed, kinds = Listed([], []), 0
    try:
        for kind, found in _found(place, _DEEPEST):
            kinds += 1
            try:
                listed.runs += _READERS[kind](found, by, listed.faults)
            except UsageError:
                raise
            except TracksideError as error:
                listed.faults.append(str(error))
    except ArchiveError as error:
        listed.faults.append(str(error))
        return listed
    if not kinds:
        listed.faults.append(f"{given} holds no recording, no store and no picture")
    return listed


def _found(place: Place, deepest: int) -> Iterator[tuple[Kind, Place]]:
    names = place.names()
    if RECORDING in names:
        yield "recording", place
    elif DATABASE in names:
        yield "store", place
    elif any(_is_picture(name) for name in names):
        yield "folder", place
    elif deepest:
        for name in place.folders():
            yield from _found(place.folder(name), deepest - 1)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")


# --- a store -------------------------------------------------------------------------------------


def _kept(place: Place, by: ByLine, faults: list[str]) -> list[Run]:
    config = by.line(place.url)
    with fetched(place, [DATABASE, f"{DATABASE}-wal", REVIEWS]) as folder:
        events = [event for event in read_events(folder) if FRAME in event.pictures]
        reviews = _said(folder, faults)
    lookouts = {each.name: each for each in config.lookouts}
    runs = list[Run]()
    for (number, camera), group in groupby(
        sorted(events, key=lambda e: (e.run, e.camera, e.id)), key=lambda e: (e.run, e.camera)
    ):
        some = list(group)
        if camera not in lookouts:
            faults.append(
                f"{place.url}: {len(some)} events are of the camera {camera}, which {config.name} "
                "does not have: give the line file that they were kept under"
            )
            continue
        lookout = lookouts[camera]
        cases = [_kept_case(event, lookout, reviews.get((event.id, event.utc))) for event in some]
        runs += [
            Run(place.url, "store", number, lookout, _baseline(lookout), None, part)
            for part in in_runs(cases)
        ]
    return runs


def _said(folder: Path, faults: list[str]) -> Mapping[Key, Review]:
    """People's words; where they cannot be read, frames are inspected without them."""
    try:
        return latest_reviews(folder)
    except StoreError as error:
        faults.append(str(error))
        return {}


def _kept_case(event: Event, lookout: Lookout, review: Review | None) -> Case:
    was = Decided(
        event.state.value,
        (Reject(event.start_um, event.end_um, event.state.value),)
        if event.state is State.UNKNOWN
        else tuple(
            Reject(d.stretch.start_um, d.stretch.end_um, d.label, d.area_mm2) for d in event.defects
        ),
        event.reasons,
        event.bundle,
    )
    since_looked_ns = sum(event.stage_ns.values()) - event.stage_ns.get("preprocess", 0)
    return Case(
        index=event.frame,
        start_um=event.start_um,
        end_um=event.end_um,
        across_um=rail_plane(lookout.camera).across_um,
        picture=event_picture_name(event.id, FRAME),
        colour=bool(getattr(lookout.camera, "colour", False)),
        captured_ns=0,
        looked_ns=event.latency_ns - since_looked_ns,
        utc=event.utc,
        event=event.id,
        was=was,
        people=None if review is None else review.call.value,
        has_defect=None if review is None else review.has_defect,
    )


def _baseline(lookout: Lookout) -> Baseline | None:
    path = lookout.camera.baseline
    return None if path is None else read_baseline(path)


# --- a folder of pictures ------------------------------------------------------------------------


def _pictures(place: Place, by: ByLine, faults: list[str]) -> list[Run]:
    """Laid end to end along the rail, as a camera of `type: folder` lays them."""
    lookout = by.line(place.url).lookout(by.camera)
    names = in_natural_order([name for name in place.names() if _is_picture(name)])
    plane, colour = rail_plane(lookout.camera), bool(getattr(lookout.camera, "colour", False))
    for name in names:
        try:
            data = place.read(name)
            shape = plane.rectify(decode_image(name, data, colour=colour)).shape
        except FrameError:  # each is told of in its turn
            continue
        layout = EndToEnd(shape, plane.along_um, plane.across_um)
        cases = [_picture_case(layout, *each, colour) for each in enumerate(names)]
        return [Run(place.url, "folder", 1, lookout, _baseline(lookout), shape, tuple(cases))]
    faults.append(f"{place.url}: none of its {len(names)} pictures can be read")
    return []


def _picture_case(layout: EndToEnd, index: int, name: str, colour: bool) -> Case:
    stretch = layout.stretch(index)
    return Case(index, stretch.start_um, stretch.end_um, layout.across_um, name, colour, 0, 0)


_READERS: dict[Kind, Callable[[Place, ByLine, list[str]], list[Run]]] = {
    "recording": lambda place, _, faults: recorded_runs(place, faults),
    "store": _kept,
    "folder": _pictures,
}


def known_lookouts(runs: Sequence[Run]) -> list[Lookout]:
    """Each once, whatever number of runs it has."""
    found = dict[str, Lookout]()
    for run in runs:
        found.setdefault(repr(run.lookout), run.lookout)
    return list(found.values())
