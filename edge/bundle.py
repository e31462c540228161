"""A bundle: one directory or zip that holds a network, its manifest and its golden pair, verified.

Everything is read into memory and checked before any of it is used, so nothing is extracted, and
a change on disk does not reach a line that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edge.archive import read_files, write_directory, write_zip, zipped
from edge.engines import Engine
from edge.errors import BundleError, FrameError
from edge.manifest import (
    FORMAT,
    Artefact,
    EngineName,
    InputSpec,
    Manifest,
    OutputSpec,
    Precision,
)
from edge.mask import read_mask
from edge.preprocess import to_tensor
from edge.types import Image, Mask

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"  # beside the manifest, which cannot list what is made of it


@dataclass(frozen=True, slots=True)
class Bundle:
    """A network and all a box must know of it, verified."""

    path: Path
    manifest: Manifest
    digest: str  # sha256 of manifest.json, which holds that of every other file
    _files: Mapping[str, bytes] = field(repr=False)

    def read(self, name: str) -> bytes:
        return self._files[name]

    @property
    def is_signed(self) -> bool:
        """By somebody; whose signature it is shows only against a public key."""
        return SIGNATURE in self._files

    def signed_by(self, signature: bytes) -> Bundle:
        """The same with a signature, in place of any it had."""
        return replace(self, _files={**self._files, SIGNATURE: signature})

    def save(self, path: Path) -> None:
        """Write it as a zip, the same bytes for the same content."""
        write_zip(self._files, path)

    def zipped(self) -> bytes:
        """What `save` writes."""
        return zipped(self._files)

    def unpack(self, directory: Path) -> None:
        """Write its files into a new directory."""
        write_directory(self._files, directory)

    def artefact(self, engine: EngineName, precision: Precision | None = None) -> Artefact:
        """The first one listed for `engine`, at `precision` where that is given."""
        for artefact in self.manifest.artefacts:
            if artefact.engine == engine and precision in {None, artefact.precision}:
                return artefact
        present = ", ".join(f"{a.engine} {a.precision}" for a in self.manifest.artefacts)
        raise BundleError(
            f"{self.path} has nothing for {' '.join(filter(None, [engine, precision]))}, "
            f"only {present}: choose one of these, or pack the bundle with it"
        )


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """How near an engine's answer to the golden input is to the golden output."""

    iou: float  # of the two masks at the manifest's threshold
    mae: float  # mean absolute difference of probability
    defects: int  # that the engine finds in it and that count by the manifest's limits


def open_bundle(path: Path, public_key: str | None = None) -> Bundle:
    """Read and verify a bundle, a directory or a zip; by the key's owner, where one is pinned."""
    files = read_files(path)
    if MANIFEST not in files:
        raise BundleError(f"{path} has no {MANIFEST}: give a bundle's directory or zip")
    if public_key is not None:  # first of all: nothing in it is worth a look otherwise
        signature = import_module("edge.signature")  # needs the extra `sign`
        signature.verify(files[MANIFEST], files.get(SIGNATURE), public_key, path)
    return _verified(path, files)


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], path: Path) -> Bundle:
    """Write a zip, the same bytes for the same content; `manifest.files` is filled in here."""
    hashes = {name: sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = manifest.model_copy(update={"files": hashes})
    content = {MANIFEST: f"{manifest.model_dump_json(indent=2)}\n".encode(), **files}
    bundle = _verified(path, content)  # what could not be opened is not written
    bundle.save(path)
    return bundle


def pack_directory(directory: Path, path: Path) -> Bundle:
    """A bundle of a directory's files as they now are; a signature of others is left out."""
    files = read_files(directory)
    if MANIFEST not in files:
        raise BundleError(f"{directory} has no {MANIFEST}: give the folder of an unpacked bundle")
    written, signature = files.pop(MANIFEST), files.pop(SIGNATURE, None)
    bundle = write_bundle(_parse(directory, written), files, path)
    if signature is not None and bundle.read(MANIFEST) == written:
        bundle = bundle.signed_by(signature)
        bundle.save(path)
    return bundle


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
        logits = engine.infer(to_tensor(golden_input(bundle), manifest.input))
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
    data = np.frombuffer(bundle.read(name), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None or image.dtype != np.uint8 or image.shape not in shapes:
        raise BundleError(
            f"{bundle.path}: {name} is no 8-bit image of shape "
            f"{' or '.join(map(str, sorted(shapes)))}: pack the bundle again"
        )
    return np.asarray(image, np.uint8)


def _verified(path: Path, files: dict[str, bytes]) -> Bundle:
    """Exactly the files that the manifest lists, each with its hash, and all that it refers to."""
    manifest = _parse(path, files[MANIFEST])
    for name in sorted(manifest.files.keys() | files.keys() - {MANIFEST, SIGNATURE}):
        if name not in files:
            raise BundleError(f"{path}: {name} is missing: copy the bundle here again")
        if name not in manifest.files:
            raise BundleError(f"{path}: {name} is not in {MANIFEST}: take it out of the bundle")
        if sha256(files[name]).hexdigest() != manifest.files[name]:
            raise BundleError(
                f"{path}: {name} is not the file that was packed: copy the bundle here again"
            )
    for name in _referred_to(manifest):
        if name not in manifest.files:
            raise BundleError(
                f"{path}: {MANIFEST} names {name} and does not list it: pack the bundle again"
            )
    return Bundle(path, manifest, sha256(files[MANIFEST]).hexdigest(), files)


def _referred_to(manifest: Manifest) -> Iterable[str]:
    yield from (manifest.golden.input, manifest.golden.output)
    for artefact in manifest.artefacts:
        yield from artefact.files


def _parse(path: Path, text: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["loc"] == ("format",) and first["type"] == "literal_error":
            raise BundleError(
                f"{path} is of format {first['input']!r}, and this trackside reads format "
                f"{FORMAT}: install the trackside it was packed with, or pack it again"
            ) from error
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise BundleError(
            f"{path}: {MANIFEST}: {key}: {first['msg']}: pack the bundle again"
        ) from error
