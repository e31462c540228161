"""The report's pictures: first what got away, then the frames that were not OK, of every kind."""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import chain, count, islice

import cv2
import numpy as np

from edge.assembly import simulated_line
from edge.demo.demo import DemoResult
from edge.demo.words import found_as, place, size, told
from edge.html import section
from edge.inspect import Inspection, draw_overlay
from edge.line_file import SyntheticSettings
from edge.types import Frame, Image, State, Stretch, Verdict

_PICTURES = 12
_PICTURE_PX = 704  # a longer side than this is made smaller
_OUTLINE = (0, 191, 255)  # BGR


@dataclass(frozen=True)
class _Picture:
    image: Image
    title: str
    lines: tuple[str, ...]
    alarm: bool = False


def gallery(result: DemoResult) -> str:
    pictures = list(islice(chain(_got_away(result), _most_various(result)), _PICTURES))
    if not pictures:
        return ""
    return section(
        "Pictures",
        "Red is what the network marked, with a box round each defect that counts. What got away "
        "comes first, its true outline in yellow.",
        f'<div class="pictures">\n{"".join(map(_figure_of, pictures))}</div>',
    )


def _figure_of(picture: _Picture) -> str:
    lines = "".join(f"<br>{escape(line)}" for line in picture.lines)
    return (
        f"<figure{' class=alarm' if picture.alarm else ''}>"
        f'<img src="data:image/jpeg;base64,{_jpeg(picture.image)}" alt="{escape(picture.title)}">'
        f"<figcaption><strong>{escape(picture.title)}</strong>{lines}</figcaption></figure>\n"
    )


def _jpeg(image: Image) -> str:
    scale = min(1.0, _PICTURE_PX / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])[1]
    return b64encode(encoded.tobytes()).decode()


def _got_away(result: DemoResult) -> Iterator[_Picture]:
    """The simulated rail drawn once more, since a frame that was found OK is not kept."""
    camera = result.config.lookout().camera
    assert isinstance(camera, SyntheticSettings)
    line = simulated_line(camera)
    for fate in result.fates:
        if fate.rejected:
            continue
        stretch = fate.defect.stretch
        middle_row = (stretch.start_um + stretch.end_um) // 2 // camera.um_per_px
        image, mask = line.render(middle_row - camera.height_px // 2, camera.height_px)
        canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        around = cv2.dilate(mask, np.ones((7, 7), np.uint8))  # so that it covers no defect
        outlines, _ = cv2.findContours(around, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, _OUTLINE, 1)
        yield _Picture(
            np.asarray(canvas, np.uint8),
            f"✗ {fate.defect.kind} at {place(stretch)}",
            (size(fate.defect), told(fate)),
            alarm=True,
        )


def _most_various(result: DemoResult) -> Iterator[_Picture]:
    """Frames that were not OK: the largest of each kind, then the next of each, and so on."""
    ranks: defaultdict[str, Iterator[int]] = defaultdict(count)
    ranked = []
    for inspection in sorted(result.tally.rejected, key=_marked_mm2, reverse=True):
        kind = _kind(inspection, result)
        ranked.append((next(ranks[kind]), kind, inspection))
    for _, kind, inspection in sorted(ranked, key=lambda r: r[0]):
        seen, verdict = inspection.seen, inspection.verdict
        if isinstance(seen, Frame):
            yield _Picture(
                draw_overlay(seen.image, inspection.mask, verdict),
                f"{kind} at {place(_bad(verdict)[0])}",
                tuple(_lines(verdict)),
            )


def _lines(verdict: Verdict) -> Iterator[str]:
    yield from map(found_as, verdict.defects)
    if not verdict.defects:
        yield from verdict.reasons
    yield from (f"only reported: {each.said}" for each in verdict.reported)


def _marked_mm2(inspection: Inspection) -> float:
    return sum(defect.area_mm2 for defect in inspection.verdict.defects)


def _kind(inspection: Inspection, result: DemoResult) -> str:
    """What the truth calls it."""
    if inspection.verdict.state is State.UNKNOWN:
        return "UNKNOWN"
    for bad in _bad(inspection.verdict):
        for defect in (fate.defect for fate in result.fates):
            if bad.overlaps(defect.stretch):
                return defect.kind
    return "no true defect"


def _bad(verdict: Verdict) -> list[Stretch]:
    """The rail for which a frame is not OK."""
    return [defect.stretch for defect in verdict.defects] or [verdict.stretch]
