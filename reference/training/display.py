"""Where a training run is shown as it goes on: to a person on a terminal, to a script as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from reference.training.page import Row, Story

_BLOCKS, _PLAIN = "▁▂▃▄▅▆▇█", "_.-=+*#@"
_WIDE = 40  # of a curve, in characters
_LABEL = 16


class Display(Protocol):
    """Is entered before the first step."""

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...

    def advance(self, iteration: int, loss: float) -> None:
        """A step was made."""
        ...

    def enter(self, row: Row, *, better: bool) -> None:
        """A row of the log; whether it is of the best weights so far."""
        ...


class JsonLines:
    """Each row of the log as an object on stdout."""

    def __enter__(self) -> JsonLines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def advance(self, iteration: int, loss: float) -> None:
        """Too much for a script."""

    def enter(self, row: Row, *, better: bool) -> None:
        print(json.dumps(row), flush=True)


class LiveDisplay:
    """How far it is, how long it will take, both curves, and the best so far."""

    def __init__(self, console: Console, story: Story, folder: Path, reached: int) -> None:
        self._figure = story.figure
        self._losses: list[float] = []
        self._figures = [row[story.figure] for row in story.rows if story.figure in row]
        self._best = story.best
        self._where = f"pictures in {folder / 'samples'}, curves in {folder / 'report.html'}"
        self._blocks = _BLOCKS if console.encoding.startswith("utf") else _PLAIN
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("training", total=story.iterations, completed=reached)
        self._live = Live(console=console, get_renderable=self._shown, refresh_per_second=4)

    def __enter__(self) -> LiveDisplay:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def advance(self, iteration: int, loss: float) -> None:
        self._losses.append(loss)
        self._progress.update(self._task, completed=iteration)

    def enter(self, row: Row, *, better: bool) -> None:
        if self._figure not in row:
            return
        self._figures.append(row[self._figure])
        if better:
            self._best = row

    def _shown(self) -> Group:
        lines = [_line("loss", self._losses, self._blocks)]
        if self._figures:
            lines.append(_line(self._figure, self._figures, self._blocks))
        if self._best is not None:
            figure, iteration = self._best[self._figure], self._best["iteration"]
            lines.append(f"{'best so far':<{_LABEL}}{figure:<9.4f} at iteration {iteration:g}")
        return Group(self._progress, *map(Text, lines), Text(self._where, style="dim"))


def _line(name: str, values: Sequence[float], blocks: str) -> str:
    if not values:
        return f"{name:<{_LABEL}}..."
    parts = np.array_split(np.asarray(values), min(_WIDE, len(values)))
    means = np.array([part.mean() for part in parts])
    low, high = float(means.min()), float(means.max())
    steps = (means - low) / (high - low or 1) * (len(blocks) - 1)
    curve = "".join(blocks[round(step)] for step in steps.tolist())
    return f"{name:<{_LABEL}}{means[-1]:<9.4f} {curve}"
