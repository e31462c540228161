"""Validation on whole pictures of track: what is found at half a false alarm a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edge.errors import ConfigurationError
from reference.data import Pair
from reference.datasets import Sample, list_samples
from reference.datasets.rail_defect import LAYOUT
from reference.evaluation.found import FALSE_ALARMS, THRESHOLDS, Point, best_within
from reference.recipe import Recipe
from reference.trained.rail_answer import Reading, look_with, points_of


@dataclass(frozen=True)
class Track:
    """Whole pictures to count on, and the classes of their boxes that do not count."""

    samples: Sequence[Sample]
    ignored: frozenset[str]

    def points(
        self, network: nn.Module, recipe: Recipe, thresholds: Sequence[float] = THRESHOLDS
    ) -> list[Point]:
        """What a recipe's network finds, and what of it is false, at each threshold."""
        points, _ = points_of(
            self.samples,
            look_with(network, recipe),
            Reading(recipe.names, frozenset(recipe.report_only)),
            self.ignored,
            thresholds,
            rows=recipe.validation.size,
            width_px=recipe.validation.size,
        )
        return points

    def figures(self, network: nn.Module, recipe: Recipe) -> dict[str, float]:
        """The best point with few enough false alarms."""
        best = best_within(self.points(network, recipe), FALSE_ALARMS)
        if best is None:
            return {"found": 0.0, "named_right": 0.0}
        found, named = best.tally.found_share, best.tally.named_right
        return {"found": round(found or 0.0, 5), "named_right": round(named or 0.0, 5)}


def held_out_track(recipe: Recipe, data_root: Path, held_out: Sequence[Pair]) -> Track | None:
    """The whole pictures of track that are held out; None where the best is chosen otherwise."""
    if recipe.validation.best != "found":
        return None
    names = {pair.name for pair in held_out}
    for section in recipe.data:
        if section.layout == LAYOUT:
            listing = list_samples(data_root / section.path, section.layout)
            samples = [sample for sample in listing.samples if sample.name in names]
            return Track(samples, frozenset(section.ignore))
    raise ConfigurationError(f"validation.best: found counts on {LAYOUT}: add it to data")
