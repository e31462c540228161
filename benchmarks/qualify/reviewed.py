"""A study of a line's event store: what people said is truly there, and what the line did with it.

Each frame that was reviewed is looked at by itself. What it truly shows is what the network saw as
far as people left it standing, and what they marked; it is found where something rejected touches
it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from benchmarks.qualify.looking import Box, cut_round, png_of
from benchmarks.qualify.marks import Marked, Scale, scale_of
from benchmarks.qualify.study import FalseCall, Specimen, Study
from edge.certificate import judgement_of
from edge.errors import ConfigurationError, FrameError
from edge.files.image_file import read_image
from edge.line_file import LineSettings, Lookout
from edge.network import load_network
from edge.review import Review, latest_reviews, true_pieces
from edge.store import Event, picture_path, read_account, read_events
from edge.store.annotations import read_seen
from edge.store.pictures import FRAME
from edge.types import State, Stretch

_GIVEN_UP = "in frames whose picture the store has given up"
_UNKNOWN = "in frames that were UNKNOWN"
_OTHER_BUNDLE = "in frames that another bundle judged"
_AGAIN = "seen in a frame before"


@dataclass
class _Seen:
    """What the reviewed frames show."""

    specimens: list[Specimen] = field(default_factory=list)
    false_calls: list[FalseCall] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    known: set[tuple[int, int]] = field(default_factory=set)  # defects, by run and number


def study_of_reviews(config: LineSettings, line: Path, measure: str) -> Study:
    """Of the events that the line's own store still has, judged by the bundle that it now names."""
    if config.store is None:
        raise ConfigurationError(f"{line} keeps no events: give it `store:`, and review some")
    root, lookout, scale_um = config.store.path, config.lookout(), scale_of(config)
    network = load_network(config.engine, config.bundle, config.bundle_key)
    engine, bundle = network.engine.name, network.bundle
    network.engine.close()
    reviews = latest_reviews(root)
    events = [each for each in read_events(root) if each.camera == lookout.name]
    said = {(each.id, each.utc): each for each in events}
    reviewed = [(said[key], review) for key, review in reviews.items() if key in said]
    rejected = (each for each in events if each.state is State.NG and each.bundle == bundle.digest)
    unsaid = sum((each.id, each.utc) not in reviews for each in rejected)
    seen = _Seen()
    for event, review in reviewed:
        if review.has_defect is not None and (why := _unfit(event, bundle.digest)) is not None:
            seen.left_out[why] += 1
        elif review.has_defect is not None:
            _look_at(event, review, root, scale_um, seen)
    if not seen.specimens and not seen.false_calls:
        raise ConfigurationError(
            f"{root} has no reviewed event of {bundle.manifest.name}: call some on the page, or by "
            "`trackside events call`"
        )
    inspected_m = _inspected_m(root, lookout, bundle.digest, unsaid)
    return Study(
        origin="reviewed",
        population=f"what {config.name} has met since its store began, as far as {len(reviewed)} "
        "reviewed frames show it",
        of=judgement_of(lookout, bundle, engine, scale_um),
        specimens=seen.specimens,
        measure=measure,
        data={
            line.name: sha256(line.read_bytes()).hexdigest(),
            "bundle": bundle.digest,
            "events and what was said of them": _digest(reviewed),
        },
        false_calls=seen.false_calls if inspected_m is not None else (),
        inspected_m=inspected_m,
        left_out=seen.left_out,
        limits=(
            "all that was rejected is in a store, and of what was let by only what was unsure or "
            "drawn at random: by that the share that is found looks better than it is; `trackside "
            "events miss-rate` says how much is missed",
            *(
                ()
                if inspected_m is not None
                else (f"false calls are not told: {unsaid} rejected frames are not reviewed",)
            ),
        ),
    )


def _unfit(event: Event, digest: str) -> str | None:
    if event.bundle != digest:
        return _OTHER_BUNDLE
    if event.state is State.UNKNOWN:
        return _UNKNOWN
    return None if FRAME in event.pictures else _GIVEN_UP


def _look_at(event: Event, review: Review, root: Path, scale_um: Scale, seen: _Seen) -> None:
    try:
        shown = read_seen(event, root)
        pieces = true_pieces(review, shown)
    except FrameError as error:
        raise ConfigurationError(
            f"{root}: event {event.id}: {error}, or withdraw what was said of it"
        ) from error
    rejected = event.defects if event.state is State.NG else ()
    calls = {each.number: Box(each.stretch, each.left_um, each.right_um) for each in rejected}
    if not pieces and calls:
        seen.false_calls.append(FalseCall(f"event {event.id}", _picture(event, root)))
    for piece in pieces:
        mark = Marked(piece.label, piece.box_px, int(np.count_nonzero(piece.mask)))
        box = _at(mark.box(scale_um), event)
        touching = {number for number, call in calls.items() if call.touches(box)}
        if any((event.run, number) in seen.known for number in touching):
            seen.left_out[_AGAIN] += 1
            continue
        seen.known |= {(event.run, number) for number in touching}
        found = bool(touching)
        png = None if found else _picture(event, root, piece.box_px)
        sizes = mark.sizes(scale_um)
        seen.specimens.append(
            Specimen(piece.label, sizes, (found,), None, f"event {event.id}", png)
        )


def _at(box: Box, event: Event) -> Box:
    """A place in a frame, along the rail."""
    start_um = event.start_um
    stretch = Stretch(start_um + box.stretch.start_um, start_um + box.stretch.end_um)
    return Box(stretch, box.left_um, box.right_um)


def _picture(event: Event, root: Path, box_px: tuple[int, int, int, int] | None = None) -> bytes:
    """The frame, or what of it lies round a box, as a PNG."""
    image = read_image(picture_path(root, event.id, FRAME), colour=False)
    if box_px is None:
        return png_of(image)
    left, top, width, height = box_px
    return cut_round(image, slice(top, top + height), slice(left, left + width))


def _inspected_m(root: Path, lookout: Lookout, digest: str, unsaid: int) -> float | None:
    """Of surface; None where a rejected frame is not reviewed: it may be a false call."""
    if unsaid:
        return None
    parts = read_account(root)
    looked_um = sum(
        part.inspected_um for part in parts if part.camera == lookout.name and part.bundle == digest
    )
    return looked_um / 1e6 or None


def _digest(reviewed: list[tuple[Event, Review]]) -> str:
    digest = sha256()
    for event, review in reviewed:
        digest.update(repr((event.id, event.utc, review)).encode())
    return digest.hexdigest()
