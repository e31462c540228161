"""A camera that runs freely: its pictures laid on the rail, whatever becomes of the camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from threading import Condition

from edge.cameras.camera import CameraCounts, Grab, Source
from edge.cameras.capture import STUCK_NS, Capture
from edge.cameras.ring import Laying, Picture, Ring
from edge.cameras.sight import Sight
from edge.cameras.track import Place, Track
from edge.errors import CameraError, ConfigurationError
from edge.types import Frame, Image, LostFrame

_POLL_S = 0.002  # between two looks at the rail while there is no frame to give
_POLLS = 100  # of them, after which `waited` is called


class LiveCamera:
    """Shows the rail as it moves under a camera, and outlives the camera's failures.

    `where` gives the newest reading of the encoder to any thread; `check` raises when what rejects
    is not in order; `faults` says why nothing can be seen in a picture; `waited` is called, now and
    then, while there is nothing to give. A camera that gives no picture at first is a CameraError.
    """

    def __init__(
        self,
        open_source: Callable[[], Source],
        laying: Laying,
        *,
        where: Callable[[], Place],
        check: Callable[[], None],
        faults: Callable[[Image], tuple[str, ...]],
        clock_ns: Callable[[], int],
        waited: Callable[[], None] = lambda: None,
        limit: int | None = None,
        stuck_ns: int = STUCK_NS,
    ) -> None:
        self._laying = laying
        self._check = check
        self._waited = waited
        self._limit = limit
        self._track = Track(where)
        self._taken_um = self._track.now().position_um  # where the latest picture was taken
        self._sight = Sight(faults, along_um=laying.along_um, blind_um=laying.lost_after_um)
        self._closed = False
        self._came = Condition()  # guards the ring
        self._ring: Ring | None = None  # until the first picture
        self._fault: str | None = None  # why the latest picture was none
        self._grabbed = self._held = 0
        self._capture = Capture(
            open_source, self._take, self._lose, self._may_wait, clock_ns, stuck_ns=stuck_ns
        )
        try:
            self._await_first()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LiveCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._capture.join()

    def close(self) -> None:
        """Waits for nothing, so a signal's handler may call it."""
        self._closed = True
        self._capture.close()

    def counts(self) -> CameraCounts:
        """How the camera is doing, for any thread."""
        return CameraCounts(
            grabbed=self._grabbed,
            dropped=0 if self._ring is None else self._ring.dropped,
            held=self._held,
            reopened=max(0, self._capture.opened - 1),
            abandoned=self._capture.abandoned,
            fault=self._fault,
        )

    def frames(self) -> Iterator[Frame | LostFrame]:
        return islice(self._seen(), self._limit)

    def _seen(self) -> Iterator[Frame | LostFrame]:
        assert self._ring is not None, "there was a first picture"
        polls = 0
        while not self._closed:
            self._check()
            self._capture.check()
            place = self._track.now()
            with self._came:
                due = self._ring.due(place.position_um, place.at_ns)
                if due:
                    self._came.notify_all()  # there is room
                else:
                    self._came.wait(_POLL_S)
            yield from due
            polls = 0 if due else polls + 1
            if polls and polls % _POLLS == 0:
                self._waited()

    def _await_first(self) -> None:
        polls = 0
        while self._ring is None:
            self._check()
            self._capture.check()
            if self._fault is not None:
                raise CameraError(self._fault)
            with self._came:
                self._came.wait(_POLL_S)
            polls += 1
            if polls % _POLLS == 0:
                self._waited()

    def _may_wait(self) -> bool:
        """Whether the rail has hardly moved since the latest picture."""
        moved_um = abs(self._track.now().position_um - self._taken_um)
        return moved_um < self._laying.lost_after_um

    def _lose(self, reason: str) -> None:
        """The source has gone, or shows nothing that can be used."""
        with self._came:
            self._fault = reason
            if self._ring is not None:
                self._ring.miss(reason)

    def _take(self, grab: Grab, arrived_ns: int) -> bool:
        """Keep a picture if it shows something new. On the capture's thread."""
        self._grabbed += 1
        told_ns = arrived_ns if grab.taken_ns is None else grab.taken_ns
        taken_ns = told_ns - self._laying.delay_ns
        self._track.now()
        position_um = self._track.at(taken_ns)
        if position_um is None:
            return True  # taken before the run began: nobody knows where the rail was
        self._taken_um = position_um
        can_see = self._sight.check(grab.image, position_um)
        if self._sight.is_doubted:
            return False
        self._fault = None
        with self._came:
            if self._ring is None:
                self._check_told(grab)
                length_um = round(grab.image.shape[0] * self._laying.along_um)
                self._ring = Ring(self._laying, position_um, length_um)
            stretch = self._ring.lay(position_um)
            if stretch is not None:
                self._keep(Picture(grab.image, taken_ns, stretch), self._ring)
        return can_see

    def _keep(self, picture: Picture, ring: Ring) -> None:
        if ring.is_full and self._laying.drop == "never":
            self._held += 1
            while ring.is_full and not self._closed:
                self._came.wait(_POLL_S)
            ring.keep(picture)
            ring.miss()
        else:
            ring.keep(picture)
        self._came.notify_all()

    def _check_told(self, grab: Grab) -> None:
        if self._laying.drop == "never" and grab.taken_ns is None:
            raise ConfigurationError(
                "this camera does not tell when a picture was taken, so none may wait in it: set "
                "its drop to oldest"
            )
