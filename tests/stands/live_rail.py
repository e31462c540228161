"""A rail that moves as its camera and whoever looks at it are ready: live cameras without a clock.

Its time is its place, a microsecond a micrometre. It goes on by a step each time that the camera
looks after the line, and waits while the source is busy with a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition
from typing import Any

import numpy as np

from edge.cameras import Fault, Faults, Laying, LiveCamera
from edge.cameras.camera import Grab
from edge.errors import CameraError, NoPicture
from edge.types import Image
from stands.waiting import PATIENCE_S

HEIGHT, WIDTH, UM = 48, 64, 250
LENGTH_UM = HEIGHT * UM  # 12 mm
LAYING = Laying(UM, UM, overlap_um=4_000, lost_after_um=30_000)
EVERY_UM = 3_000  # a picture


@dataclass(frozen=True)
class At:
    """The rail's place, and the time that it stands for."""

    position_um: int

    @property
    def at_ns(self) -> int:
        return self.position_um * 1000


class Rail:
    """Moves by `step_um` at each `step`, once the source is ready for it or patience ends."""

    def __init__(self, step_um: int = 500) -> None:
        self.step_um = step_um
        self.position_um = 0
        self.patience_s = PATIENCE_S
        self._moved = Condition()
        self._due_um: int | None = None  # where the source waits for it
        self._busy = False  # the source makes a picture
        self._ended = False

    def where(self) -> At:
        return At(self.position_um)

    def time_ns(self) -> int:
        return self.where().at_ns

    def step(self, by_um: int | None = None) -> None:
        with self._moved:
            self._moved.wait_for(lambda: not self._busy, self.patience_s)
            self.position_um += self.step_um if by_um is None else by_um
            self._busy = self._due_um is not None and self.position_um >= self._due_um
            self._moved.notify_all()

    def wait_for(self, position_um: int) -> At:
        """For the source: wait for the rail, which then waits for the source."""
        with self._moved:
            self._busy, self._due_um = self.position_um >= position_um, position_um
            self._moved.notify_all()
            assert self._moved.wait_for(lambda: self._busy or self._ended, PATIENCE_S)
            if self._ended:
                raise CameraError("the rail has ended")
            return self.where()

    def end(self) -> None:
        """A source that waits need not wait any more."""
        with self._moved:
            self._ended = True
            self._moved.notify_all()

    def let_go(self) -> None:
        """For the source: the rail waits for it no more."""
        with self._moved:
            self._busy, self._due_um = False, None
            self._moved.notify_all()


class RailSource:
    """A picture each EVERY_UM of rail, of a camera that suffers faults."""

    def __init__(self, rail: Rail, faults: Faults, *, tells: bool, triggered: bool) -> None:
        if faults.now is Fault.VANISHED:
            raise CameraError("vanished")
        self._rail = rail
        self._faults = faults
        self._tells = tells
        self._stopped = NoPicture if triggered else CameraError
        self._due_um = rail.position_um

    def grab(self) -> Grab:
        taken = self._rail.wait_for(self._due_um)
        self._due_um = taken.position_um + EVERY_UM
        if self._faults.now is Fault.BLOCKED:
            self._rail.let_go()
            self._faults.wait_until_mended()
        if self._faults.now in {Fault.STOPPED, Fault.VANISHED}:
            raise self._stopped("stopped")
        image = _as_it_comes(taken.position_um, self._faults.now)
        return Grab(image, taken.at_ns if self._tells else None)

    def close(self) -> None:
        self._rail.let_go()


def picture(position_um: int) -> Image:
    """Noise that is another at each place."""
    return np.random.default_rng(abs(position_um)).integers(60, 160, (HEIGHT, WIDTH), np.uint8)


def _as_it_comes(position_um: int, fault: Fault | None) -> Image:
    match fault:
        case Fault.FROZEN:
            return picture(0)
        case Fault.RESIZED:
            return picture(position_um)[: HEIGHT // 2]
        case Fault.DARK:
            return picture(position_um) // 16
        case Fault.BRIGHT:
            return picture(position_um) // 8 + 235
    return picture(position_um)


@contextmanager
def rail_camera(rail: Rail, faults: Faults, **settings: Any) -> Iterator[LiveCamera]:
    """A live camera that looks at the rail, and ends with it."""
    with open_rail_camera(rail, faults, **settings) as camera:
        try:
            yield camera
        finally:
            camera.close()
            rail.end()


def open_rail_camera(
    rail: Rail,
    faults: Faults,
    *,
    laying: Laying = LAYING,
    tells: bool = True,
    triggered: bool = False,
    stuck_um: int = 10_000_000,
    waited: Callable[[], None] = lambda: None,
) -> LiveCamera:
    """A live camera that looks at the rail."""
    return LiveCamera(
        lambda: RailSource(rail, faults, tells=tells, triggered=triggered),
        laying,
        where=rail.where,
        check=rail.step,
        faults=lambda image: () if 20 < image.mean() < 240 else ("dark or bright",),
        clock_ns=rail.time_ns,
        waited=waited,
        stuck_ns=stuck_um * 1000,
    )
