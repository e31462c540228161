"""What is truly in an event's picture: what the network saw, as far as people left it standing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from edge.review.marks import mask_of
from edge.review.review import Call, Review
from edge.review.side_file import Key
from edge.store.annotations import Pieces, Seen


def corrected(reviews: Mapping[Key, Review]) -> Callable[[Seen], Pieces]:
    """For an export: the pieces of a picture by the last word on it."""
    return lambda seen: true_pieces(reviews.get((seen.event.id, seen.event.utc)), seen)


def true_pieces(review: Review | None, seen: Seen) -> Pieces:
    """Those of one picture, by this word on it, if there is one."""
    if review is None or review.call is Call.DEFECT:
        return seen.pieces
    if review.call is Call.SOUND:
        return ()
    if review.call is Call.CLASS:
        label = review.class_name or ""
        return tuple(replace(each, label=label) for each in seen.pieces)
    marked = tuple(
        seen.piece(mark.label, mask_of(mark, seen.height, seen.width)) for mark in review.marks
    )
    return marked if review.call is Call.MARKED else (*seen.pieces, *marked)
