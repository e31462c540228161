"""Progress of several cameras as one: a round is over once each of them has made some."""

from __future__ import annotations

from collections.abc import Iterable


class Rounds:
    """Of the cameras that one sign of life stands for. One thread at a time."""

    def __init__(self, cameras: Iterable[str]) -> None:
        self._cameras = frozenset(cameras)
        self._done = set[str]()

    def done(self, camera: str) -> bool:
        """A camera has made progress; whether all have since this was last true. One of which it
        is no sign changes nothing.
        """
        self._done |= {camera} & self._cameras
        if self._done < self._cameras:
            return False
        self._done.clear()
        return True
