"""One page for all lines of a box: what each says of itself, asked of its own live page."""

from edge.overview.overview import overview
from edge.overview.page_address import KnownLine, PageAddress, known_lines
from edge.overview.summary import NoAnswer, summary_of
from edge.overview.watch import Watch

__all__ = [
    "KnownLine",
    "NoAnswer",
    "PageAddress",
    "Watch",
    "known_lines",
    "overview",
    "summary_of",
]
