"""Simulated frames as a training set on disk: images, exact masks, and what each frame shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from edge.files.image_file import write_image
from edge.simulation.line import SimulatedLine
from edge.simulation.surface import SURFACES


def write_dataset(
    out: Path, template: SimulatedLine, *, frames: int, lines: int, height_px: int
) -> Iterator[int]:
    """Write `images/`, `masks/` (0 or 255), `labels/` (class numbers), `classes.json` and
    `frames.jsonl`; yields after each frame.

    Frames are spread over `lines` surfaces, seeded one after the other from the template's seed:
    one surface alone would teach a network its lamp and its texture. Of steel, rail and strip take
    turns; a template of track has tracks alone.
    """
    for folder in ("images", "masks", "labels"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    surfaces = ("track",) if template.surface == "track" else SURFACES
    kinds = template.classes
    (out / "classes.json").write_text(json.dumps(kinds))
    with (out / "frames.jsonl").open("w") as record:
        for number in range(frames):
            seed = template.seed + number % lines
            line = replace(template, seed=seed, surface=surfaces[seed % len(surfaces)])
            start_row = number // lines * height_px
            image, labels = line.render(start_row, height_px)
            name = f"{number:06d}.png"
            write_image(out / "images" / name, image)
            write_image(out / "masks" / name, np.where(labels > 0, 255, 0).astype(np.uint8))
            write_image(out / "labels" / name, labels)
            shown = [kinds[label - 1] for label in np.unique(labels) if label]
            row = {"image": name, "seed": seed, "start_row": start_row, "kinds": shown}
            print(json.dumps(row), file=record)
            yield number
