"""What can go wrong with a camera, made to happen: the synthetic source suffers it when told to."""

from __future__ import annotations

from enum import Enum
from threading import Event

from edge.types import Image


class Fault(str, Enum):
    """A way for a camera to fail."""

    STOPPED = "stopped"  # pictures no longer come, and opening it anew does not help
    VANISHED = "vanished"  # it is not there, and cannot be opened
    BLOCKED = "blocked"  # its driver does not come back
    FROZEN = "frozen"  # the same picture for ever
    DARK = "dark"
    BRIGHT = "bright"
    RESIZED = "resized"  # pictures of another size


class Faults:
    """The one fault that a camera has now, if any. Any thread may begin and mend it at any time."""

    def __init__(self) -> None:
        self._now: Fault | None = None
        self.frozen: Image | None = None  # the picture that a frozen camera shows
        self._mended = Event()
        self._mended.set()

    @property
    def now(self) -> Fault | None:
        return self._now

    def begin(self, fault: Fault) -> None:
        """From the next picture on; one that blocks also keeps the reader that has come for it."""
        self.frozen = None
        self._now = fault
        self._mended.clear()

    def mend(self) -> None:
        """All is well again."""
        self._now = None
        self._mended.set()

    def wait_until_mended(self) -> None:
        self._mended.wait()
