"""Whether a picture can be what the camera sees now: of one size, not the last again, not blind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge.cameras import size
from edge.errors import CameraError
from edge.types import Image

_ROWS = 2  # rail that moved by so many looks different


class Sight:
    """Watches the pictures of one camera, over its reopenings.

    `faults` says why nothing could be seen in a picture; one that stays blind for `blind_um` of
    rail is opened anew.
    """

    def __init__(
        self, faults: Callable[[Image], tuple[str, ...]], *, along_um: float, blind_um: int
    ) -> None:
        self._faults = faults
        self._moved_um = _ROWS * along_um
        self._blind_um = blind_um
        self._last: tuple[Image, int] | None = None
        self._seen_um: int | None = None  # where something could be seen

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
        if self._last is None or not np.array_equal(image, self._last[0]):
            self._last = image, position_um
        elif abs(position_um - self._last[1]) >= self._moved_um:
            again = "the same picture again while the rail moved: restart the camera"
            raise CameraError(_blind(reasons) if reasons else again)


def _blind(reasons: tuple[str, ...]) -> str:
    return f"{'; '.join(reasons)}: see to lamp, lens and exposure"
