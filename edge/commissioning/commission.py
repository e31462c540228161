"""`trackside commission`: records what a line in good order looks like, for drift to be told by."""

from __future__ import annotations

from pathlib import Path

from edge.assembly import open_line
from edge.errors import TracksideError
from edge.health import (
    ENOUGH,
    Baseline,
    add_appearance,
    brightness_distribution,
    score_distribution,
)
from edge.inspect import Inspection
from edge.line_file import LineConfig


def commission(config: LineConfig, frames: int) -> Baseline:
    """Run the line, rejects and all, over so many frames, and count what is seen."""
    brightness, score = brightness_distribution(frames), score_distribution(frames)

    def record(inspection: Inspection) -> None:
        add_appearance(inspection, brightness, score)

    with open_line(config, frames=frames) as line:
        line.run(record)
        digest = line.bundle.digest
    judged = sum(score.counts)
    if judged < ENOUGH:
        raise TracksideError(
            f"only {judged} frames could be judged, and {ENOUGH} are needed: see what `trackside "
            "check` says of the camera, and let the line run for longer"
        )
    return Baseline(
        line=config.name,
        bundle=digest,
        frames=judged,
        brightness=brightness.counts,
        score=score.counts,
    )


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Whole or not at all: a line that starts meanwhile reads the old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(baseline.model_dump_json(indent=2) + "\n", encoding="utf-8")
    fresh.replace(path)
