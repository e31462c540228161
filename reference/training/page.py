"""A training run as one HTML page that needs nothing else: curves, pictures, threshold."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from edge.files import write_whole
from edge.html import facts, section, wide
from edge.html.page import page
from reference.recipe import Recipe
from reference.training.charts import line_chart
from reference.training.outcomes import Outcomes, Shown

Row = Mapping[str, float]  # of the log

_RATES = ("false_reject_rate", "escape_rate", "mae")  # the smaller the better
_THRESHOLDS = tuple(step / 50 for step in range(1, 50))


@dataclass(frozen=True)
class Story:
    """All that the page tells of a run."""

    name: str
    recipe: Recipe
    rows: Sequence[Row]  # from the first validation of the run, whoever made it
    iterations: int  # that it will have
    outcomes: Outcomes | None

    @property
    def figure(self) -> str:
        """What decides the best."""
        return self.recipe.validation.best

    @property
    def best(self) -> Row | None:
        """The first row with the greatest figure, as the best checkpoint is kept."""
        measured = [row for row in self.rows if math.isfinite(row.get(self.figure, math.nan))]
        return max(measured, key=lambda row: row[self.figure], default=None)


def write_page(story: Story, path: Path) -> None:
    """Write it, in place of the one before."""
    sections = [
        *_curves(story),
        _threshold(story.outcomes),
        *_pictures(story.outcomes),
        facts("What was trained", _facts(story)),
    ]
    done = bool(story.rows) and story.rows[-1]["iteration"] >= story.iterations
    above = f"training, {story.name}"
    write_whole(path, page(above, headline(story), sections, good=done, style=_STYLE))


def headline(story: Story) -> str:
    """How far it is, and how good it was at best."""
    reached = story.rows[-1]["iteration"] if story.rows else 0
    place = f"iteration {reached:g} of {story.iterations}"
    best = story.best
    if best is None:
        return place
    return f"{place}; best {story.figure} {best[story.figure]:.4f} at {best['iteration']:g}"


def _curves(story: Story) -> Iterator[str]:
    rows, best = story.rows, story.best
    mark = None if best is None else best["iteration"]
    losses = {"loss": [(row["iteration"], row["loss"]) for row in rows]}
    chart = line_chart("Loss", "iteration", losses, mark=mark)
    yield section("Loss", "Mean of the training loss since the row before.", wide(chart))
    figures = [name for name in _measured(rows) if name not in _RATES]
    figures.sort(key=lambda name: name != story.figure)
    chart = line_chart("Validation", "iteration", _lines(rows, figures[:4]), mark=mark)
    if chart:
        text = "On the held-out pictures, the larger the better; the line is where it was best."
        yield section("Validation", text, wide(chart))
    rates = [name for name in _RATES if name in _measured(rows)]
    if chart := line_chart("Validation", "iteration", _lines(rows, rates), mark=mark):
        yield section("Errors", "The smaller the better.", wide(chart))


def _measured(rows: Sequence[Row]) -> list[str]:
    other = {"iteration", "loss", "learning_rate", "seconds"}
    return list(dict.fromkeys(name for row in rows for name in row if name not in other))


def _lines(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    return {name: [(row["iteration"], row[name]) for row in rows if name in row] for name in names}


def _threshold(outcomes: Outcomes | None) -> str:
    if outcomes is None or not outcomes.defective:
        return ""
    lines = {"pictures that escape": [(t, outcomes.escapes(t) or 0.0) for t in _THRESHOLDS]}
    if outcomes.sound:
        lines["false rejects"] = [(t, outcomes.false_rejects(t) or 0.0) for t in _THRESHOLDS]
        sound = f"{len(outcomes.sound)} sound ones"
    else:
        sound = "no sound one, so that false rejects are not told"
    text = (
        f"By the best weights, over {len(outcomes.defective)} held-out pictures with a defect and "
        f"{sound}, where any pixel above the threshold rejects. `trackside tune` tells it of a "
        "line, with its rules and with intervals."
    )
    chart = line_chart("Escapes and false rejects", "threshold", lines)
    return section("Escapes against false rejects", escape(text), wide(chart))


def _pictures(outcomes: Outcomes | None) -> Iterator[str]:
    if outcomes is None:
        return
    text = "Left the picture, its defects outlined; right what the network makes of it."
    yield section("Worst held-out pictures", text, _gallery(outcomes.worst))
    yield section("Best held-out pictures", "", _gallery(outcomes.best))


def _gallery(pictures: Sequence[Shown]) -> str:
    figures = "".join(
        f'<figure><img alt="" src="data:image/png;base64,{each.png}">'
        f"<figcaption>{escape(each.name)}: {escape(each.said)}</figcaption></figure>\n"
        for each in pictures
    )
    return f'<div class="pictures">\n{figures}</div>'


def _facts(story: Story) -> Iterator[tuple[str, str]]:
    recipe = story.recipe
    yield "network", ", ".join(f"{key} {value}" for key, value in recipe.network.items())
    for data in recipe.data:
        yield "data", f"{data.path} ({data.layout}), {data.share} pictures of each batch"
    yield "crop, validation size", f"{recipe.crop}, {recipe.validation.size} pixels"
    yield "learning rate", f"{recipe.learning_rate:g}, {recipe.schedule.name}"
    if recipe.start_from is not None:
        yield "begins with", recipe.start_from
    yield "seed", str(recipe.seed)


_STYLE = """
.curves .grid { stroke: var(--line); }
.curves .line { fill: none; stroke-width: 2; }
.curves .line0 { stroke: #2f74a8; } .curves .line1 { stroke: #c4541d; }
.curves .line2 { stroke: #3c8d4f; } .curves .line3 { stroke: #8a5fb0; }
.curves .mark { stroke: var(--quiet); stroke-dasharray: 4 4; }
.pictures { display: grid; gap: 1rem; }
.pictures { grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); }
.pictures figure { margin: 0; }
.pictures img { width: 100%; border: 1px solid var(--line); }
.pictures figcaption { font-size: .75rem; color: var(--quiet); overflow-wrap: anywhere; }
"""
