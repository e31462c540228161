"""What a training run writes of itself beside its checkpoints: a log, sample pictures, a page."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edge.files import named
from edge.files.image_file import write_image
from reference.data import Pair, Tile, outlined, sheet
from reference.evaluation import LINE, Look
from reference.recipe import Recipe
from reference.training.display import Display
from reference.training.outcomes import Outcomes, read_outcomes, write_outcomes
from reference.training.page import Row, Story, write_page
from reference.training.run import Run

SAMPLES = 8
LOG, PAGE = "log.csv", "report.html"
_OUTCOMES = "outcomes.json"


class Journal:
    """Written beside the checkpoints; a run that goes on goes on writing where they ended."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        iteration: int,
        iterations: int,
        *,
        resumed_from: Path | None = None,
    ) -> None:
        self.folder = folder
        self.reached = iteration
        self._recipe = recipe
        self._iterations = iterations
        self._displays: Sequence[Display] = ()
        self._opened = ExitStack()
        self._started = time.monotonic()
        self.log = folder / LOG
        folder.mkdir(parents=True, exist_ok=True)
        before = folder if resumed_from is None or self.log.exists() else resumed_from.parent
        self._rows = self._goes_on(before / LOG, iteration)
        self._outcomes = read_outcomes(before / _OUTCOMES, iteration) if self._rows else None
        if self._outcomes is not None and before != folder:
            self.keep(self._outcomes)

    @property
    def story(self) -> Story:
        """The whole run, whatever made it stop and go on."""
        return Story(
            str(self.folder), self._recipe, tuple(self._rows), self._iterations, self._outcomes
        )

    @property
    def no_better(self) -> bool:
        """Whether the best is as many validations old as the recipe has patience for."""
        patience, best = self._recipe.validation.patience, self.story.best
        if patience is None or best is None:
            return False
        after = [row for row in self._rows if row["iteration"] > best["iteration"]]
        return len(after) >= patience

    def show_on(self, displays: Sequence[Display]) -> None:
        """Where it is shown from entering on."""
        self._displays = displays

    def __enter__(self) -> Journal:
        for display in self._displays:
            self._opened.enter_context(display)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def advance(self, iteration: int, loss: float) -> None:
        """A step was made."""
        for display in self._displays:
            display.advance(iteration, loss)

    def enter(self, row: dict[str, float], *, better: bool) -> None:
        """One line of the log, and wherever it is shown."""
        row = row | {"seconds": round(time.monotonic() - self._started, 1)}
        fresh = not self.log.exists()
        with named(self.log), self.log.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        self._rows.append(row)
        for display in self._displays:
            display.enter(row, better=better)

    def keep(self, outcomes: Outcomes) -> None:
        """What the best weights so far make of each held-out picture."""
        self._outcomes = outcomes
        write_outcomes(outcomes, self.folder / _OUTCOMES)

    def page(self) -> None:
        """Write the page of the run so far."""
        write_page(self.story, self.folder / PAGE)

    def picture(self, look: Look, pairs: list[Pair], iteration: int) -> None:
        """A few held-out images, their defects outlined, each beside the network's answer."""
        tiles: list[Tile] = []
        for pair in pairs[:: -(-len(pairs) // SAMPLES)]:
            shown = LINE.finish(look(pair.image).probability, pair.mask.shape)
            answer = np.rint(shown * 255).astype(np.uint8)
            truth = outlined(pair.image, pair.mask)
            tiles += [Tile(truth, [pair.name]), Tile(answer, [pair.class_name])]
        path = self.folder / "samples" / f"{iteration:06d}.png"
        path.parent.mkdir(exist_ok=True)
        write_image(path, sheet(tiles, columns=4))

    def _goes_on(self, before: Path, iteration: int) -> list[Row]:
        """The rows so far, without what a killed run wrote after its last checkpoint."""
        if not before.exists():
            return []
        header, *rows = _read(before)
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= iteration]
        with named(self.log), self.log.open("w", newline="") as file:
            csv.writer(file).writerows([header, *kept])
        return _rows(header, kept)


def story_of(folder: Path, run: Run) -> Story:
    """The whole story of a run that is done, by what it left."""
    header, *rows = _read(folder / LOG)
    outcomes = read_outcomes(folder / _OUTCOMES, run.iteration)
    return Story(str(folder), run.recipe, _rows(header, rows), run.iteration, outcomes)


def _read(log: Path) -> list[list[str]]:
    with log.open(newline="") as file:
        return list(csv.reader(file)) or [[]]


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Row]:
    return [dict(zip(header, map(float, row), strict=True)) for row in rows]
