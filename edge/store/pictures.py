"""The pictures of an event: the frame, its mask, an overlay, and each defect cut out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from edge.errors import FrameError
from edge.files.image_file import encode_image
from edge.inspect import draw_overlay
from edge.store.event import Event
from edge.types import Defect, Image, Mask, Verdict

FRAME, MASK, OVERLAY = "frame.png", "mask.png", "overlay.jpg"
_AROUND_PX = 16  # shown round a defect that is cut out
_A_FOLDER = 1000  # events


def picture_path(root: Path, event_id: int, name: str) -> Path:
    """Where a picture of an event lies."""
    return root / picture_name(event_id, name)


def picture_name(event_id: int, name: str) -> str:
    """The same, within the store."""
    return f"images/{event_id // _A_FOLDER:06d}/{event_id:09d}-{name}"


def draw_pictures(image: Image, mask: Mask | None, verdict: Verdict) -> Iterator[tuple[str, Image]]:
    """Each with its name. Frame and mask are exact, so that they can be labelled and trained on."""
    yield FRAME, image
    if mask is not None:
        yield MASK, mask.binary.astype(np.uint8) * 255
    yield OVERLAY, draw_overlay(image, mask, verdict)
    for number, defect in enumerate(verdict.defects):
        yield f"defect{number}.jpg", _cut_out(image, defect)


def write_pictures(
    root: Path, event_id: int, pictures: Iterator[tuple[str, Image]]
) -> tuple[tuple[str, ...], int]:
    """All of them or none, their names and size. OSError where the disk refuses, FrameError for
    what is no image.
    """
    written: list[str] = []
    size_bytes = 0
    try:
        for name, image in pictures:
            path = picture_path(root, event_id, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            written.append(name)
            size_bytes += path.write_bytes(encode_image(path.suffix, image))
    except OSError:
        remove_pictures(root, event_id, written)
        raise
    except cv2.error as error:
        remove_pictures(root, event_id, written)
        raise FrameError(f"frame of event {event_id} cannot be drawn: see its reasons") from error
    return tuple(written), size_bytes


def are_whole(root: Path, event: Event) -> bool:
    """Whether all of an event's pictures lie there in full. A power cut leaves less: of what a file
    system took in the last half minute it knows the name, and not yet what was in it.
    """
    paths = (picture_path(root, event.id, name) for name in event.pictures)
    return sum(path.stat().st_size for path in paths if path.exists()) == event.size_bytes


def remove_pictures(root: Path, event_id: int, names: list[str] | tuple[str, ...]) -> None:
    """And the folder they lay in, if they were its last."""
    for name in names:
        picture_path(root, event_id, name).unlink(missing_ok=True)
    with suppress(OSError):
        picture_path(root, event_id, FRAME).parent.rmdir()


def sweep(root: Path, last_id: int) -> None:
    """Remove what a program that was killed left of events it had not entered."""
    for folder in (root / "images").glob("[0-9]" * 6):
        if int(folder.name) >= last_id // _A_FOLDER:
            for path in folder.glob("[0-9]" * 9 + "-*"):
                if int(path.name.partition("-")[0]) > last_id:
                    path.unlink()


def _cut_out(image: Image, defect: Defect) -> Image:
    x, y, width, height = defect.box_px
    top, left = max(0, y - _AROUND_PX), max(0, x - _AROUND_PX)
    return image[top : y + height + _AROUND_PX, left : x + width + _AROUND_PX]
