"""What a training run shows for itself: a progress bar, a CSV log, sample pictures."""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from edge.files import named
from edge.files.image_file import write_image
from reference.data import Pair, Tile, outlined, sheet
from reference.evaluation import LINE, Look

SAMPLES = 8


class Journal:
    """Written beside the checkpoints; a run that goes on goes on writing where they ended."""

    def __init__(self, folder: Path, iteration: int, iterations: int) -> None:
        self.folder = folder
        self._started = time.monotonic()
        self.log = folder / "log.csv"
        folder.mkdir(parents=True, exist_ok=True)
        self._forget_after(iteration)
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("", total=iterations, completed=iteration)

    def __enter__(self) -> Journal:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, iteration: int, loss: float) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=iteration, description=f"loss {loss:.4f}")

    def enter(self, row: dict[str, float]) -> None:
        """One line of the log, and on stdout as JSON."""
        row = row | {"seconds": round(time.monotonic() - self._started, 1)}
        fresh = not self.log.exists()
        with named(self.log), self.log.open("a", newline="") as file:
            writer = csv.DictWriter(file, row)
            if fresh:
                writer.writeheader()
            writer.writerow(row)
        print(json.dumps(row), flush=True)

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

    def _forget_after(self, iteration: int) -> None:
        """Drop what a killed run wrote after its last checkpoint: it will come again."""
        if not self.log.exists():
            return
        with self.log.open(newline="") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        kept = [row for row in rows if len(row) == len(header) and int(row[0]) <= iteration]
        with self.log.open("w", newline="") as file:
            csv.writer(file).writerows([header, *kept])
