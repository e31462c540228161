"""The Camera protocol: frames in order, each with its time and its stretch of rail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from edge.types import Frame, LostFrame


class Camera(Protocol):
    """A source of frames. `frames` ends when the source does; `close` may be called at any time."""

    def frames(self) -> Iterator[Frame | LostFrame]: ...

    def close(self) -> None: ...
