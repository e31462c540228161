"""The same network at other sizes: files for the engines that want one each, and their proof."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from edge.bundle import (
    ANY_SIZE,
    STRIDE,
    Artefact,
    Golden,
    InputSpec,
    Manifest,
    OtherSize,
    write_bundle,
)
from edge.engines import open_engine
from edge.errors import UsageError
from edge.line_file import settings_for
from edge.network import check_golden
from edge.types import Tensor
from quantize.deploy import Trained, to_onnx
from quantize.parity import Picture, Settled, TorchEngine, golden_pair
from quantize.targets import Files, Fp32Onnx, Material, Target, open_target

Size = tuple[int, int]  # height, width


@dataclass(frozen=True, eq=False)
class Packed:
    """What was packed at the network's own size, of which the other sizes are made."""

    trained: Trained
    tensors: Sequence[Tensor]  # that were calibrated on
    full_range: bool
    manifest: Manifest
    golden: Files
    settled: Sequence[Settled]


def parse_size(text: str) -> Size:
    """`1024x352`, width first, as height and width. UsageError for anything else."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise UsageError(f"--also {text}: give a width and a height, as in 1024x352")
    width, height = map(int, sides)
    for side, pixels in (("height", height), ("width", width)):
        if pixels % STRIDE:
            better = -(-pixels // STRIDE) * STRIDE
            raise UsageError(f"--also {text}: its {side} is no multiple of {STRIDE}: use {better}")
    return height, width


def at_size(packed: Packed, size: Size) -> tuple[OtherSize, Files]:
    """The network at another size, and its files; BundleError if an engine is not FP32's there.

    INT8 is made as it was at the network's own size: the same layers kept, of the same images.
    """
    height, width = size
    folder = f"{width}x{height}"
    golden = _elsewhere(packed.manifest.golden, folder)
    manifest = packed.manifest.at(height, width).model_copy(update={"golden": golden})
    with closing(TorchEngine(packed.trained.network)) as fp32:
        files = golden_pair(fp32, manifest, _as_large(packed, manifest.input))
    material, artefacts = _material(packed, manifest.input), []
    for one in packed.settled:
        if one.artefact.engine not in ANY_SIZE:
            made = _target(one.artefact, material).quantize(frozenset(one.kept))
            files |= {f"{folder}/{name}": content for name, content in made.items()}
            path = f"{folder}/{one.artefact.path}"
            artefacts.append(one.artefact.model_copy(update={"path": path, "accuracy": {}}))
    return OtherSize(height=height, width=width, artefacts=artefacts, golden=golden), files


def prove(manifest: Manifest, files: Files) -> None:
    """BundleError unless every engine answers the golden pair of every other size."""
    with TemporaryDirectory() as folder:
        draft = write_bundle(manifest, files, Path(folder, "draft.bundle"))
        for each in manifest.other_sizes:
            shown = draft.at(each.height, each.width)
            for artefact in shown.manifest.artefacts:
                with closing(open_engine(settings_for(artefact), shown)) as engine:
                    check_golden(shown, engine)


def _elsewhere(golden: Golden, folder: str) -> Golden:
    """As much is asked of the pair of another size, whose files lie in a folder of their own."""

    def moved(name: str) -> str:
        return f"golden/{folder}/{name.rpartition('/')[2]}"

    names = golden.names
    if names is not None:
        names = names.model_copy(update={"output": moved(names.output)})
    update = {"input": moved(golden.input), "output": moved(golden.output), "names": names}
    return golden.model_copy(update=update)


def _as_large(packed: Packed, spec: InputSpec) -> Picture:
    """The golden picture, mirrored at its edges to at least this size."""
    name = packed.manifest.golden.input
    image = cv2.imdecode(np.frombuffer(packed.golden[name], np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None, "it was just encoded"
    down, across = (
        max(0, wanted - there)
        for wanted, there in zip((spec.height, spec.width), image.shape, strict=False)
    )
    large = cv2.copyMakeBorder(image, 0, down, 0, across, cv2.BORDER_REFLECT)
    return Picture(f"the golden picture at {spec.width}x{spec.height}", np.asarray(large, np.uint8))


def _material(packed: Packed, spec: InputSpec) -> Material:
    network = packed.trained.network
    return Material(
        network=network,
        graph=to_onnx(network, height=spec.height, width=spec.width, channels=spec.channels),
        tensors=list(_side_by_side(packed.tensors, spec)),
        spec=spec,
        full_range=packed.full_range,
    )


def _side_by_side(tensors: Sequence[Tensor], spec: InputSpec) -> Iterator[Tensor]:
    """As many of them as fill the size, at their own scale; the last is filled by the first."""
    *_, rows, columns = tensors[0].shape
    down, across = ceil(spec.height / rows), ceil(spec.width / columns)
    for first in range(0, len(tensors), down * across):
        shown = [tensors[(first + n) % len(tensors)] for n in range(down * across)]
        lines = [np.concatenate(shown[n * across :][:across], axis=3) for n in range(down)]
        filled = np.concatenate(lines, axis=2)[:, :, : spec.height, : spec.width]
        yield np.ascontiguousarray(filled)


def _target(artefact: Artefact, material: Material) -> Target:
    if artefact.precision == "fp32":
        return Fp32Onnx(material)
    return open_target(artefact.engine, material)
