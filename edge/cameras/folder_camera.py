"""The images of a folder as frames: a recorded line inspected again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge.cameras.camera import EndToEnd, as_it_is
from edge.errors import CameraError, FrameError
from edge.files.image_file import IMAGE_SUFFIXES, read_image
from edge.types import Frame, Image, LostFrame


class FolderCamera:
    """Shows a folder's images in natural order (2 before 10), as fast as they are asked for."""

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
        self._images = _find_images(path)
        self._colour = colour
        self._rectify = rectify
        self._clock_ns = clock_ns
        self._layout = EndToEnd(self._first_shape(), along_um, across_um)
        self._closed = False

    def frames(self) -> Iterator[Frame | LostFrame]:
        for index, path in enumerate(self._images):
            if self._closed:
                return
            try:
                image = self._read(path)
            except FrameError as error:
                yield self._layout.lost(index, str(error), self._clock_ns())
            else:
                yield self._layout.frame(index, image, self._clock_ns())

    def close(self) -> None:
        self._closed = True

    def _first_shape(self) -> tuple[int, ...]:
        """Of the first image that can be read: the size all of them should have."""
        for path in self._images:
            try:
                return self._read(path).shape
            except FrameError as error:
                last = error  # `frames` reports each
        raise CameraError(
            f"none of the {len(self._images)} images in {self._images[0].parent} can be used: "
            f"{last}"
        )

    def _read(self, path: Path) -> Image:
        return self._rectify(read_image(path, colour=self._colour))


def _find_images(folder: Path) -> list[Path]:
    try:
        images = images_in(folder)
    except OSError as error:
        raise CameraError(
            f"{folder}: {error.strerror}: set the camera's path to a folder of images"
        ) from error
    if not images:
        raise CameraError(f"{folder} holds no image: put {', '.join(sorted(IMAGE_SUFFIXES))} there")
    return images


def images_in(folder: Path) -> list[Path]:
    """In natural order; hidden ones are somebody's notes on others."""
    names = (
        path.name
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    return [folder / name for name in in_natural_order(names)]


def in_natural_order(names: Iterable[str]) -> list[str]:
    """2 before 10."""
    return sorted(names, key=_natural)


def _natural(name: str) -> tuple[list[str | int], str]:
    parts = re.split(r"(\d+)", name)  # text, number, text, ...
    return [int(part) if n % 2 else part for n, part in enumerate(parts)], name
