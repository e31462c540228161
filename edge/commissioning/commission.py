"""`trackside commission`: records what a line in good order looks like, for drift to be told by."""

from __future__ import annotations

from edge.assembly import open_line
from edge.errors import TracksideError
from edge.health import (
    ENOUGH,
    add_appearance,
    brightness_distribution,
    score_distribution,
    unfamiliar_distribution,
)
from edge.inspect import (
    Baseline,
    Inspection,
    Inspector,
    Look,
    answers_of,
    figures_of,
    grey,
    look_at,
    usual_of,
)
from edge.inspect.familiarity import Figures
from edge.line_file import LineSettings
from edge.types import Frame


def commission(config: LineSettings, frames: int, enough: int = ENOUGH) -> dict[str, Baseline]:
    """Run the line, rejects and all, over so many frames of each camera, and keep what they look
    like, by camera.

    They are held against the fixed bounds alone: what was usual before may no longer be.
    TracksideError where fewer than `enough` of a camera's could be judged.
    """
    seen = {name: _Seen(frames) for name in config.cameras}

    def record(inspection: Inspection) -> None:
        seen[inspection.camera].add(inspection, line.inspectors[inspection.camera])

    anew = {
        name: each.model_copy(update={"baseline": None}) for name, each in config.cameras.items()
    }
    with open_line(config.model_copy(update={"cameras": anew}), frames=frames) as line:
        line.run(record)
        digest = line.bundle.digest
    for name, each in seen.items():
        if each.judged < enough:
            raise TracksideError(
                f"only {each.judged} frames of {name} could be judged, and {enough} are needed: "
                "see what `trackside check` says of it, and let the line run for longer"
            )
    return {name: each.baseline(config.name, digest) for name, each in seen.items()}


class _Seen:
    """What the frames of one camera look like."""

    def __init__(self, frames: int) -> None:
        self._brightness, self._score = brightness_distribution(frames), score_distribution(frames)
        self._looks, self._figures = list[Look](), list[Figures]()

    def add(self, inspection: Inspection, inspector: Inspector) -> None:
        add_appearance(inspection, self._brightness, self._score)
        if isinstance(inspection.seen, Frame) and inspection.mask is not None:
            image, across_um = inspection.seen.image, inspection.seen.across_um
            inside = inspector.region.inside(image, across_um)
            self._looks.append(look_at(grey(image), inside))
            self._figures.append(figures_of(inspection.mask, inside))

    @property
    def judged(self) -> int:
        return sum(self._score.counts)

    def baseline(self, line: str, digest: str) -> Baseline:
        answers, apart = answers_of(self._figures)
        unfamiliar = unfamiliar_distribution(len(apart))
        for each in apart:
            unfamiliar.add(each)
        return Baseline(
            line=line,
            bundle=digest,
            frames=self.judged,
            brightness=self._brightness.counts,
            score=self._score.counts,
            unfamiliar=unfamiliar.counts,
            usual=usual_of(self._looks),
            answers=answers,
        )
