"""A report on paper: A4 pages of PDF, drawn by fpdf2 (the extra `report`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from edge.reports.document import Document, Section, Table, Tiles
from edge.reports.drawing import Box, Drawing, Line, Shape, Words

PACKAGES = ("fpdf",)
_Colour = tuple[int, int, int]
_MARGIN_MM, _WIDTH_MM = 16.0, 178.0
_FOOT_MM = 14.0
_INK, _QUIET, _RULE, _PANEL = (28, 33, 38), (93, 103, 112), (221, 226, 230), (245, 247, 248)
_GOOD, _BAD = (16, 112, 74), (179, 38, 30)
_ROW_MM, _TILE_MM = 5.6, 17.0
_KINDS: dict[str, _Colour] = {
    "steel": (227, 232, 236),
    "dark": (107, 118, 128),
    "rejected": _BAD,
    "reported": (176, 132, 0),
    "let-by": (154, 166, 176),
    "before": (170, 182, 192),
    "bar": (34, 115, 184),
    "shade1": (233, 190, 188),
    "shade2": (216, 146, 142),
    "shade3": (196, 88, 82),
    "shade4": _BAD,
}
_SVG_TEXT = 11.0  # high, in a drawing's own units
_LEAST_PT = 6.0  # that is read on paper


class _Paper(FPDF):  # type: ignore[misc]  # which has no types
    """Its foot has the line, and the page's number."""

    def __init__(self, foot: str) -> None:
        super().__init__(format="A4", unit="mm")
        self._foot = foot
        self.set_margins(_MARGIN_MM, 15, _MARGIN_MM)
        self.c_margin = 0  # words begin where rules do
        self.set_auto_page_break(True, _FOOT_MM + 4)
        self.alias_nb_pages()

    def footer(self) -> None:
        self.set_y(-_FOOT_MM)
        self.set_font("Helvetica", size=7.5)
        self.set_text_color(*_QUIET)
        self.cell(_WIDTH_MM - 30, 4, self._foot)
        self.cell(30, 4, f"{self.page_no()} of {{nb}}", align="R")


def as_pdf(of: Document) -> bytes:
    """All of its pages. What the letters of PDF lack, beyond Latin-1, is written \\uNNNN."""
    paper = _Paper(_plain(f"Trackside {of.above}"))
    paper.set_title(_plain(f"Trackside {of.above}"))
    paper.add_page()
    _head(paper, of)
    for each in of.sections:
        _section(paper, each)
    return bytes(paper.output())


def _head(paper: FPDF, of: Document) -> None:
    top = paper.get_y()
    paper.set_x(_MARGIN_MM + 5)
    _font(paper, 9, _QUIET)
    paper.multi_cell(_WIDTH_MM - 5, 4.5, _plain(f"Trackside {of.above}"), **_NEXT)
    paper.set_x(_MARGIN_MM + 5)
    _font(paper, 15, _INK, "B")
    paper.multi_cell(_WIDTH_MM - 5, 7, _plain(of.said), align="L", **_NEXT)
    paper.set_fill_color(*(_GOOD if of.good else _BAD))
    paper.rect(_MARGIN_MM, top, 1.3, paper.get_y() - top, style="F")
    paper.ln(3)


def _section(paper: FPDF, section: Section) -> None:
    _room(paper, 12 + (_height(section.blocks[0]) if section.blocks else 0))
    paper.ln(3.5)
    _font(paper, 11, _INK, "B")
    paper.cell(_WIDTH_MM, 6, _plain(section.title), **_NEXT)
    if section.text:
        _font(paper, 8.5, _QUIET)
        paper.multi_cell(_WIDTH_MM, 4.2, _plain(section.text), align="L", **_NEXT)
    paper.ln(1.5)
    for block in section.blocks:
        match block:
            case Tiles():
                _tiles(paper, block)
            case Table():
                _table(paper, block)
            case Drawing():
                _drawing(paper, block)
        paper.ln(2)


def _height(block: Tiles | Table | Drawing) -> float:
    """Of what should not be parted from its heading."""
    match block:
        case Tiles():
            return -(-len(block.tiles) // 4) * _TILE_MM
        case Table():
            return _ROW_MM * min(4, len(block.rows) + 1)
        case Drawing():
            return min(block.height * _WIDTH_MM / max(block.width, 640), 225)


def _room(paper: FPDF, height: float) -> None:
    if paper.get_y() + height > paper.h - _FOOT_MM - 4 and paper.get_y() > 30:
        paper.add_page()


def _tiles(paper: FPDF, tiles: Tiles) -> None:
    wide, top = _WIDTH_MM / 4, paper.get_y()
    paper.set_draw_color(*_RULE)
    paper.set_line_width(0.2)
    for number, tile in enumerate(tiles.tiles):
        x, y = _MARGIN_MM + number % 4 * wide, top + number // 4 * _TILE_MM
        paper.rect(x, y, wide, _TILE_MM)
        for size, colour, style, down, text in (
            (8, _QUIET, "", 1.6, tile.name),
            (13.5, _INK, "B", 6.0, tile.value),
            (7.5, _QUIET, "", 11.4, tile.note),
        ):
            _font(paper, size, colour, style)
            paper.set_xy(x + 2.5, y + down)
            paper.cell(wide - 4, 5, _fitted(paper, text, wide - 4))
    paper.set_xy(_MARGIN_MM, top - -(-len(tiles.tiles) // 4) * -_TILE_MM)


def _table(paper: FPDF, table: Table) -> None:
    widths = _widths(paper, table)
    if any(table.heads):
        _row(paper, table.heads, widths, table.words, _QUIET)
    for row in table.rows:
        if paper.get_y() + _ROW_MM > paper.h - _FOOT_MM - 4:
            paper.add_page()
            if any(table.heads):
                _row(paper, table.heads, widths, table.words, _QUIET)
        _row(paper, row, widths, table.words, _INK)


def _row(
    paper: FPDF, row: Sequence[str], widths: Sequence[float], words: int, colour: _Colour
) -> None:
    _font(paper, 8.5, colour)
    for number, (text, wide) in enumerate(zip(row, widths, strict=True)):
        align = "L" if number < words else "R"
        paper.cell(wide, _ROW_MM, _fitted(paper, text, wide - 2), align=align)
    paper.ln(_ROW_MM)
    paper.set_draw_color(*_RULE)
    paper.set_line_width(0.15)
    paper.line(_MARGIN_MM, paper.get_y(), _MARGIN_MM + sum(widths), paper.get_y())


def _widths(paper: FPDF, table: Table) -> list[float]:
    """As wide as what is in them, and no wider together than the paper."""
    _font(paper, 8.5, _INK)
    rows = [table.heads, *table.rows]
    widths = [
        max(paper.get_string_width(_plain(row[column])) for row in rows) + 5
        for column in range(len(table.heads))
    ]
    over = sum(widths) - _WIDTH_MM
    if over > 0:  # the widest gives way
        widest = widths.index(max(widths))
        widths[widest] = max(20.0, widths[widest] - over)
    return [wide * min(1.0, _WIDTH_MM / sum(widths)) for wide in widths]


def _drawing(paper: FPDF, drawing: Drawing) -> None:
    """Where it is higher than a page it is drawn smaller."""
    high = paper.h - 15 - _FOOT_MM - 30
    scale = min(_WIDTH_MM / max(drawing.width, 640), high / max(drawing.height, 1))
    _room(paper, drawing.height * scale)
    left, top = _MARGIN_MM, paper.get_y()
    for shape in drawing.shapes:
        _shape(paper, shape, left, top, scale)
    paper.set_xy(_MARGIN_MM, top + drawing.height * scale)


def _shape(paper: FPDF, shape: Shape, left: float, top: float, scale: float) -> None:
    match shape:
        case Box():
            paper.set_fill_color(*_KINDS.get(shape.kind, _QUIET))
            x, y = left + shape.x * scale, top + shape.y * scale
            paper.rect(x, y, shape.width * scale, shape.height * scale, style="F")
        case Line():
            paper.set_draw_color(*_RULE)
            paper.set_line_width(0.2)
            ends = (shape.x, shape.y, shape.to_x, shape.to_y)
            x, y, to_x, to_y = (value * scale for value in ends)
            paper.line(left + x, top + y, left + to_x, top + to_y)
        case Words():
            strong = shape.kind == "name"
            size = max(_LEAST_PT, _SVG_TEXT * scale / 0.3528 * 0.92)  # points, of millimetres
            _font(paper, size, _INK if strong else _QUIET, "B" if strong else "")
            text = _plain(shape.words)
            shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor]
            x = left + shape.x * scale - shift * paper.get_string_width(text)
            paper.text(x, top + shape.y * scale, text)


_NEXT: dict[str, Any] = {"new_x": XPos.LMARGIN, "new_y": YPos.NEXT}


def _font(paper: FPDF, size: float, colour: _Colour, style: Any = "") -> None:
    paper.set_font("Helvetica", style=style, size=size)
    paper.set_text_color(*colour)


def _fitted(paper: FPDF, text: str, wide: float) -> str:
    """Cut where it does not fit, and it is seen that it was."""
    plain = _plain(text)
    if paper.get_string_width(plain) <= wide:
        return plain
    while plain and paper.get_string_width(f"{plain}...") > wide:
        plain = plain[:-1]
    return f"{plain}..."


def _plain(text: str) -> str:
    return text.encode("latin-1", "backslashreplace").decode("latin-1")
