"""Inline SVG: a chart, words in it, and round steps for its axes.

Charts carry classes and no colours; the page that holds them styles both, in light and in dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape


def nice(value: float) -> float:
    """1, 2 or 5 times a power of ten: the first at or above."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(step * decade for step in (1, 2, 5, 10) if step * decade >= value)


def nice_below(value: float) -> float:
    """1, 2 or 5 times a power of ten: the last at or below."""
    decade = 10.0 ** math.floor(math.log10(value))
    return next(step * decade for step in (5, 2, 1) if step * decade <= value)


def text(kind: str, words: str, x: float, y: float, anchor: str = "middle") -> str:
    """Words whose baseline is at `y`."""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def svg(kind: str, width: float, height: float, title: str, parts: Sequence[str]) -> str:
    """A chart, as wide as the page lets it be."""
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
