"""Events of which people said what they are: checked before any time is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.adapt.asked import Store
from benchmarks.adapt.written import Drawn
from edge.errors import FrameError, TracksideError, UsageError
from edge.files.image_file import read_image
from edge.line_file import Lookout
from edge.review import Call, Review, check_marks, latest_reviews, true_pieces
from edge.store import picture_path, read_events
from edge.store.annotations import read_seen
from edge.store.event import Event
from edge.store.pictures import FRAME
from edge.types import Image

LEAST = 8  # reviewed events with a picture; of fewer nobody can hold some out
_NAMED = 5  # of what is wrong, one by one


@dataclass(frozen=True, eq=False)
class Said:
    """One event, and the last word on it."""

    store: int  # its place in the command
    config_store: Store
    lookout: Lookout
    event: Event
    review: Review
    side: str = field(default="train")  # or "val", or "between": near what is held out

    @property
    def name(self) -> str:
        return f"{self.store}-{self.event.id:09d}"

    @property
    def has_defect(self) -> bool:
        return bool(self.review.has_defect)

    @property
    def wanted_class(self) -> str | None:
        """That it has by people's word, where that is said."""
        return self.review.class_name if self.review.call is Call.CLASS else None

    def image(self, *, colour: bool) -> Image:
        return read_image(picture_path(self.config_store.root, self.event.id, FRAME), colour=colour)

    def drawn(self) -> tuple[Drawn, ...]:
        """What is truly there: each thing with its pixels, or a box where no more was said."""
        seen = read_seen(self.event, self.config_store.root)
        pieces = true_pieces(self.review, seen)
        boxes = {(mark.label, mark.box_px) for mark in self.review.marks if mark.runs is None}
        return tuple(
            Drawn(
                piece.label,
                np.asarray(piece.mask, np.uint8),
                is_box=(piece.label, piece.box_px) in boxes,
            )
            for piece in pieces
        )


@dataclass(frozen=True)
class Heard:
    """All that can be learned from, and how much was said of what is gone."""

    said: list[Said]
    without_picture: int  # the store has given it up, or never had one
    gone: int  # the event itself has left the store


def hear(stores: Sequence[Store]) -> Heard:
    """TracksideError names what is damaged, UsageError says where there is too little."""
    said, without, gone, faults = list[Said](), 0, 0, list[str]()
    for number, store in enumerate(stores):
        lookouts = {each.name: each for each in store.config.lookouts}
        reviews = latest_reviews(store.root)
        known = {(event.id, event.utc): event for event in read_events(store.root)}
        for key, review in reviews.items():
            event = known.get(key)
            if event is None:
                gone += 1
            elif FRAME not in event.pictures:
                without += 1
            elif event.camera not in lookouts:
                faults.append(
                    f"{store.root}: event {event.id} is of the camera {event.camera}, which "
                    f"{store.config.name} does not have: give the line file that it was kept under"
                )
            else:
                said.append(Said(number, store, lookouts[event.camera], event, review))
    faults += [fault for each in said if (fault := _fault(each)) is not None]
    if faults:
        more = f"; and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise TracksideError(
            f"{len(faults)} reviewed events cannot be learned from: "
            f"{'; '.join(faults[:_NAMED])}{more}"
        )
    if len(said) < LEAST:
        raise UsageError(
            f"{len(said)} reviewed events have a picture, of which some must be held out: review "
            f"{LEAST} at the least, 40 for an answer (the live page, or `trackside events call`)"
        )
    return Heard(said, without, gone)


def _fault(said: Said) -> str | None:
    root, number = said.config_store.root, said.event.id
    remedy = f"withdraw what was said of it (`trackside events call {root} {number} withdrawn`)"
    try:
        image = said.image(colour=False)
        check_marks(said.review.marks, *image.shape[:2])
        said.drawn()
    except (FrameError, UsageError) as error:
        return f"{root}: event {number}: {error}: {remedy}"
    return None
