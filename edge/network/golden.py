"""Whether an engine answers a bundle's golden pair as it must."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, Golden, InputSpec, Manifest, NamesSpec, OutputSpec
from edge.engines import Engine
from edge.errors import BundleError, FrameError
from edge.files.image_header import pixels
from edge.network.names import read_answer, shares_in, sound_share
from edge.network.network import prepare
from edge.types import Image, Mask, Names


@dataclass(frozen=True, slots=True)
class NamesResult:
    """How near the classes are, wherever the golden output shows that there is something."""

    same: float  # the share of it that has the same class
    mae: float  # mean absolute difference of the shares
    sound: float = 0.0  # how far off it is in saying that the whole picture is sound


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How near an engine's answer to the golden input is to the golden output."""

    iou: float  # of the two masks at the manifest's threshold
    mae: float  # mean absolute difference of probability
    defects: int  # that the engine finds in it and that count by the manifest's limits
    names: NamesResult | None = None  # None: the network names nothing


def check_golden(bundle: Bundle, engine: Engine) -> GoldenResult:
    """Run the golden input, and refuse an engine that does not reproduce the golden output."""
    try:
        result = golden_result(bundle, engine)
    except FrameError as error:
        raise BundleError(f"{bundle.path}: golden pair on {engine.name}: {error}") from error
    if (wrong := unlike_golden(result, bundle.manifest.golden)) is not None:
        raise BundleError(
            f"{bundle.path}: {engine.name} {wrong}: choose another engine or precision, or pack "
            "the bundle again"
        )
    return result


def golden_result(bundle: Bundle, engine: Engine) -> GoldenResult:
    """What an engine makes of the golden input, judged through to its end: a network whose limits,
    or whose classes that are only reported, let nothing of its own golden pair count may be right
    in every pixel, and never rejects.

    BundleError for such a pair; FrameError where the engine gives no answer to it.
    """
    manifest = bundle.manifest
    output_size = _size(manifest.output)
    expected = np.divide(
        _decode(bundle, manifest.golden.output, {output_size}), 255, dtype=np.float32
    )
    shares = golden_shares(bundle)
    classes = tuple(manifest.classes)
    named = None if shares is None else Names(shares[: len(classes)], classes)
    wanted = expected > manifest.threshold
    if not count_defects(rejecting(wanted, expected, named, manifest), manifest):
        raise BundleError(
            f"{bundle.path}: its golden pair shows no defect of "
            f"{manifest.limits.min_area_mm2:g} mm2 and {manifest.limits.min_extent_mm:g} mm or "
            "more, so that none counts by its limits: pack it with limits that it is good for"
        )
    answer = engine.infer(prepare(golden_input(bundle), manifest.input, engine))
    mask = read_answer(answer, output_size, manifest)
    result = _compare(mask, expected, named, manifest)
    if result.names is not None and shares is not None:
        off = abs((sound_share(answer, manifest) or 0.0) - float(shares[len(classes) :].sum()))
        result = replace(result, names=replace(result.names, sound=off))
    return result


def unlike_golden(result: GoldenResult, golden: Golden) -> str | None:
    """What of an answer is not what it must be, in words that follow an engine's name."""
    if result.iou < golden.min_iou or result.mae > golden.max_mae:
        return (
            f"answers the golden input with IoU {result.iou:.4f} (at least {golden.min_iou}) and "
            f"mean difference {result.mae:.4f} (at most {golden.max_mae})"
        )
    if not result.defects:
        return "finds no defect in the golden input that counts by the bundle's limits"
    named, wanted = result.names, golden.names
    if named and wanted and (named.same < wanted.min_same or named.mae > wanted.max_mae):
        return (
            f"names {named.same:.1%} of the golden input as it must (at least "
            f"{wanted.min_same:.1%}), with mean difference {named.mae:.4f} (at most "
            f"{wanted.max_mae})"
        )
    if named and wanted and named.sound > wanted.max_mae:
        return (
            f"is off by {named.sound:.4f} in how surely it calls the golden input sound (at most "
            f"{wanted.max_mae})"
        )
    return None


def rejecting(
    found: NDArray[np.bool_],
    probability: NDArray[np.float32],
    names: Names | None,
    manifest: Manifest,
) -> NDArray[np.bool_]:
    """H,W: what is found, and by the bundle's own word not only reported."""
    if names is None or manifest.names is None or not manifest.names.report_only:
        return found
    reported = [manifest.classes.index(name) for name in manifest.names.report_only]
    rows, columns = found.shape
    shares = shares_in(names, np.s_[:rows, :columns], (rows, columns))
    rejected: NDArray[np.bool_] = (
        probability * (1 - shares[reported].sum(axis=0)) > manifest.threshold
    )
    return found & rejected


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


def golden_shares(bundle: Bundle) -> NDArray[np.float32] | None:
    """C,h,w of what the FP32 network made of the golden input; None where it names nothing.

    Behind the classes' shares comes how surely it is sound, where the network says that.
    """
    manifest, golden = bundle.manifest, bundle.manifest.golden.names
    if golden is None or manifest.names is None:
        return None
    height, width = _size(manifest.names)
    stacked = _decode(bundle, golden.output, {(manifest.named_channels * height, width)})
    return np.divide(stacked.reshape(-1, height, width), 255, dtype=np.float32)


def _compare(
    mask: Mask,
    expected: NDArray[np.float32],
    named: Names | None,
    manifest: Manifest,
) -> GoldenResult:
    wanted, probability = expected > mask.threshold, mask.probability
    union = np.count_nonzero(mask.binary | wanted)
    result = None
    if mask.names is not None and named is not None:
        result = _compare_names(mask.names.shares, named.shares, wanted)
    return GoldenResult(
        iou=float(np.count_nonzero(mask.binary & wanted) / union) if union else 1.0,
        mae=float(np.abs(probability - expected).mean()),
        defects=count_defects(rejecting(mask.binary, probability, mask.names, manifest), manifest),
        names=result,
    )


def _compare_names(
    shares: NDArray[np.float32], wanted: NDArray[np.float32], found: NDArray[np.bool_]
) -> NamesResult:
    """Of all cells, each by as much of it as is found to be something."""
    cells = shares.shape[:0:-1]
    amount = cv2.resize(found.astype(np.float32), cells, interpolation=cv2.INTER_AREA)
    weight = amount / amount.sum()
    same = shares.argmax(axis=0) == wanted.argmax(axis=0)
    return NamesResult(
        same=float((weight * same).sum()),
        mae=float((weight * np.abs(shares - wanted).mean(axis=0)).sum()),
    )


def _size(spec: InputSpec | OutputSpec | NamesSpec) -> tuple[int, int]:
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
