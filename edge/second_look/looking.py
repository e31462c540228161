"""Has kept frames looked at again, and says how far the answers are apart.

Each frame by itself, as its line shows it to the network: as it is, mirrored along the rail and
across it, and by another engine where one is named. Of rail that the frame before shows too, what
the network said of it there is compared. None of it happens in a line's own process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.assembly.camera import rail_plane
from edge.errors import ConfigurationError, FrameError
from edge.files.image_file import read_image
from edge.inspect import Inspector, make_inspector
from edge.line_file import EngineChoice, LineSettings
from edge.network import Network, network_of
from edge.review import SecondLook, add_second_looks, second_looks
from edge.second_look.mirrored import ACROSS, ALONG, Mirrored
from edge.store import picture_path, read_events
from edge.store.event import Event
from edge.store.pictures import FRAME
from edge.swap import open_in_force
from edge.types import Frame, Stretch

_AT_ONCE = 20  # looks that are entered together: a kill costs as many
_LEAST_ROWS = 8  # that two frames must both show: at its edge a network knows less

Chances = NDArray[np.float32]  # H,W probabilities


@dataclass(frozen=True)
class Looked:
    """How many events were looked at again, and what could not be."""

    events: int
    faults: tuple[str, ...]


def look_again(
    config: LineSettings,
    other: EngineChoice | None = None,
    most: int | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Looked:
    """All that the store has and its bundle has not looked at twice, the latest first.

    ConfigurationError where the line keeps no events, or an engine does not run its bundle.
    """
    if config.store is None:
        raise ConfigurationError("this line keeps no events: give it a `store:` with a `path:`")
    root, bundle = config.store.path, open_in_force(config)
    events = [event for event in read_events(root) if FRAME in event.pictures]
    due = _due(events, root, bundle.digest, asks_another=other is not None)[:most]
    networks = [network_of(each, bundle) for each in (config.engine, other) if each is not None]
    try:
        eyes = Eyes(config, root, events, networks)
        faults, done = list[str](), 0
        for first in range(0, len(due), _AT_ONCE):
            looks = list(_looks(eyes, due[first : first + _AT_ONCE], faults))
            add_second_looks(root, looks)
            done += len(looks)
            tell(min(first + _AT_ONCE, len(due)), len(due))
    finally:
        for network in networks:
            network.engine.close()
    return Looked(done, tuple(faults))


def _due(events: Sequence[Event], root: Path, digest: str, *, asks_another: bool) -> list[Event]:
    known = second_looks(root)

    def is_done(event: Event) -> bool:
        look = known.get((event.id, event.utc))
        if look is None or look.bundle != digest:
            return False
        return look.engine is not None or not asks_another

    return [event for event in reversed(events) if not is_done(event)]


def _looks(eyes: Eyes, events: Sequence[Event], faults: list[str]) -> Iterator[SecondLook]:
    for event in events:
        try:
            yield eyes.look(event)
        except FrameError as error:
            faults.append(f"event {event.id}: {error}")


class Eyes:
    """All that looks at the frames of a store."""

    def __init__(
        self,
        config: LineSettings,
        root: Path,
        events: Sequence[Event],
        networks: Sequence[Network],  # the line's, and maybe another engine's
    ) -> None:
        self._config, self._root, self._networks = config, root, networks
        self._kept = {(each.run, each.camera, each.frame): each for each in events}
        self._inspectors = dict[tuple[str, int], Inspector]()  # each network has its own
        self._bundle = networks[0].bundle
        self._last: tuple[Event, Chances] | None = None
        own = networks[0]
        self._mirrored = [
            Network(own.bundle, Mirrored(own.engine, axis)) for axis in (ALONG, ACROSS)
        ]

    def look(self, event: Event) -> SecondLook:
        """FrameError where there is nothing to be seen of it."""
        frame = self._frame(event)
        first = self._own_chances(event, frame)
        others = [self._chances(event.camera, frame, each) for each in self._mirrored]
        least_px = self._bundle.manifest.limits.min_area_mm2 / (
            frame.along_um * frame.across_um / 1e6
        )
        engine = None
        for each in self._networks[1:]:
            engine = disagreement(first, self._chances(event.camera, frame, each), least_px)
        return SecondLook(
            event.id,
            event.utc,
            self._bundle.digest,
            max(disagreement(first, other, least_px) for other in others),
            self._beside(event, frame, first, least_px),
            engine,
        )

    def _beside(
        self, event: Event, frame: Frame, chances: Chances, least_px: float
    ) -> float | None:
        """Against what the frame before says of the rail that both show; None where none does."""
        before = self._kept.get((event.run, event.camera, event.frame - 1))
        if before is None:
            return None
        ahead = round((event.start_um - before.start_um) / frame.along_um)
        try:
            seen = self._own_chances(before, self._frame(before))
        except FrameError:  # it is told of in its own turn
            return None
        shared = min(len(seen) - ahead, len(chances))
        if ahead < 0 or shared < _LEAST_ROWS or seen.shape[1:] != chances.shape[1:]:
            return None
        return disagreement(chances[:shared], seen[ahead : ahead + shared], least_px)

    def _frame(self, event: Event) -> Frame:
        if event.camera not in self._config.cameras:
            raise FrameError(
                f"it is of the camera {event.camera}, which {self._config.name} does not have: "
                "give the line file that it was kept under"
            )
        camera = self._config.cameras[event.camera]
        path = picture_path(self._root, event.id, FRAME)
        image = read_image(path, colour=bool(getattr(camera, "colour", False)))
        stretch = Stretch(event.start_um, event.end_um)
        return Frame(event.frame, image, 0, stretch, rail_plane(camera).across_um)

    def _own_chances(self, event: Event, frame: Frame) -> Chances:
        """Of the line's network. The latest events are looked at first, and so what was asked last,
        as the frame before, is often the next in turn.
        """
        if self._last is None or self._last[0] is not event:
            self._last = event, self._chances(event.camera, frame, self._networks[0])
        return self._last[1]

    def _chances(self, camera: str, frame: Frame, network: Network) -> Chances:
        key = camera, id(network)  # engines' names may be the same
        if key not in self._inspectors:
            lookout = self._config.lookout(camera)
            self._inspectors[key] = make_inspector(lookout, network, lambda: 0, None)
        inspector = self._inspectors[key]
        inspector.begin_anew()  # by itself: what came before it is not at hand
        seen = inspector.inspect(frame)
        if seen.mask is None:
            raise FrameError("; ".join(seen.verdict.reasons))
        return seen.mask.probability


def disagreement(one: Chances, other: Chances, least_px: float) -> float:
    """0 where two maps say the same, near 1 where each shows a defect that the other lacks.

    What is smaller than the least that counts, so many pixels, weighs little.
    """
    apart = float(np.abs(one - other).sum())
    return apart / (float(np.maximum(one, other).sum()) + least_px)
