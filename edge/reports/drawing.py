"""A chart as shapes, each of a kind: the page makes SVG of them, the paper draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from edge.html import text
from edge.html.svg import svg


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle, and what is told of it where one may point at it."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """Straight, along or across."""

    kind: str
    x: float
    y: float
    to_x: float
    to_y: float


@dataclass(frozen=True, slots=True)
class Words:
    """Their baseline is at `y`."""

    kind: str
    words: str
    x: float
    y: float
    anchor: Literal["start", "middle", "end"] = "middle"


Shape = Box | Line | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """All of a chart, from its left upper corner."""

    kind: str
    title: str
    width: float
    height: float
    shapes: Sequence[Shape]


def as_svg(drawing: Drawing) -> str:
    """With classes and no colours; the page styles both."""
    parts = [_svg(shape) for shape in drawing.shapes]
    return svg(drawing.kind, drawing.width, drawing.height, drawing.title, parts)


def _svg(shape: Shape) -> str:
    match shape:
        case Box():
            title = f"<title>{escape(shape.title)}</title>" if shape.title else ""
            return (
                f'<rect class="{escape(shape.kind)}" x="{shape.x:.1f}" y="{shape.y:.1f}" '
                f'width="{shape.width:.1f}" height="{shape.height:.1f}">{title}</rect>'
            )
        case Line():
            return (
                f'<path class="{escape(shape.kind)}" '
                f'd="M{shape.x:.1f} {shape.y:.1f}L{shape.to_x:.1f} {shape.to_y:.1f}"/>'
            )
        case Words():
            return text(shape.kind, shape.words, shape.x, shape.y, shape.anchor)
