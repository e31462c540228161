"""A result as one HTML page that needs nothing else: no script, no network; light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def page(above: str, said: str, sections: Iterable[str], *, good: bool, style: str) -> str:
    """What it is of, the result in one line, and HTML for the rest; `style` is for that alone."""
    return f"""<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Trackside {escape(above)}: {escape(said)}</title>
<style>{_STYLE}{style}</style>
</head>
<body>
<header class="{"good" if good else "bad"}">
<p>Trackside {escape(above)}</p>
<h1><span aria-hidden="true">{"✓" if good else "✗"}</span> {escape(said)}</h1>
</header>
<main>
{"".join(sections)}</main>
</body>
</html>
"""


def section(title: str, text: str, content: str) -> str:
    """A heading, a sentence or two, and HTML."""
    said = f"<p>{text}</p>\n" if text else ""
    return f"<section>\n<h2>{title}</h2>\n{said}{content}\n</section>\n"


def wide(content: str) -> str:
    """What may be wider than the window, and is then scrolled by itself."""
    return f'<div class="wide" tabindex="0">{content}</div>'


def facts(title: str, known: Iterable[tuple[str, str]]) -> str:
    """A section of names and plain texts."""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>\n" for name, text in known
    )
    return section(title, "", f'<table class="facts">\n{rows}</table>')


_STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #1c2126; --quiet: #5d6770; --line: #dde2e6; --panel: #f5f7f8;
  --good: #10704a; --bad: #b3261e;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181b; --ink: #e4e8eb; --quiet: #98a3ac; --line: #30383e; --panel: #1c2226;
    --good: #5cc998; --bad: #ff8a7d;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 0 1.25rem 3rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums;
}
header { margin: 2rem 0 1.5rem; padding-left: 1rem; border-left: 4px solid; }
header p, section > p, dd, th { color: var(--quiet); }
header p { margin: 0; }
header.good { border-color: var(--good); }
header.bad { border-color: var(--bad); }
h1 { margin: 0; font-size: 1.6rem; line-height: 1.25; font-weight: 600; }
header.good h1 span { color: var(--good); }
header.bad h1 span { color: var(--bad); }
h2 { margin: 2.5rem 0 0.25rem; font-size: 1.1rem; font-weight: 600; }
section > p { margin: 0 0 1rem; max-width: 44rem; font-size: 0.9rem; }
.numbers {
  display: grid; grid-template-columns: repeat(4, 1fr); gap: 1px;
  margin: 0; border: 1px solid var(--line); background: var(--line);
}
.numbers div { padding: 0.6rem 0.9rem; background: var(--paper); }
.numbers dt { font-size: 0.85rem; color: var(--quiet); }
.numbers dd { margin: 0; font-size: 0.85rem; }
.numbers strong { display: block; font-size: 1.4rem; font-weight: 600; color: var(--ink); }
.wide { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; }
svg text { font-size: 11px; fill: var(--quiet); }
svg path { stroke: var(--line); fill: none; }
svg text { stroke: var(--paper); stroke-width: 3px; paint-order: stroke; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.25rem 1.5rem 0.25rem 0; text-align: left; white-space: nowrap; }
th { font-weight: 400; }
tr { border-bottom: 1px solid var(--line); }
.right { text-align: right; }
.facts th, .facts td { vertical-align: top; }
.facts td { white-space: normal; }
@media screen and (max-width: 44rem) {
  .numbers { grid-template-columns: repeat(2, 1fr); }
}
@media print {
  html { font-size: 75%; }
  body { max-width: none; padding: 0; }
  header { margin-top: 0; }
  section:has(svg), tr { break-inside: avoid; }
  h2, section > p { break-after: avoid; }
  .wide { overflow: visible; }
}
"""
