"""Whether a picture can be what the camera sees now: of one size, not the last again, not blind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge.cameras.camera import size
from edge.cameras.motion import LEAST_CELLS, Overlay, Relief, relief_of
from edge.cameras.texture import Texture, likeness, texture_of
from edge.errors import CameraError
from edge.types import Image

_ROWS = 2  # rail that moved by so many looks different
# A codec's pictures are compared by their texture, from _TEXTURE_ROWS on. Measured on simulated and
# on real steel, enlarged up to five times, with noise and dirt: rail that moved by so many is alike
# by .31 at most, a still picture behind H.264 of 500 kbit/s by .47 at least, its key frames too.
_TEXTURE_ROWS = 8
_ALIKE = 0.4
_NEW_AGAIN = 3  # in a row, until a camera that froze is believed: a key frame alone may look new
_AGAIN = "the same picture again while the rail moved: restart the camera"
_TURNED = "the picture moves against the rail: turn it by turn_deg, or mend the encoder's sign"


class Sight:
    """Watches the pictures of one camera, over its reopenings.

    `faults` says why nothing could be seen in a picture; one that stays blind for `blind_um` of
    rail is opened anew.
    """

    def __init__(
        self, faults: Callable[[Image], tuple[str, ...]], *, along_um: float, blind_um: int
    ) -> None:
        self._faults = faults
        self._along_um = along_um
        self._moved_um = _ROWS * along_um
        self._compared_um = _TEXTURE_ROWS * along_um
        self._blind_um = blind_um
        self._last: tuple[Image, int] | None = None
        self._compared: tuple[Texture, int] | None = None
        self._doubts = 0  # pictures that must be new until one is believed
        self._laid: tuple[Relief, int] | None = None
        self._unmoved = 0  # pictures that must have moved until one is believed
        self._opens_anew = False  # the next picture is the first since then
        self._seen_um: int | None = None  # where something could be seen

    @property
    def is_doubted(self) -> bool:
        """The camera was frozen of late, and its latest picture may be of then."""
        return self._doubts > 0 or self._unmoved > 0

    def check(self, image: Image, position_um: int) -> bool:
        """Whether something can be seen in it; CameraError if the camera must be opened anew."""
        self._check_size(image)
        reasons = self._faults(image)
        self._check_new(image, position_um, reasons)
        if not reasons or self._seen_um is None:
            self._seen_um = position_um
        elif position_um - self._seen_um >= self._blind_um:
            self._seen_um = position_um
            raise CameraError(_blind(reasons))
        return not reasons

    def _check_size(self, image: Image) -> None:
        if self._last is None:
            return
        now, was = image.shape, self._last[0].shape
        if now != was:
            raise CameraError(
                f"the picture is {size(now)}, and was {size(was)}: set the camera to one size, and "
                "start again if it was changed on purpose"
            )

    def _check_new(self, image: Image, position_um: int, reasons: tuple[str, ...]) -> None:
        """What is wrong with the first picture since the camera was opened anew is not said, nor is
        it believed: many a camera begins with the same one each time.
        """
        is_first, self._opens_anew = self._opens_anew, False
        wrong = self._wrong(image, position_um, reasons)
        if wrong is not None and not is_first:
            self._opens_anew = True
            raise CameraError(wrong)

    def _wrong(self, image: Image, position_um: int, reasons: tuple[str, ...]) -> str | None:
        """Why it cannot be what the camera sees now."""
        if self._is_last(image, position_um) or self._looks_the_same(image, position_um):
            self._doubts = _NEW_AGAIN
            return _blind(reasons) if reasons else _AGAIN
        return None if reasons else self._moved_wrongly(image, position_um)

    def _is_last(self, image: Image, position_um: int) -> bool:
        """To the bit, though the rail moved."""
        if self._last is None or not np.array_equal(image, self._last[0]):
            self._last = image, position_um
            return False
        return abs(position_um - self._last[1]) >= self._moved_um

    def _looks_the_same(self, image: Image, position_um: int) -> bool:
        """But for what a codec made of it; if not, there is one doubt less."""
        before = self._compared
        if before is not None and abs(position_um - before[1]) < self._compared_um:
            return False
        texture = texture_of(image)
        self._compared = texture, position_um
        if before is not None and likeness(texture, before[0]) >= _ALIKE:
            return True
        self._doubts = max(0, self._doubts - 1)
        return False

    def _moved_wrongly(self, image: Image, position_um: int) -> str | None:
        """Not as the rail did, whatever noise is over it."""
        before = self._laid
        moved_rows = 0.0 if before is None else (position_um - before[1]) / self._along_um
        if before is not None and abs(moved_rows) < LEAST_CELLS * before[0].row_px:
            return None
        relief = relief_of(image)
        self._laid = relief, position_um
        if before is None:
            return None
        overlay = Overlay(before[0], relief)
        turned = overlay.is_turned(moved_rows)
        if turned or overlay.stands():
            self._unmoved = _NEW_AGAIN
            return _TURNED if turned else _AGAIN
        self._unmoved = max(0, self._unmoved - 1)
        return None


def _blind(reasons: tuple[str, ...]) -> str:
    return f"{'; '.join(reasons)}: see to lamp, lens and exposure"
