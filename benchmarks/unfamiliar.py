"""How well `unfamiliar` tells odd surface from good: `python -m benchmarks.unfamiliar --data DIR`.

The shipped bundles are commissioned on good rail, and then look at more of it and at what is odd:
simulated paint, defects and another surface, and, of the pictures in DIR, those with a defect. What
is told is the area under the curve, by how unfamiliar a frame is and, beside it, by its score, the
highest logit: how often an odd frame comes before a good one. Good frames that are not what was
commissioned on, of other rail or other runs, are what both are held against.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Annotated, NamedTuple

import cv2
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.reject_timing import machine
from edge.files.image_file import read_image
from edge.inspect import Answers, answers_of, figures_of
from edge.inspect.familiarity import Figures
from edge.line_file import NativeSettings
from edge.network import Network, load_network
from edge.simulation import SimulatedLine, SurfaceKind
from edge.types import Image
from reference.datasets import FREE, list_samples
from reference.datasets.rail_defect import run_of

_KEPT = 1.5  # more unfamiliar than this, frames are kept
_SIMULATED: tuple[tuple[str, SurfaceKind, SurfaceKind], ...] = (
    ("strip", "rail", "strip"),
    ("strip", "strip", "rail"),
    ("rail", "track", "strip"),
)
_ODD_A_METRE = 8.0  # of paint, and of defects: the frames that show one are taken


class Seen(NamedTuple):
    """What a network makes of one frame."""

    figures: Figures
    score: float


@dataclass(frozen=True, slots=True)
class Told:
    """Good against odd."""

    bundle: str
    good: str
    odd: str
    frames: tuple[int, int]  # good ones, odd ones
    unfamiliar_auc: float
    score_auc: float
    good_kept: float  # share of them that are more unfamiliar than what is kept
    odd_kept: float


def auc(good: Sequence[float], odd: Sequence[float]) -> float:
    """How often an odd one is above a good one; of two that are the same, half."""
    below = np.array(good)[:, None]
    above = np.array(odd)
    return float(((above > below) + 0.5 * (above == below)).mean())


def told(
    names: tuple[str, str, str], answers: Answers, good: Sequence[Seen], odd: Sequence[Seen]
) -> Told:
    usual, unusual = ([answers.unfamiliar(s.figures) for s in some] for some in (good, odd))
    return Told(
        *names,
        (len(good), len(odd)),
        auc(usual, unusual),
        auc([s.score for s in good], [s.score for s in odd]),
        float(np.mean(np.array(usual) > _KEPT)),
        float(np.mean(np.array(unusual) > _KEPT)),
    )


def seen(network: Network, image: Image) -> Seen:
    mask = network.see(image)
    return Seen(figures_of(mask, None), float(mask.logits.max()))


# --- simulated -----------------------------------------------------------------------------------


def simulated(
    network: Network, surface: SurfaceKind, other: SurfaceKind, frames: int
) -> list[Told]:
    """Each line is commissioned on its own first frames, and looked at far beyond them."""
    size, found = network.bundle.manifest.input.height, defaultdict[str, list[Told]](list)
    for seed in range(100, 103):

        def line(odd: str, seed: int = seed) -> SimulatedLine:
            defects, paint = (_ODD_A_METRE * (odd == kind) for kind in ("defect", "paint"))
            return SimulatedLine(seed, surface, defects_per_metre=defects, paint_per_metre=paint)

        def look(at: SimulatedLine, numbers: Sequence[int]) -> list[Seen]:
            return [seen(network, at.render(size * number, size)[0]) for number in numbers]

        further = range(1000, 1000 + frames // 2)
        answers, _ = answers_of([s.figures for s in look(line(""), range(frames))])
        good = look(line(""), further)
        odds = {
            "another surface": look(SimulatedLine(seed + 400, other, defects_per_metre=0), further)
        }
        for odd in ("paint", "defect"):
            shows = line(odd).true_paint if odd == "paint" else line(odd).true_defects
            odds[odd] = look(line(odd), [n for n in further if shows(size * n, size * (n + 1))])
        name = network.bundle.manifest.name
        for odd, some in odds.items():
            found[odd].append(told((name, f"simulated {surface}", odd), answers, good, some))
    return [_together(some) for some in found.values()]


def _together(some: Sequence[Told]) -> Told:
    """Of several lines, each with a baseline of its own: the mean."""
    first = some[0]
    return Told(
        first.bundle,
        first.good,
        first.odd,
        (sum(each.frames[0] for each in some), sum(each.frames[1] for each in some)),
        *(
            float(np.mean([getattr(each, name) for each in some]))
            for name in ("unfamiliar_auc", "score_auc", "good_kept", "odd_kept")
        ),
    )


# --- pictures ------------------------------------------------------------------------------------


class _Labelled(NamedTuple):
    run: str
    classes: frozenset[str]  # of what it shows; nothing of a sound one
    image: Image


def rail_windows(folder: Path, size: int) -> Iterator[_Labelled]:
    """RailDefect's rail heads, cut along the track to the network's size."""
    for sample in list_samples(folder, "rail_defect").samples:
        picture = read_image(sample.image, colour=False)
        assert sample.region is not None, "its layout looks for the head"
        columns = sample.region(picture).columns
        left = (columns.start + columns.stop - size) // 2
        left = min(max(0, left), picture.shape[1] - size)
        labels = None if sample.mask is None else sample.mask.read()
        for top in range(0, len(picture) - size + 1, size):
            window = np.s_[top : top + size, left : left + size]
            names = set[str]()
            if labels is not None and sample.mask is not None:
                inside = np.unique(labels[window])
                names = {sample.mask.classes[n - 1] for n in inside.tolist() if n}
            yield _Labelled(run_of(sample.name), frozenset(names), picture[window])


def tiles(folder: Path) -> Iterator[_Labelled]:
    """Magnetic tiles, stretched to the network's size; a tile's photographs are one run."""
    for sample in list_samples(folder, "magnetic_tile").samples:
        kind = sample.class_name or FREE
        classes = frozenset[str]() if kind == FREE else frozenset([kind])
        number = int(sample.image.stem.rpartition("_")[2])
        yield _Labelled(str(number // 1000), classes, read_image(sample.image, colour=False))


def pictured(network: Network, good_name: str, labelled: Iterator[_Labelled]) -> list[Told]:
    """Commissioned on the sound pictures of every other run, held against all of the others."""
    looked = [(each.run, each.classes, seen(network, each.image)) for each in labelled]
    runs = sorted({run for run, _, _ in looked})
    commissioned = set(runs[::2])
    sound = [s.figures for run, classes, s in looked if run in commissioned and not classes]
    answers, _ = answers_of(sound)
    others = [(classes, s) for run, classes, s in looked if run not in commissioned]
    good = [s for classes, s in others if not classes]
    kinds = sorted(frozenset().union(*(classes for classes, _ in others)))
    name = network.bundle.manifest.name
    found = [told((name, good_name, "any defect"), answers, good, [s for c, s in others if c])]
    return found + [
        told((name, good_name, kind), answers, good, [s for c, s in others if kind in c])
        for kind in kinds
    ]


# --- the cost ------------------------------------------------------------------------------------


def cost(
    network: Network, image: Image, inside: Image | None, rounds: int = 400
) -> tuple[float, float]:
    """Median milliseconds of the figure of a frame, and of what the network takes for it."""
    mask = network.see(image)
    answers, _ = answers_of([figures_of(mask, inside)] * 2)
    times = list[tuple[float, float]]()
    for _ in range(rounds):  # in turns, so that noise meets both
        began = perf_counter()
        answers.unfamiliar(figures_of(mask, inside))
        between = perf_counter()
        network.see(image)
        times.append((between - began, perf_counter() - between))
    figure, whole = np.median(np.array(times), axis=0) * 1000
    return float(figure), float(whole)


def show(found: Sequence[Told], costs: dict[str, tuple[float, float]], console: Console) -> None:
    table = Table(
        "bundle", "good", "odd", "frames", "AUC unfamiliar", "AUC score", "good kept", "odd kept"
    )
    for each in found:
        aucs = f"{each.unfamiliar_auc:.3f}", f"{each.score_auc:.3f}"
        kept = f"{each.good_kept:.1%}", f"{each.odd_kept:.1%}"
        table.add_row(
            each.bundle, each.good, each.odd, f"{each.frames[0]}, {each.frames[1]}", *aucs, *kept
        )
    console.print(table)
    for name, (figure, whole) in costs.items():
        console.print(
            f"{name}: {figure:.3f} ms a frame, {figure / whole:.1%} of the network's {whole:.2f} ms"
        )


def main(
    data: Annotated[
        Path | None, typer.Option(help="The folder of RailDefect/ and Magnetic-tile/.")
    ] = None,
    frames: Annotated[int, typer.Option(min=60, help="Of each simulated commissioning.")] = 400,
    json_file: Annotated[Path | None, typer.Option("--json", help="Where the figures go.")] = None,
) -> None:
    """Commission the shipped bundles, and show them what is odd."""
    cv2.setNumThreads(1)
    networks = {name: load_network(NativeSettings(), name) for name in ("strip", "rail")}
    found = list[Told]()
    for name, surface, other in _SIMULATED:
        found += simulated(networks[name], surface, other, frames)
    if data is not None:
        size = networks["rail"].bundle.manifest.input.height
        windows = rail_windows(data / "RailDefect", size)
        found += pictured(networks["rail"], "RailDefect, other runs", windows)
        found += pictured(networks["strip"], "magnetic tiles", tiles(data / "Magnetic-tile"))
    costs = dict[str, tuple[float, float]]()
    for name, network in networks.items():
        image = SimulatedLine(1, "track" if name == "rail" else "strip").render(0, 352)[0]
        inside = None if name == "strip" else np.full_like(image, 255)
        costs[name] = cost(network, image, inside)
    show(found, costs, Console(width=140))
    print(", ".join(f"{name} {value}" for name, value in machine(0).items()))
    if json_file is not None:
        record = {"machine": machine(0), "told": [asdict(each) for each in found], "costs": costs}
        json_file.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
