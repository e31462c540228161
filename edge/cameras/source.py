"""The Source protocol: a live camera's pictures as its driver gives them, not yet on the rail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from edge.types import Image


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
