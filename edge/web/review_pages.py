"""The Review view's addresses: events to be looked at, their pictures, and what is said of them.

The page's process reads the store itself and writes what is said beside it: nothing of this is
asked of the line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from edge.errors import StoreError, TracksideError, UsageError
from edge.review import (
    Call,
    Catalogue,
    Mark,
    Order,
    Review,
    Sought,
    add_reviews,
    check_marks,
    png_size,
    reviews_of,
)
from edge.review.review import Label
from edge.store import picture_path, read_event
from edge.store.event import Event
from edge.store.pictures import FRAME, OVERLAY
from edge.web.guarded import FRESH, said

_MOST_EVENTS = 50  # of one answer
_MOST_BYTES = 1 << 20  # of what is said of one event, masks and all
_KEPT = {"Cache-Control": "private, max-age=86400, immutable"}


class _Word(BaseModel):
    """What a browser says of an event."""

    model_config = ConfigDict(extra="forbid", strict=True)

    call: Call = Field(strict=False)
    by: str = Field(min_length=1, max_length=60)
    class_name: Label | None = None
    marks: tuple[Mark, ...] = Field(default=(), strict=False, max_length=100)


class _Query(BaseModel):
    """Which events a browser asks for."""

    model_config = ConfigDict(extra="forbid")

    state: str | None = None
    why: str | None = None
    label: str | None = None
    camera: str | None = None
    since: str | None = None
    until: str | None = None
    least: float | None = None
    most: float | None = None
    reviewed: bool | None = False
    order: Order = "newest"
    after: int | None = None
    count: int = Field(default=10, ge=1, le=_MOST_EVENTS)

    def sought(self) -> Sought:
        return Sought(
            states=(self.state,) if self.state else (),
            whys=(self.why,) if self.why else (),
            label=self.label or None,
            camera=self.camera or None,
            since_utc=self.since or None,
            until_utc=self.until or None,
            least_score=self.least,
            most_score=self.most,
            reviewed=self.reviewed,
            order=self.order,
        )


@dataclass
class ReviewPages:
    """Of one store."""

    root: Path
    classes: Sequence[str]  # that the bundle names
    catalogue: Catalogue = field(init=False)

    def __post_init__(self) -> None:
        self.catalogue = Catalogue(self.root)

    async def events(self, request: Request) -> Response:
        """The next of those that are asked for, and how many there are from there on."""
        try:
            query = _Query.model_validate(
                {name: value for name, value in request.query_params.items() if value != ""}
            )
        except ValidationError as error:
            return said(400, f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}")
        try:
            return JSONResponse(await asyncio.to_thread(self._found, query), headers=FRESH)
        except StoreError as error:
            return said(503, str(error))

    def _found(self, query: _Query) -> dict[str, Any]:
        if query.after is None:
            self.catalogue.refresh()
        numbers, left = self.catalogue.find(query.sought(), query.after, query.count)
        events = []
        for number in numbers:
            try:
                events.append(self._shown(read_event(self.root, number)))
            except StoreError:  # it has left the store since
                left -= 1
        labels = {*self.catalogue.labels, *self.classes}
        return {
            "events": events,
            "left": left,
            "labels": sorted(labels),
            "cameras": self.catalogue.cameras,
        }

    def _shown(self, event: Event) -> dict[str, Any]:
        review = self.catalogue.reviews.get((event.id, event.utc))
        return {
            "id": event.id,
            "utc": event.utc,
            "camera": event.camera,
            "run": event.run,
            "frame": event.frame,
            "start_mm": event.start_um / 1000,
            "state": event.state.value,
            "why": event.why.value,
            "reasons": list(event.reasons),
            "score": event.confidence,
            "unfamiliar": event.unfamiliar,
            "found": [
                {"label": each.label, "box_px": each.box_px, "score": round(each.score, 2)}
                for each in event.found
            ],
            "overlay": OVERLAY if OVERLAY in event.pictures else None,
            "review": None if review is None else _told(review),
        }

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in {FRAME, OVERLAY}:
            return said(404, "an event has a frame and an overlay")
        path = picture_path(self.root, request.path_params["event"], name)
        try:
            content = await asyncio.to_thread(path.read_bytes)
        except OSError:
            return said(404, "this picture has left the store")
        return Response(content, media_type=f"image/{path.suffix[1:]}", headers=_KEPT)

    async def say(self, request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return said(413, "this is too much to be said of one event")
        try:
            word = _Word.model_validate_json(body)
        except ValidationError as error:
            return said(400, f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}")
        try:
            review = await asyncio.to_thread(self._enter, request.path_params["event"], word)
        except UsageError as error:
            return said(400, str(error))
        except TracksideError as error:
            return said(503, str(error))
        except OSError:
            return said(404, "this picture has left the store")
        return JSONResponse({"review": None if review is None else _told(review)}, headers=FRESH)

    def _enter(self, number: int, word: _Word) -> Review | None:
        """What holds of the event from now on."""
        event = read_event(self.root, number)
        if word.marks:
            with picture_path(self.root, number, FRAME).open("rb") as file:
                check_marks(word.marks, *png_size(file.read(24)))
        at = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        review = Review(
            number, event.utc, at, word.by, "page", word.call, word.class_name, word.marks
        )
        add_reviews(self.root, [review])
        withdrawn = word.call is Call.WITHDRAWN
        self.catalogue.note(review, withdrawn=withdrawn)
        return None if withdrawn else reviews_of(self.root, number, event.utc)[-1]


def _told(review: Review) -> dict[str, Any]:
    return {**asdict(review), "call": review.call.value}


async def _body(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return None
    return body
