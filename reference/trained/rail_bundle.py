"""What a bundle finds in whole pictures of track, as `predict` finds it, at every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edge.files.image_file import read_image
from edge.inspect import by_bundle, find, naming_of
from edge.network import Network
from edge.types import Defect, Frame
from reference.datasets import Sample
from reference.evaluation.found import Picture, Point, Spot, judge
from reference.trained.rail_answer import labelled_of


def points_of_bundle(
    samples: Sequence[Sample],
    network: Network,
    report_only: frozenset[str],
    ignored: frozenset[str],
    thresholds: Sequence[float],
) -> tuple[list[Point], list[Picture]]:
    """What each threshold makes of the masks, and the pictures as the bundle's own has them.

    In a picture that is UNKNOWN, nothing is found.
    """
    inspector, manifest = by_bundle(network), network.bundle.manifest
    naming = naming_of(inspector.rules, manifest)
    wanted = sorted({*thresholds, manifest.threshold})
    seen: dict[float, list[Picture]] = {threshold: [] for threshold in wanted}
    for sample in samples:
        image = read_image(sample.image, colour=manifest.input.channels == 3)
        inspection = inspector.inspect(image)
        labelled = labelled_of(sample, report_only, ignored)
        for threshold, pictures in seen.items():
            spots: list[Spot] = []
            if inspection.mask is not None:
                assert isinstance(inspection.seen, Frame)
                mask = replace(inspection.mask, threshold=threshold)
                found = find(inspection.seen, mask, manifest.limits, naming)
                spots = [_spot(defect) for defect in found.defects]
            pictures.append(Picture(sample.name, spots, labelled))
    points = [Point(threshold, judge(pictures)) for threshold, pictures in seen.items()]
    return points, seen[manifest.threshold]


def _spot(defect: Defect) -> Spot:
    left, top, width, height = defect.box_px
    sides = (left, top, left + width, top + height)
    return Spot(sides, defect.score, defect.class_name, defect.class_score or 0.0)
