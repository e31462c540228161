"""A study of images whose defects somebody has marked: masks, boxes, or a data set as published.

Each image is looked at by itself, as the line's camera would show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress

from benchmarks.qualify.looking import Box, Signals, cut_out, isolated, look
from benchmarks.qualify.study import FalseCall, Specimen, Study
from edge.certificate import judgement_of
from edge.errors import ConfigurationError
from edge.files.image_file import read_image
from edge.inspect import make_inspector
from edge.line_file import LineSettings, ScaledSettings, SyntheticSettings
from edge.network import Network, load_network
from edge.types import Frame, Image, Stretch
from reference.datasets import LAYOUTS, Sample, list_samples, recognise
from reference.datasets.coco import RegionMask

_APART_PX = 4  # nearer ones may be one to the network
_LEAST_PX = 2  # less is a slip of the brush


@dataclass(frozen=True, slots=True)
class _Marked:
    """One defect, as it is marked."""

    kind: str
    box_px: tuple[int, int, int, int]  # left, top, width, height
    area_px: int


@dataclass(frozen=True, slots=True)
class _Looked:
    """One image."""

    specimens: list[Specimen]
    false_calls: list[FalseCall]
    looked_um: int
    left_out: dict[str, int]


def study_of_folder(config: LineSettings, line: Path, folder: Path, measure: str) -> Study:
    """Under a progress bar on stderr."""
    layout = recognise(folder)
    samples = list_samples(folder, layout).samples
    if not samples:
        raise ConfigurationError(f"{folder} holds no image with its mask: add some")
    along_um, across_um = _scale(config)
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
                looked.append(_look_at(config, network, sample, along_um, across_um))
    finally:
        network.engine.close()
    manifest = network.bundle.manifest
    left_out: dict[str, int] = {}
    for each in looked:
        for why, count in each.left_out.items():
            left_out[why] = left_out.get(why, 0) + count
    return Study(
        origin="labelled",
        population=f"what {len(samples)} images of {folder.name} ({LAYOUTS[layout].title}) are a "
        "fair sample of, as they were marked and chosen; the camera of the line must show as much",
        of=judgement_of(config, network.bundle, network.engine.name, (along_um, across_um)),
        specimens=[specimen for each in looked for specimen in each.specimens],
        measure=measure,
        data={
            line.name: sha256(line.read_bytes()).hexdigest(),
            "bundle": network.bundle.digest,
            f"{folder.name}, images and masks": digest.hexdigest(),
        },
        false_calls=[call for each in looked for call in each.false_calls],
        inspected_m=sum(each.looked_um for each in looked) / 1e6 or None,
        decision=float(np.log(manifest.threshold / (1 - manifest.threshold))),
        signal="the network's greatest logit over the mark, against its threshold, without rules",
        left_out=left_out,
        limits=(
            "images that were chosen: their share of defects is not that of a line, nor are their "
            "metres of surface one stretch",
            "images that a network was taught by are found better than others: give held-out ones",
            "marks are somebody's: what is unmarked and rejected counts as a false call",
        ),
    )


def _scale(config: LineSettings) -> tuple[float, float]:
    camera = config.camera
    if isinstance(camera, SyntheticSettings):
        return camera.um_per_px, camera.um_per_px
    assert isinstance(camera, ScaledSettings)
    if camera.along_um is None or camera.across_um is None:
        raise ConfigurationError(
            "camera.calibration rectifies a camera's own pictures: for marked images give "
            "camera.along_um and camera.across_um"
        )
    return camera.along_um, camera.across_um


def _look_at(
    config: LineSettings, network: Network, sample: Sample, along_um: float, across_um: float
) -> _Looked:
    image = read_image(sample.image, colour=network.bundle.manifest.input.channels == 3)
    stretch = Stretch(0, round(len(image) * along_um))
    frame = Frame(0, image, 0, stretch, across_um)
    marked = list(_marks(sample, image))
    boxes = [_box(mark, along_um, across_um) for mark in marked]
    signals = Signals(boxes)
    sight = look(make_inspector(config, network, lambda: 0, None), [frame], signals.watch)
    if sight.unknown:
        return _Looked([], [], 0, {"in images that are UNKNOWN": len(marked)})
    alone, specimens = isolated(boxes, round(_APART_PX * max(along_um, across_um))), []
    for mark, box, is_alone, signal in zip(marked, boxes, alone, signals.of, strict=True):
        if is_alone:
            found = (sight.found(box),)
            png = None if found[0] else cut_out(frame, box)
            sizes = _sizes(image, mark, along_um, across_um)
            specimens.append(Specimen(mark.kind, sizes, found, signal, sample.name, png))
    false_calls = [
        FalseCall(sample.name, cut_out(frame, call)) for call in sight.false_calls(boxes)
    ]
    return _Looked(
        specimens, false_calls, sight.looked_um, {"with another near": len(marked) - len(specimens)}
    )


def _marks(sample: Sample, image: Image) -> Iterator[_Marked]:
    """Each connected piece of a mask, or each box or polygon by itself."""
    if sample.mask is None:
        return
    if isinstance(sample.mask, RegionMask):
        for label, segmentation, box in sample.mask.regions:
            if not segmentation:
                left, top, width, height = (round(side) for side in box)
                kind = sample.mask.classes[label - 1]
                if min(width, height) >= _LEAST_PX:
                    yield _Marked(kind, (left, top, width, height), width * height)
        if not any(segmentation for _, segmentation, _ in sample.mask.regions):
            return
    labels = sample.mask.read()
    if labels.shape != image.shape[:2]:
        raise ConfigurationError(
            f"{sample.mask.path} is {labels.shape[1]} x {labels.shape[0]} and its image "
            f"{image.shape[1]} x {image.shape[0]}: export one of them again"
        )
    for label in np.unique(labels[labels > 0]):
        kind = sample.class_name or sample.mask.classes[int(label) - 1]
        count, _, stats, _ = cv2.connectedComponentsWithStats(
            (labels == label).astype(np.uint8), connectivity=8
        )
        for number in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[number])
            if area >= _LEAST_PX:
                yield _Marked(kind, (left, top, width, height), area)


def _box(mark: _Marked, along_um: float, across_um: float) -> Box:
    left, top, width, height = mark.box_px
    stretch = Stretch(round(top * along_um), round((top + height) * along_um))
    return Box(stretch, round(left * across_um), round((left + width) * across_um))


def _sizes(image: Image, mark: _Marked, along_um: float, across_um: float) -> dict[str, float]:
    _, _, width, height = mark.box_px
    length_mm, width_mm = height * along_um / 1000, width * across_um / 1000
    return {
        "extent_mm": max(length_mm, width_mm),
        "length_mm": length_mm,
        "width_mm": width_mm,
        "area_mm2": mark.area_px * along_um * across_um / 1e6,
    }
