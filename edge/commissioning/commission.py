"""`trackside commission`: records what a line in good order looks like, for drift to be told by."""

from __future__ import annotations

from edge.assembly import open_line
from edge.errors import TracksideError
from edge.health import ENOUGH, add_appearance, brightness_distribution, score_distribution
from edge.inspect import Baseline, Inspection, Look, grey, look_at, usual_of
from edge.line_file import HealthSettings, LineSettings
from edge.types import Frame


def commission(config: LineSettings, frames: int, enough: int = ENOUGH) -> Baseline:
    """Run the line, rejects and all, over so many frames, and keep what they look like.

    They are held against the fixed bounds alone: what was usual before may no longer be.
    TracksideError where fewer than `enough` of them could be judged.
    """
    brightness, score = brightness_distribution(frames), score_distribution(frames)
    looks = list[Look]()

    def record(inspection: Inspection) -> None:
        add_appearance(inspection, brightness, score)
        if isinstance(inspection.seen, Frame) and inspection.mask is not None:
            image, across_um = inspection.seen.image, inspection.seen.across_um
            looks.append(look_at(grey(image), line.inspector.region.inside(image, across_um)))

    anew = config.model_copy(update={"health": HealthSettings()})
    with open_line(anew, frames=frames) as line:
        line.run(record)
        digest = line.bundle.digest
    judged = sum(score.counts)
    if judged < enough:
        raise TracksideError(
            f"only {judged} frames could be judged, and {enough} are needed: see what `trackside "
            "check` says of the camera, and let the line run for longer"
        )
    return Baseline(
        line=config.name,
        bundle=digest,
        frames=judged,
        brightness=brightness.counts,
        score=score.counts,
        usual=usual_of(looks),
    )
