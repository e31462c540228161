"""Simulated frames with their exact truth, and how an engine's answers compare with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Manifest
from edge.clock import clock_ns
from edge.inspect import Inspector, Judge, find
from edge.line_file import MinArea, Rules
from edge.simulation import SimulatedLine, surfaces_of
from edge.types import Frame, Mask, State, Stretch

FIRST_SEED = 900_000  # far from any that a network is trained on
_DEFECTS_PER_METRE = 7  # as in training: about half of the frames show one


@dataclass(frozen=True, eq=False)
class KnownFrame:
    """A frame, and what is really there."""

    frame: Frame
    truth: NDArray[np.bool_]  # where anything is that has a name
    defect: NDArray[np.bool_]  # of it, what is not only reported


@dataclass(frozen=True, slots=True)
class Score:
    """Answers compared with the truth."""

    iou: float  # of all frames' masks together
    verdict_agreement: float


def simulated_frames(
    manifest: Manifest, count: int, first_seed: int = FIRST_SEED
) -> Iterator[KnownFrame]:
    """Frames of the network's own size and scale, each of another rail or strip."""
    spec = manifest.input
    pitch_um = round(spec.um_per_px)
    surfaces = surfaces_of(manifest.classes)
    reported = manifest.names.report_only if manifest.names else []
    for index in range(count):
        seed = first_seed + index
        line = SimulatedLine(
            seed,
            surface=surfaces[seed % len(surfaces)],
            width_px=spec.width,
            um_per_px=pitch_um,
            defects_per_metre=_DEFECTS_PER_METRE,
            distractors_per_metre=_DEFECTS_PER_METRE,
        )
        image, labels = line.render(0, spec.height)
        stretch = Stretch(0, spec.height * pitch_um)
        frame = Frame(index, image, clock_ns(), stretch, pitch_um)
        defects = [n for n, name in enumerate(line.classes, 1) if name not in reported]
        yield KnownFrame(frame, labels > 0, np.isin(labels, defects))


def rules_of(manifest: Manifest) -> Rules:
    """Every defect that the bundle is good for counts."""
    return Rules(reject_if=MinArea(min_area_mm2=manifest.limits.min_area_mm2))


def score(inspector: Inspector, frames: Iterable[KnownFrame]) -> Score:
    """Inspect every frame; one that the engine leaves UNKNOWN agrees with no truth."""
    manifest = inspector.network.bundle.manifest
    overlap = union = agreed = count = 0
    for seen in frames:
        inspection = inspector.inspect(seen.frame)
        found = np.zeros_like(seen.truth) if inspection.mask is None else inspection.mask.binary
        overlap += int(np.count_nonzero(found & seen.truth))
        union += int(np.count_nonzero(found | seen.truth))
        agreed += inspection.verdict.state is _true_state(seen, manifest)
        count += 1
    return Score(overlap / union if union else 1.0, agreed / count)


def _true_state(seen: KnownFrame, manifest: Manifest) -> State:
    """What the rules say of a perfect mask."""
    surely = np.where(seen.defect, np.float32(20), np.float32(-20))
    found = find(seen.frame, Mask(surely, manifest.threshold), manifest.limits)
    return Judge(rules_of(manifest)).judge(seen.frame, found.defects).state
