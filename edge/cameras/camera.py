"""The two protocols of this room: a Source, and a Camera.

A Source gives a live camera's pictures as its driver has them, not yet on the rail. A Camera gives
frames in order, each with its time and its stretch of rail: recorded ones, or those that
`live_camera` makes of a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from edge.types import Frame, Image, LostFrame, Stretch


@dataclass(frozen=True, slots=True, eq=False)
class Grab:
    """One picture."""

    image: Image
    taken_ns: int | None = None  # monotonic; None where the source does not tell


class Source(Protocol):
    """A camera that is open. It is used and closed by one thread."""

    def grab(self) -> Grab:
        """Wait for the next picture; CameraError, after a bounded time, when none comes.

        After NoPicture it may be asked again.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class PreparedSource:
    """A source whose pictures are all made ready in the same way."""

    source: Source
    prepare: Callable[[Image], Image]

    def grab(self) -> Grab:
        grab = self.source.grab()
        return replace(grab, image=self.prepare(grab.image))

    def close(self) -> None:
        self.source.close()


class Camera(Protocol):
    """A source of frames. `frames` is asked for once and ends when the source does; `close` may be
    called at any time, and again.
    """

    def frames(self) -> Iterator[Frame | LostFrame]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class CameraCounts:
    """How a live camera is doing at one moment."""

    grabbed: int  # pictures that its source gave
    dropped: int  # frames that had to go for later ones, as the network was too slow
    held: int  # times that the camera had to wait, because no frame may be dropped
    reopened: int
    abandoned: int  # times that its driver did not come back
    fault: str | None  # why it shows nothing now


def as_it_is(image: Image) -> Image:
    """How a camera is rectified that need not be."""
    return image


@dataclass(frozen=True, slots=True)
class EndToEnd:
    """Where recorded frames lie: end to end from the start of the run, all of one size."""

    shape: tuple[int, ...]  # H,W or H,W,3
    along_um: float
    across_um: float

    def stretch(self, index: int) -> Stretch:
        # Rounded from the start of the run, so that neighbours meet and no error adds up.
        height_um = self.shape[0] * self.along_um
        return Stretch(round(index * height_um), round((index + 1) * height_um))

    def frame(self, index: int, image: Image, captured_ns: int) -> Frame | LostFrame:
        """The image in its place, unless it is not of the one size."""
        if image.shape != self.shape:
            return self.lost(
                index,
                f"image is {size(image.shape)}, the first one is {size(self.shape)}:"
                " record a line at one size",
                captured_ns,
            )
        return Frame(index, image, captured_ns, self.stretch(index), self.across_um)

    def lost(self, index: int, reason: str, captured_ns: int) -> LostFrame:
        return LostFrame(index, captured_ns, self.stretch(index), reason)


def size(shape: tuple[int, ...]) -> str:
    """For messages."""
    return f"{shape[1]} x {shape[0]} pixels"
