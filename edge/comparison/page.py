"""A comparison as one HTML page, with pictures of what is new, gone and grown."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from edge.comparison.comparing import Comparison, Pair
from edge.comparison.roll_marks import RollMark
from edge.html import section
from edge.html.page import page
from edge.store import Naming, Thing, picture_path

_MOST = 60  # of each are shown; the table of `--csv` has all
_LARGEST_BYTES = 400_000  # of one picture


@dataclass(frozen=True)
class Side:
    """Where one of the runs is kept, and what its places are called there."""

    store: Path
    naming: Naming

    def place(self, thing: Thing) -> str:
        """Nothing where nobody has named any."""
        return self.naming.named(thing.run, thing.defect.stretch.start_um).text or ""

    def told(self, thing: Thing) -> str:
        """A thing for people."""
        of = thing.defect
        at = f"{of.stretch.start_um / 1e6:.3f} m"
        if place := self.place(thing):
            at += f" ({place})"
        return (
            f"{of.said or of.label} at {at}, {of.length_mm:.1f} by {of.width_mm:.1f} mm, "
            f"{of.area_mm2:.1f} mm²"
        )


def as_page(
    of: Comparison, grown: Sequence[Pair], rolls: Sequence[RollMark], sides: tuple[Side, Side]
) -> str:
    """Red where anything is new or has grown."""
    before, after = sides
    sections = [
        _pairs(grown, before, after),
        _things("New", "Found in the second run alone.", of.new, after),
        _things("Gone", "Found in the first run alone.", of.gone, before),
        _rolls(rolls),
    ]
    return page("compare", headline(of, grown), sections, good=not (of.new or grown), style=_STYLE)


def headline(of: Comparison, grown: Sequence[Pair]) -> str:
    """In a line."""
    said = f"{len(of.new)} new, {len(of.gone)} gone, {len(grown)} grown of {len(of.pairs)} in both"
    if of.elsewhere:
        said += f"; {of.elsewhere} on rail that the other run did not see"
    if of.stretched is not None:
        said += f"; the second run's encoder counts {of.stretched - 1:+.2%}"
    return said


def _pairs(grown: Sequence[Pair], before: Side, after: Side) -> str:
    figures = "".join(
        f"<figure>{_picture(pair.before, before.store)}{_picture(pair.after, after.store)}"
        f"<figcaption><strong>{pair.ratio:.1f} times</strong> {escape(before.told(pair.before))}; "
        f"then {escape(after.told(pair.after))}</figcaption></figure>\n"
        for pair in grown[:_MOST]
    )
    return section(_counted("Grown", grown), "", f'<div class="pictures two">\n{figures}</div>')


def _things(title: str, text: str, things: Sequence[Thing], side: Side) -> str:
    largest = sorted(things, key=lambda thing: -thing.defect.area_mm2)[:_MOST]
    figures = "".join(
        f"<figure>{_picture(thing, side.store)}<figcaption>{escape(side.told(thing))}"
        "</figcaption></figure>\n"
        for thing in largest
    )
    return section(_counted(title, things), text, f'<div class="pictures">\n{figures}</div>')


def _rolls(rolls: Sequence[RollMark]) -> str:
    if not rolls:
        return ""
    items = "".join(f"<li>{escape(str(mark))}</li>\n" for mark in rolls)
    return section("Roll marks in the second run", "", f"<ul>\n{items}</ul>")


def _counted(title: str, some: Sequence[object]) -> str:
    more = f", the {_MOST} largest" if len(some) > _MOST else ""
    return f"{title}: {len(some)}{more}"


def _picture(thing: Thing, store: Path) -> str:
    """None where the store keeps none: it was only reported, or the picture has gone."""
    if thing.picture is None:
        return '<p class="none">no picture</p>'
    try:
        data = picture_path(store, thing.event, thing.picture).read_bytes()
    except OSError:
        data = b""
    if not data or len(data) > _LARGEST_BYTES:
        return '<p class="none">no picture</p>'
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(data).decode()}">'


def rows(of: Comparison, ratio: float, sides: tuple[Side, Side]) -> Iterator[tuple[str, ...]]:
    """Each thing of either run, for a table."""
    before, after = sides
    for pair in of.pairs:
        kind = "grown" if pair.has_grown(ratio) else "same"
        yield (kind, *_row(pair.before, before), *_row(pair.after, after))
    for thing in of.gone:
        yield ("gone", *_row(thing, before), *[""] * len(_COLUMNS))
    for thing in of.new:
        yield ("new", *[""] * len(_COLUMNS), *_row(thing, after))


_SIZES = ("start_mm", "left_mm", "length_mm", "width_mm", "area_mm2")
_COLUMNS = ("event", "camera", "class", "place", *_SIZES)
HEADS = ("kind", *(f"{name}_1" for name in _COLUMNS), *(f"{name}_2" for name in _COLUMNS))


def _row(thing: Thing, side: Side) -> Iterator[str]:
    of = thing.defect
    yield from (str(thing.event), thing.camera, of.label, side.place(thing))
    start_mm, left_mm = of.stretch.start_um / 1000, of.left_um / 1000
    for value in (start_mm, left_mm, of.length_mm, of.width_mm, of.area_mm2):
        yield f"{value:.3f}"


_STYLE = """
.pictures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; }
.pictures.two { grid-template-columns: repeat(2, 1fr); }
figure { margin: 0; break-inside: avoid; }
figure img { max-height: 12rem; max-width: 48%; margin-right: 1%; image-rendering: pixelated; }
.pictures:not(.two) figure img { max-width: 100%; }
figcaption { padding-top: 0.35rem; font-size: 0.85rem; color: var(--quiet); }
figcaption strong { color: var(--bad); }
.none { display: inline-block; margin: 0; padding: 1rem; background: var(--panel); }
@media screen and (max-width: 44rem) {
  .pictures { grid-template-columns: repeat(2, 1fr); }
}
"""
