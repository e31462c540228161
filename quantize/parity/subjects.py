"""What engines are asked about: held-out pairs, and frames of the simulated line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.bundle import InputSpec
from edge.simulation import SimulatedLine, surfaces_of
from reference.data import Pair
from reference.datasets import FREE

Origin = Literal["validation", "simulated"]
LINES = 16  # surfaces that the simulated frames are spread over
SEED = 900_000  # far from those that anything is trained on
BLEMISHES_PER_METRE = 7  # defects, and as many that are none


@dataclass(frozen=True, eq=False)
class Subject:
    """One image, its mask, and whether a picture of it may be shown to anybody."""

    pair: Pair
    origin: Origin


def simulated(
    spec: InputSpec,
    count: int,
    *,
    classes: Sequence[str] = (),
    renamed: Mapping[str, str] | None = None,
    seed: int = SEED,
) -> Iterator[Pair]:
    """Frames as the network's camera would take them: rail and strip in turn, or track for a
    network that names what is on it. `renamed` says what the network calls the simulator's classes.
    """
    surfaces = surfaces_of(classes)
    for number in range(count):
        line = SimulatedLine(
            seed + number % LINES,
            surface=surfaces[number % len(surfaces)],
            width_px=spec.width,
            um_per_px=round(spec.um_per_px),
            defects_per_metre=BLEMISHES_PER_METRE,
            distractors_per_metre=BLEMISHES_PER_METRE,
        )
        image, labels = line.render(number // LINES * spec.height, spec.height)
        mask = np.asarray(labels > 0, np.uint8)
        kinds = tuple((renamed or {}).get(kind, kind) for kind in line.classes)
        yield Pair(
            f"simulated {number}",
            image,
            mask,
            "defect" if mask.any() else FREE,
            labels=labels,
            classes=kinds,
        )


def subjects(validation: Iterable[Pair], frames: Iterable[Pair]) -> list[Subject]:
    """Both, in this order."""
    return [
        *(Subject(pair, "validation") for pair in validation),
        *(Subject(pair, "simulated") for pair in frames),
    ]


def sha256(pairs: Sequence[Pair]) -> str:
    """Of all pixels and masks."""
    digest = hashlib.sha256()
    for pair in pairs:
        for part in (pair.image, pair.mask):
            digest.update(repr(part.shape).encode())
            digest.update(part.tobytes())
    return digest.hexdigest()
