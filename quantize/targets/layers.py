"""The layers of a deployed network by name, and how much of each one's signal INT8 leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import log10

import numpy as np
import onnx
from numpy.typing import NDArray

from edge.errors import UsageError

CONVOLUTIONS = {"Conv", "ConvTranspose"}
WHOLE_DB = 50.0  # an 8-bit image against itself, as a layer's input
MOST_DB = 100.0  # no error at all


@dataclass(frozen=True, slots=True)
class LayerNoise:
    """A layer's signal over its error, and how much less that is than in what came in."""

    layer: str
    snr_db: float
    lost_db: float


def layers(graph: onnx.ModelProto) -> list[str]:
    """The names of the convolutions, which are what `--keep` and the table of layers speak of."""
    return [node.name for node in graph.graph.node if node.op_type in CONVOLUTIONS]


def resolve(keep: Iterable[str], graph: onnx.ModelProto) -> frozenset[str]:
    """The layers that are named, or lie in a module that is."""
    names, kept = layers(graph), set()
    for wanted in keep:
        found = [name for name in names if name == wanted or name.startswith(f"{wanted}.")]
        if not found:
            near = get_close_matches(wanted, names, n=3) or names[:3]
            raise UsageError(f"--keep {wanted}: there is no such layer, but {', '.join(near)}")
        kept.update(found)
    return frozenset(kept)


def measure(
    pairs: Iterable[tuple[Mapping[str, NDArray[np.floating]], Mapping[str, NDArray[np.floating]]]],
    graph: onnx.ModelProto,
) -> list[LayerNoise]:
    """Of every layer in FP32 and in INT8, over all pairs; who loses most comes first."""
    signal: dict[str, float] = {}
    error: dict[str, float] = {}
    for exact, rounded in pairs:
        for layer in exact.keys() & rounded.keys():
            x = exact[layer].astype(np.float64)
            signal[layer] = signal.get(layer, 0) + float((x**2).sum())
            difference = rounded[layer].astype(np.float64) - x
            error[layer] = error.get(layer, 0) + float((difference**2).sum())
    snr_db = {layer: _ratio_db(signal[layer], error[layer]) for layer in signal}
    came_in = _sources(graph)
    noises = []
    for layer, own_db in snr_db.items():
        before_db = [snr_db[source] for source in came_in[layer] if source in snr_db]
        lost_db = max(0.0, min([WHOLE_DB, *before_db]) - own_db)
        noises.append(LayerNoise(layer, round(own_db, 1), round(lost_db, 1)))
    return sorted(noises, key=lambda noise: (-noise.lost_db, noise.layer))


def _ratio_db(signal: float, error: float) -> float:
    if signal == 0 or error == 0:
        return MOST_DB if error == 0 else -MOST_DB
    return 10 * log10(signal / error)


def _sources(graph: onnx.ModelProto) -> dict[str, set[str]]:
    """The layers whose answers a layer's input is made of."""
    made: dict[str, set[str]] = {}  # a tensor -> the layers it comes from
    found: dict[str, set[str]] = {}
    for node in graph.graph.node:  # in an order in which each follows what it needs
        sources = _joined(made.get(name, set()) for name in node.input)
        if node.op_type in CONVOLUTIONS:
            found[node.name] = sources
            sources = {node.name}
        made.update(dict.fromkeys(node.output, sources))
    return found


def _joined(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)


def worst(noises: Sequence[LayerNoise], count: int) -> list[LayerNoise]:
    """Those that lose most, of the ones that lose at all."""
    return [noise for noise in noises[:count] if noise.lost_db > 0]
