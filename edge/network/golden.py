"""Whether an engine answers a bundle's golden pair as it must."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, InputSpec, Manifest, OutputSpec
from edge.engines import Engine
from edge.errors import BundleError, FrameError
from edge.files.image_header import pixels
from edge.network.mask import read_mask
from edge.network.network import prepare
from edge.types import Image, Mask


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How near an engine's answer to the golden input is to the golden output."""

    iou: float  # of the two masks at the manifest's threshold
    mae: float  # mean absolute difference of probability
    defects: int  # that the engine finds in it and that count by the manifest's limits


def check_golden(bundle: Bundle, engine: Engine) -> GoldenResult:
    """Run the golden input, and refuse an engine that does not reproduce the golden output.

    It is judged through to its end: a network whose limits let nothing of its own golden pair
    count may be right in every pixel, and never rejects.
    """
    manifest, golden = bundle.manifest, bundle.manifest.golden
    output_size = _size(manifest.output)
    expected = np.divide(_decode(bundle, golden.output, {output_size}), 255, dtype=np.float32)
    wanted = expected > manifest.threshold
    if not count_defects(wanted, manifest):
        raise BundleError(
            f"{bundle.path}: its golden pair shows no defect of "
            f"{manifest.limits.min_area_mm2:g} mm2 and {manifest.limits.min_extent_mm:g} mm or "
            "more, so that none counts by its limits: pack it with limits that it is good for"
        )
    try:
        logits = engine.infer(prepare(golden_input(bundle), manifest.input, engine))
        result = _compare(read_mask(logits, output_size, manifest.threshold), expected, manifest)
    except FrameError as error:
        raise BundleError(f"{bundle.path}: golden pair on {engine.name}: {error}") from error
    if result.iou < golden.min_iou or result.mae > golden.max_mae:
        raise BundleError(
            f"{bundle.path}: {engine.name} answers the golden input with IoU {result.iou:.4f} "
            f"(at least {golden.min_iou}) and mean difference {result.mae:.4f} (at most "
            f"{golden.max_mae}): choose another engine or precision, or pack the bundle again"
        )
    if not result.defects:
        raise BundleError(
            f"{bundle.path}: {engine.name} finds no defect in the golden input that counts by the "
            "bundle's limits: choose another engine or precision, or pack the bundle again"
        )
    return result


def count_defects(binary: NDArray[np.bool_], manifest: Manifest) -> int:
    """Connected pieces of a mask at the network's output size that count by the limits."""
    along_mm, across_mm = manifest.input.shown_mm
    row_mm, column_mm = along_mm / manifest.output.height, across_mm / manifest.output.width
    _, _, stats, _ = cv2.connectedComponentsWithStats(binary.view(np.uint8), connectivity=8)
    return sum(
        manifest.limits.reached_by(
            pixels * row_mm * column_mm, max(rows * row_mm, columns * column_mm)
        )
        for _, _, columns, rows, pixels in stats[1:].tolist()  # the first is the background
    )


def golden_input(bundle: Bundle) -> Image:
    """At the network's input size."""
    size = _size(bundle.manifest.input)
    return _decode(bundle, bundle.manifest.golden.input, {size, (*size, 3)})


def _compare(mask: Mask, expected: NDArray[np.float32], manifest: Manifest) -> GoldenResult:
    wanted = expected > mask.threshold
    union = np.count_nonzero(mask.binary | wanted)
    return GoldenResult(
        iou=float(np.count_nonzero(mask.binary & wanted) / union) if union else 1.0,
        mae=float(np.abs(mask.probability - expected).mean()),
        defects=count_defects(mask.binary, manifest),
    )


def _size(spec: InputSpec | OutputSpec) -> tuple[int, int]:
    return spec.height, spec.width


def _decode(bundle: Bundle, name: str, shapes: set[tuple[int, ...]]) -> Image:
    data = bundle.read(name)
    fits = pixels(data) in {rows * columns for rows, columns, *_ in shapes}  # before it is decoded
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if fits else None
    if image is None or image.dtype != np.uint8 or image.shape not in shapes:
        raise BundleError(
            f"{bundle.path}: {name} is no 8-bit image of shape "
            f"{' or '.join(map(str, sorted(shapes)))}: pack the bundle again"
        )
    return np.asarray(image, np.uint8)
