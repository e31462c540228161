"""The frames that two networks judge otherwise, as a page that somebody can decide by."""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from itertools import count

import cv2
import numpy as np

from edge.bundle import Bundle
from edge.html import facts, section
from edge.html.page import page
from edge.inspect import draw_overlay
from edge.types import Frame, Image, Mask, Verdict

MOST_SHOWN = 24
_SIDE_PX = 480  # of a picture; larger ones are shrunk
_AGREED = 0.5  # masks of the same verdict that overlap by less are shown too


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A picture as one network sees it."""

    verdict: Verdict
    mask: Mask


@dataclass(frozen=True, slots=True)
class Evidence:
    """One picture, drawn at once: what it was drawn from is let go of."""

    index: int
    said: str
    pictures: tuple[bytes, bytes]  # as the old one has it, and the new one


@dataclass
class Differences:
    """The frames whose verdict differs, then those whose masks do, up to so many."""

    otherwise: int = 0  # frames whose verdict differs, shown or not
    _kept: list[tuple[float, int, Evidence]] = field(default_factory=list)  # a heap, least first
    _golden: Evidence | None = None
    _order: Iterator[int] = field(default_factory=count)

    def see(self, camera: str, frame: Frame, old: Judged, new: Judged) -> None:
        """Keep what tells most."""
        was, now = old.mask.binary, new.mask.binary
        marked = int(np.count_nonzero(was | now))
        overlap = int(np.count_nonzero(was & now)) / marked if marked else 1.0
        differs = old.verdict.state is not new.verdict.state
        self.otherwise += differs
        weight = (2.0 if differs else 0.0) + 1 - overlap
        if not differs and overlap >= _AGREED:
            return
        if len(self._kept) == MOST_SHOWN and weight <= self._kept[0][0]:
            return
        where = f"frame {frame.index} of {camera} at {frame.stretch.start_um / 1e6:.3f} m"
        said = f"{where}: {_said(old, new)}; masks overlap by {overlap:.2f}"
        evidence = Evidence(frame.index, said, _drawn(frame.image, old, new))
        entry = weight, -next(self._order), evidence
        if len(self._kept) < MOST_SHOWN:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heapreplace(self._kept, entry)

    def see_golden(self, image: Image, old: Judged, new: Judged) -> None:
        """The old one's golden pair, which the new one judges otherwise."""
        said = f"golden pair of the bundle in force: {_said(old, new)}"
        self._golden = Evidence(-1, said, _drawn(image, old, new))

    def shown(self) -> list[Evidence]:
        """Along the rail, after the golden pair."""
        along = sorted((each for *_, each in self._kept), key=lambda each: each.index)
        return along if self._golden is None else [self._golden, *along]


def difference_page(
    differences: Differences, old: Bundle, new: Bundle, reasons: list[str], frames: int
) -> str:
    """What a person looks at before accepting it."""
    shown = differences.shown()
    said = f"{new.manifest.name} judges {differences.otherwise} of {frames} frames otherwise"
    text = (
        "Left as the bundle in force judges it, right as the new one does. Is the new one right? "
        "Then activate it again with --accept-difference, which accepts the difference and nothing "
        "else. If not: train it further."
    )
    figures = "".join(map(_figure, shown))
    told = [
        ("in force", f"{old.manifest.name}, sha256 {old.digest}"),
        ("new", f"{new.manifest.name}, sha256 {new.digest}"),
        *(("objection", reason) for reason in reasons),
    ]
    return page(
        "difference of bundles",
        said,
        [
            section(f"{len(shown)} pictures", text, f'<div class="frames">{figures}</div>'),
            facts("What was compared", told),
        ],
        good=False,
        style=_STYLE,
    )


def _figure(evidence: Evidence) -> str:
    images = "".join(
        f'<img alt="" src="data:image/jpeg;base64,{b64encode(data).decode()}">'
        for data in evidence.pictures
    )
    caption = escape(evidence.said)
    return f"<figure><div>{images}</div><figcaption>{caption}</figcaption></figure>\n"


def _said(old: Judged, new: Judged) -> str:
    was, now = (
        f"{verdict.state.value} ({reasons})"
        if (reasons := "; ".join(verdict.reasons))
        else verdict.state.value
        for verdict in (old.verdict, new.verdict)
    )
    return f"{was}; new: {now}"


def _drawn(image: Image, *judged: Judged) -> tuple[bytes, bytes]:
    old, new = (_jpeg(draw_overlay(image, each.mask, each.verdict)) for each in judged)
    return old, new


def _jpeg(picture: Image) -> bytes:
    scale = _SIDE_PX / max(picture.shape[:2])
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in picture.shape[1::-1])
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    return cv2.imencode(".jpg", picture)[1].tobytes()


_STYLE = """
.frames { display: grid; gap: 1rem; }
.frames figure { margin: 0; }
.frames figure div { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; }
.frames img { width: 100%; border: 1px solid var(--line); }
.frames figcaption { font-size: .8rem; color: var(--quiet); }
"""
