"""On how many pictures of track the rail's head is found, and where: `python -m
benchmarks.rail_heads DIR --out sheet.jpg`.

A line whose region follows the rail, and `trackside predict rail`, look for it in the same way. The
contact sheet shows each picture with the strip that would be looked at, for somebody to look at: a
band that is found need not be the rail.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer

from edge.errors import FrameError, UsageError
from edge.files.image_file import read_image, write_image
from edge.inspect import collect_images
from edge.inspect.rail_head import HEAD_MM, STRIP_MM, head_strip
from edge.types import Image

_SIDE_PX, _A_ROW = 160, 20  # of a picture on the sheet, and pictures in each of its rows
_FOUND, _NOT_FOUND = (80, 220, 80), (60, 60, 255)  # BGR


@dataclass(frozen=True, eq=False)
class Looked:
    """One picture, and why no head was found in it, if none was."""

    path: Path
    small: Image
    why_not: str | None


def look(path: Path, um_per_px: float) -> Looked:
    """For the head of a rail, at the picture's own scale."""
    image = read_image(path, colour=False)
    head_px, strip_px = (round(mm * 1000 / um_per_px) for mm in (HEAD_MM, STRIP_MM))
    try:
        strip, why_not = head_strip(image, head_px, strip_px), None
    except FrameError as error:
        strip, why_not = np.zeros_like(image), str(error)
    return Looked(path, _small(image, strip, found=why_not is None), why_not)


def _small(image: Image, strip: Image, *, found: bool) -> Image:
    size = (_SIDE_PX, _SIDE_PX)
    drawn = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    inside = cv2.resize(strip, size, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(drawn, outlines, -1, _FOUND, 1)
    if not found:
        cv2.rectangle(drawn, (1, 1), (_SIDE_PX - 2, _SIDE_PX - 2), _NOT_FOUND, 3)
    return np.asarray(drawn, np.uint8)


def contact_sheet(pictures: Sequence[Looked]) -> Image:
    """All of them, in their order, row by row."""
    rows = -(-len(pictures) // _A_ROW)
    columns = min(len(pictures), _A_ROW)
    sheet = np.zeros((rows * _SIDE_PX, columns * _SIDE_PX, 3), np.uint8)
    for number, each in enumerate(pictures):
        top, left = _SIDE_PX * (number // _A_ROW), _SIDE_PX * (number % _A_ROW)
        sheet[top : top + _SIDE_PX, left : left + _SIDE_PX] = each.small
    return sheet


def main(
    paths: Annotated[list[Path], typer.Argument(help="Pictures of track, or folders of them.")],
    out: Annotated[Path, typer.Option(help="The contact sheet, *.jpg or *.png.")],
    um_per_px: Annotated[
        float, typer.Option(min=0.01, help="Micrometres a pixel of theirs shows.")
    ] = 250,
) -> None:
    """Look for the rail's head in each picture, and draw the sheet."""
    try:
        pictures = [look(path, um_per_px) for path in collect_images(paths)]
    except UsageError as error:
        sys.exit(str(error))
    write_image(out, contact_sheet(pictures))
    for each in pictures:
        if each.why_not is not None:
            print(f"{each.path}: {each.why_not}")
    found = sum(each.why_not is None for each in pictures)
    print(f"the head was found in {found} of {len(pictures)} pictures; {out} shows where")


if __name__ == "__main__":
    typer.run(main)
