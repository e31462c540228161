"""How much of what was learned is taken, and at which threshold: on pictures of their own.

What learns that something is sound grows less sure of all that is like it. Weights between the old
ones and the new have most of what was learned and forget less, and a lower threshold finds more.
The mixture and the threshold are taken at which the fewest mistakes are made: of what people spoke
of, of what was found before, and on rail that is sound. Of a class one in a hundred may be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.adapt.recipe import REVIEWED
from edge.bundle import Bundle, Manifest
from edge.network import Network, engine_by_name, network_of
from edge.simulation import SimulatedLine, surfaces_of
from edge.types import clipped
from reference.data import Pair
from reference.data.pairs import tiles
from reference.recipe import Recipe, read_sources
from reference.trained import TrainedNetwork, checkpoint, open_network

CHOSEN = "adapted.safetensors"

_SHARES = (1.0, 0.9, 0.8)  # of what was learned; of less, too little would be
_WEIGHT = 5  # of a picture that people spoke of: there are some fifty times more defects
_STEPS = 10  # from the old threshold down to nothing
_MAY_BE_LOST = 0.01  # of a class, and one: of so few defects less is chance
_FRAMES, _SEED, _PER_METRE, _SMALLEST = 120, 790_000, 20.0, 0.15

Map = NDArray[np.float32]
Group = tuple[str, int]  # one class of defect, on pictures of one kind


@dataclass(frozen=True)
class Choice:
    """One mixture of old and new weights."""

    checkpoint: Path
    share: float  # of what was learned
    threshold: float
    wrong: int  # pictures, of those that were learned from
    lost: int  # defects that were found before, and were not to be lost
    false: int  # pieces of sound rail, more than there were before

    @property
    def mistakes(self) -> int:
        return _WEIGHT * self.wrong + self.lost + self.false


@dataclass(frozen=True, eq=False)
class _Shown:
    """One picture: its true defects, each with its group."""

    image: NDArray[np.uint8]
    defects: NDArray[np.int32]  # H,W, 0 or a number from 1
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, pair: Pair, kind: str = "") -> _Shown:
        count, defects = cv2.connectedComponents(pair.mask)
        groups = tuple((kind, int(pair.plane[defects == one].max())) for one in range(1, count))
        return cls(pair.image, np.asarray(defects, np.int32), groups)

    def touched(self, answer: Map, threshold: float, least_px: float) -> tuple[set[int], int]:
        """The defects on which a piece lies that is large enough to count, and how many such pieces
        lie on none.
        """
        binary = np.asarray(cv2.resize(answer, self.defects.shape[::-1]) > threshold, np.uint8)
        _, pieces, stats, _ = cv2.connectedComponentsWithStats(binary)
        large = stats[:, cv2.CC_STAT_AREA] >= least_px
        large[0] = False
        on = np.unique(np.stack([pieces, self.defects], axis=-1)[large[pieces]], axis=0)
        some = on[on[:, 1] > 0]
        return set(some[:, 1].tolist()), len(set(on[:, 0].tolist()) - set(some[:, 0].tolist()))


def chosen(old: Bundle, before: Path, learned: Path, data: Path, work: Path) -> Choice:
    """By pictures of the line where it is simulated, else by what is held out."""
    _, record = checkpoint.load(learned)
    recipe = Recipe.model_validate(record["recipe"])
    if any(section.layout == "simulated" for section in recipe.data):
        known = list(simulated_rail(old.manifest))
    else:
        known = [("held out", pair) for pair in read_sources(recipe, data)[1]]
    said = [section for section in recipe.data if section.path == REVIEWED]
    sources, _ = read_sources(recipe.model_copy(update={"data": said}), data)
    side = max(old.manifest.input.height, old.manifest.input.width)
    reviewed = [part for source in sources for pair in source.pairs for part in tiles(pair, side)]
    network = network_of(engine_by_name("auto"), old)
    try:
        choice = choose_mixture(network, (before, learned), known, reviewed, work)
    finally:
        network.engine.close()
    kept = choice.checkpoint.replace(work / CHOSEN)
    for mixture in work.glob("mixed-*.safetensors"):
        mixture.unlink()
    return replace(choice, checkpoint=kept)


def simulated_rail(manifest: Manifest) -> Iterator[tuple[str, Pair]]:
    """Frames full of defects on each surface, of their usual sizes and small ones; their kind."""
    spec = manifest.input
    for surface in surfaces_of(manifest.classes):
        for number in range(2 * _FRAMES):
            smallest = _SMALLEST if number % 2 else 1.0
            line = SimulatedLine(
                _SEED + number,
                surface=surface,
                width_px=spec.width,
                um_per_px=round(spec.um_per_px),
                defects_per_metre=_PER_METRE,
                distractors_per_metre=_PER_METRE,
                smallest=smallest,
            )
            image, labels = line.render(0, spec.height)
            mask = np.asarray(labels > 0, np.uint8)
            kind = f"{surface} from {smallest:.0%}"
            yield kind, Pair(f"{surface} {number}", image, mask, labels=labels)


def choose_mixture(
    old: Network,
    weights: tuple[Path, Path],
    known: Iterable[tuple[str, Pair]],
    reviewed: Sequence[Pair],
    out: Path,
) -> Choice:
    """Of the weights old and new; known are pictures by kind, of which as much must be found as
    before. The first that makes no mistake is the last that is tried.
    """
    manifest = old.bundle.manifest
    clip = manifest.output.clip  # which the new bundle has, too
    least_px = max(1.0, manifest.limits.min_area_mm2 * 1e6 / manifest.input.um_per_px**2)
    shown = [_Shown.of(pair, kind) for kind, pair in known if pair.mask.any()]
    said = [_Shown.of(pair) for pair in reviewed]
    before = [np.asarray(old.see(each.image).probability, np.float32) for each in shown]
    found, false = _found(zip(shown, before, strict=True), manifest.threshold, least_px)
    (old_state, _), (new_state, record) = map(checkpoint.load, weights)
    tried = list[Choice]()
    for share in _SHARES:
        mixed = out / f"mixed-{round(100 * share)}.safetensors"
        mixture = _between(old_state["ema"], new_state["ema"], share)
        checkpoint.save(mixed, {"ema": mixture}, record)
        network = open_network(mixed, torch.device("cpu"))
        of_rail, of_events = (_looked(network, each, clip) for each in (shown, said))
        for step in range(_STEPS):
            threshold = round(manifest.threshold * (1 - step / _STEPS), 4)
            now_found, now_false = _found(of_rail, threshold, least_px)
            wrong = sum(_is_wrong(*each, threshold, least_px) for each in of_events)
            lost = _lost(found, now_found)
            tried.append(Choice(mixed, share, threshold, wrong, lost, max(0, now_false - false)))
        if min(each.mistakes for each in tried) == 0:
            break
    return min(tried, key=lambda each: (each.mistakes, -each.threshold))


def _between(old: checkpoint.Tensors, new: checkpoint.Tensors, share: float) -> checkpoint.Tensors:
    """So much of the new weights, and the old ones for the rest."""
    return {
        name: old[name].lerp(tensor, share) if tensor.is_floating_point() else tensor
        for name, tensor in new.items()
    }


def _looked(
    network: TrainedNetwork, shown: Sequence[_Shown], clip: float
) -> list[tuple[_Shown, Map]]:
    answers = network.look_at_all(each.image for each in shown)
    return [
        (each, clipped(np.asarray(said.probability, np.float32), clip))
        for each, said in zip(shown, answers, strict=True)
    ]


def _lost(before: Counter[Group], now: Counter[Group]) -> int:
    """Beyond what may be."""
    return sum(
        max(0, int(n - max(1, n * _MAY_BE_LOST)) - now[group]) for group, n in before.items()
    )


def _found(
    looked: Iterable[tuple[_Shown, Map]], threshold: float, least_px: float
) -> tuple[Counter[Group], int]:
    """Defects by group, and pieces that are none."""
    found, false = Counter[Group](), 0
    for shown, answer in looked:
        touched, beside = shown.touched(answer, threshold, least_px)
        found.update(shown.groups[number - 1] for number in touched)
        false += beside
    return found, false


def _is_wrong(shown: _Shown, answer: Map, threshold: float, least_px: float) -> bool:
    """Something is found where nothing is, or nothing of what is there."""
    touched, false = shown.touched(answer, threshold, least_px)
    return not touched if shown.groups else false > 0
