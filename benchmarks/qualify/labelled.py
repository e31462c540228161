"""A study of images whose defects somebody has marked: masks, boxes, or a data set as published.

Each image is looked at by itself, as the line's camera would show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from benchmarks.marked_pictures import choose_pictures
from benchmarks.qualify.looking import Signals, cut_out, isolated, look
from benchmarks.qualify.marks import Scale, marks_of, scale_of
from benchmarks.qualify.study import FalseCall, Specimen, Study
from edge.certificate import judgement_of
from edge.files.image_file import read_image
from edge.inspect import as_ruled, make_inspector
from edge.line_file import LineSettings
from edge.network import Network, load_network
from edge.types import Frame, Stretch, logit
from reference.datasets import Sample

_APART_PX = 4  # nearer ones may be one to the network


@dataclass(frozen=True, slots=True)
class _Looked:
    """One image."""

    specimens: list[Specimen]
    false_calls: list[FalseCall]
    looked_um: int
    left_out: dict[str, int]


def study_of_folder(
    config: LineSettings, line: Path, folder: Path, recipe: Path | None, measure: str
) -> Study:
    """Of all its images, or of those that a recipe holds out, under a progress bar on stderr."""
    samples = choose_pictures(folder, line, recipe, "all" if recipe is None else None).samples
    held = "" if recipe is None else f" that {recipe.name} holds out"
    scale_um = scale_of(config)
    network = load_network(config.engine, config.bundle, config.bundle_key)
    digest = sha256()
    looked = []
    try:
        console = Console(stderr=True, highlight=False)
        with Progress("images", BarColumn(), MofNCompleteColumn(), console=console) as progress:
            for sample in progress.track(samples):
                digest.update(sample.image.read_bytes())
                if sample.mask is not None:
                    digest.update(sample.mask.path.read_bytes())
                looked.append(_look_at(config, network, sample, scale_um))
    finally:
        network.engine.close()
    manifest = as_ruled(network.bundle.manifest, config.rules)
    left_out: dict[str, int] = {}
    for each in looked:
        for why, count in each.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    return Study(
        origin="labelled",
        population=f"what {len(samples)} images of {folder.name}{held} are a fair sample of, as "
        "they were marked and chosen; the camera of the line must show as much",
        of=judgement_of(config.lookout(), network.bundle, network.engine.name, scale_um),
        specimens=[specimen for each in looked for specimen in each.specimens],
        measure=measure,
        data={
            line.name: sha256(line.read_bytes()).hexdigest(),
            "bundle": network.bundle.digest,
            f"{folder.name}, images and masks": digest.hexdigest(),
        },
        false_calls=[call for each in looked for call in each.false_calls],
        inspected_m=sum(each.looked_um for each in looked) / 1e6 or None,
        decision=logit(manifest.cut),
        signal="the network's greatest logit over the mark, against its threshold, without rules",
        left_out=left_out,
        limits=(
            "images that were chosen: their share of defects is not that of a line, nor are their "
            "metres of surface one stretch",
            "images that a network was taught by are found better than others: give held-out ones",
            "marks are somebody's: what is unmarked and rejected counts as a false call",
        ),
    )


def _look_at(config: LineSettings, network: Network, sample: Sample, scale_um: Scale) -> _Looked:
    along_um, across_um = scale_um
    image = read_image(sample.image, colour=network.bundle.manifest.input.channels == 3)
    stretch = Stretch(0, round(len(image) * along_um))
    frame = Frame(0, image, 0, stretch, across_um)
    marked = list(marks_of(sample, image))
    boxes = [mark.box(scale_um) for mark in marked]
    signals = Signals(boxes)
    sight = look(make_inspector(config.lookout(), network, lambda: 0, None), [frame], signals.watch)
    if sight.unknown:
        return _Looked([], [], 0, {"in images that are UNKNOWN": len(marked)})
    alone, specimens = isolated(boxes, round(_APART_PX * max(along_um, across_um))), []
    for mark, box, is_alone, signal in zip(marked, boxes, alone, signals.of, strict=True):
        if is_alone:
            found = (sight.found(box),)
            png = None if found[0] else cut_out(frame, box)
            sizes = mark.sizes(scale_um)
            specimens.append(
                Specimen(mark.kind, sizes, found, signal, sample.name, png, sight.named(box))
            )
    false_calls = [
        FalseCall(sample.name, cut_out(frame, call)) for call in sight.false_calls(boxes)
    ]
    return _Looked(
        specimens, false_calls, sight.looked_um, {"with another near": len(marked) - len(specimens)}
    )
