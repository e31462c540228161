"""The frames of a video file: a recorded line inspected again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import RLock

import cv2
import numpy as np

from edge.cameras.camera import EndToEnd, as_it_is
from edge.cameras.ffmpeg_memory import limit_ffmpeg
from edge.errors import CameraError
from edge.types import Frame, Image, LostFrame


class VideoCamera:
    """Shows a video's frames as fast as they are asked for; its own frame rate means nothing.

    A file that is cut short or damaged gives fewer frames than it declares. Decoders skip what they
    cannot read without a word, so the shortfall shows at the end only: the missing frames are lost
    there, and the last one that was decoded with them, since half of it may be made up.
    """

    def __init__(
        self,
        path: Path,
        *,
        along_um: float,
        across_um: float,
        colour: bool,
        clock_ns: Callable[[], int],
        rectify: Callable[[Image], Image] = as_it_is,
    ) -> None:
        if not path.is_file():
            raise CameraError(f"{path} is not a file: set the camera's path to a video")
        self._path = path
        self._colour = colour
        self._rectify = rectify
        self._clock_ns = clock_ns
        limit_ffmpeg()
        self._capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
        # It may be closed while another thread decodes, or by a signal's handler in the same one.
        self._turn = RLock()
        first = self._read()
        if first is None:
            self.close()
            raise CameraError(
                f"{path} is not a video that can be decoded: copy it again, or save it as MJPEG"
            )
        self._first = first
        self._declared = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._layout = EndToEnd(first.shape, along_um, across_um)

    def frames(self) -> Iterator[Frame | LostFrame]:
        image: Image | None = self._first
        index = 0
        while image is not None and self._capture.isOpened():
            following = self._read()
            if following is None and index + 1 < self._declared:
                break
            yield self._layout.frame(index, image, self._clock_ns())
            image, index = following, index + 1
        yield from self._lose_from(index)

    def close(self) -> None:
        with self._turn:
            self._capture.release()

    def _lose_from(self, first: int) -> Iterator[LostFrame]:
        reason = (
            f"{self._path} declares {self._declared} frames and only {first + 1} can be decoded:"
            " it is cut short or damaged, copy it again"
        )
        for index in range(first, self._declared):
            if not self._capture.isOpened():
                return
            yield self._layout.lost(index, reason, self._clock_ns())

    def _read(self) -> Image | None:
        with self._turn:
            decoded, image = self._capture.read()  # always H,W,3
        if not decoded:
            return None
        if not self._colour:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return self._rectify(np.asarray(image, np.uint8))
