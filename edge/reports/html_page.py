"""A report as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

from html import escape

from edge.html import section, wide
from edge.html.page import page
from edge.reports.document import Block, Document, Table, Tiles
from edge.reports.drawing import as_svg


def as_page(of: Document) -> str:
    """The page."""
    sections = [
        section(escape(each.title), escape(each.text), "\n".join(map(_block, each.blocks)))
        for each in of.sections
    ]
    return page(of.above, of.said, sections, good=of.good, style=_STYLE)


def _block(block: Block) -> str:
    match block:
        case Tiles():
            cells = "".join(
                f"<div><dt>{escape(tile.name)}</dt><dd><strong>{escape(tile.value)}</strong> "
                f"{escape(tile.note)}</dd></div>\n"
                for tile in block.tiles
            )
            return f'<dl class="numbers">\n{cells}</dl>'
        case Table():
            return wide(_table(block))
        case _:
            return wide(as_svg(block))


def _table(table: Table) -> str:
    heads = "".join(_cell("th", text, n, table) for n, text in enumerate(table.heads))
    rows = "".join(
        f"<tr>{''.join(_cell('td', text, n, table) for n, text in enumerate(row))}</tr>\n"
        for row in table.rows
    )
    head = f"<tr>{heads}</tr>\n" if any(table.heads) else ""
    return f"<table>\n{head}{rows}</table>"


def _cell(tag: str, text: str, number: int, table: Table) -> str:
    kind = "" if number < table.words else " class=right"
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


_STYLE = """
:root { --steel: #e3e8ec; --dark: #6b7680; --found: #2273b8; --told: #b08400; --lets: #9aa6b0; }
@media (prefers-color-scheme: dark) {
  :root {
    --steel: #262d32; --dark: #0a0c0e; --found: #6db3ef; --told: #d8b13c; --lets: #66717a;
  }
}
table { margin-bottom: 1rem; }
svg.surface { min-width: 44rem; }
svg.latency, svg.trend { max-width: 40rem; }
svg text.name { fill: var(--ink); font-weight: 600; }
.steel { fill: var(--steel); }
.dark { fill: var(--dark); }
.rejected { fill: var(--bad); }
.reported { fill: var(--told); }
.let-by, .before { fill: var(--lets); }
.bar { fill: var(--found); }
.shade1 { fill: color-mix(in srgb, var(--bad) 30%, var(--steel)); }
.shade2 { fill: color-mix(in srgb, var(--bad) 50%, var(--steel)); }
.shade3 { fill: color-mix(in srgb, var(--bad) 75%, var(--steel)); }
.shade4 { fill: var(--bad); }
"""
