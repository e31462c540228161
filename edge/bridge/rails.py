"""Which rail an actuator takes out, and what of it every camera that watches it has let by.

A rail here is what a set of cameras watches: each actuator has the one of those that order it. Rail
passes it where all of them have let it by, and not before the last of them has. No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from edge.line_file import LineSettings
from edge.types import Stretch, unite

_MOST_PIECES = 64  # of one camera that wait for the others; what is older is rejected


def rail_of(config: LineSettings, actuator: str) -> str:
    """Named by its cameras, so that a line to which one was added takes over nothing unseen."""
    return "+".join(config.watching(actuator))


class Cleared(NamedTuple):
    """A stretch of one rail that all of its cameras have let by."""

    rail: str
    stretch: Stretch


class Rails:
    """Those of one line, and what each camera has let by. One thread at a time."""

    def __init__(self, config: LineSettings) -> None:
        actuators = [each.name for each in config.reject.actuators]
        cameras_of = {rail_of(config, name): config.watching(name) for name in actuators}
        self._watching = {
            rail: _Rail({name: [] for name in cameras}) for rail, cameras in cameras_of.items()
        }
        self._rails_of = {
            name: [rail for rail, cameras in cameras_of.items() if name in cameras]
            for name in config.cameras
        }

    def watched_by(self, cameras: Iterable[str]) -> Sequence[str]:
        """The rails of all actuators that one of these cameras orders, each once."""
        return list(dict.fromkeys(rail for each in cameras for rail in self._rails_of[each]))

    def let_by(self, camera: str, stretch: Stretch) -> Iterator[Cleared]:
        """What may pass now that this camera has let a stretch by, too."""
        for rail in self._rails_of[camera]:
            for cleared in self._watching[rail].let_by(camera, stretch):
                yield Cleared(rail, cleared)


class _Rail:
    """What one set of cameras has let by."""

    def __init__(self, passed: dict[str, list[Stretch]]) -> None:
        self._passed = passed  # by camera, in pieces that do not touch
        self._given_um: int | None = None  # as far as it was given

    def let_by(self, camera: str, stretch: Stretch) -> Iterator[Stretch]:
        """What of a camera's stretch the others have let by already; the rest waits for them."""
        self._passed[camera] = unite([*self._passed[camera], stretch])[-_MOST_PIECES:]
        cleared = [stretch]
        for name, pieces in self._passed.items():
            if name != camera:
                cleared = list(_shared(cleared, pieces))
        for each in cleared:
            if self._given_um is None or each.end_um > self._given_um:
                self._given_um = each.end_um
                yield each


def _shared(some: Sequence[Stretch], others: Sequence[Stretch]) -> Iterator[Stretch]:
    """What both cover, in order along the rail."""
    for one in some:
        for other in others:
            start_um, end_um = max(one.start_um, other.start_um), min(one.end_um, other.end_um)
            if start_um < end_um:
                yield Stretch(start_um, end_um)
