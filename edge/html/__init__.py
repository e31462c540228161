"""Pages and charts that need nothing else: no script, no network."""

from edge.html.page import facts, section, wide
from edge.html.svg import nice, nice_below, text

__all__ = [
    "facts",
    "nice",
    "nice_below",
    "section",
    "text",
    "wide",
]
