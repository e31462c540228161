"""A bundle: one directory or zip that holds a network, its manifest and its golden pair, verified.

Everything is read into memory and checked before any of it is used, so nothing is extracted, and
a change on disk does not reach a line that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from pydantic import ValidationError

from edge.bundle.archive import open_archive, read_files, write_directory, write_zip, zipped
from edge.bundle.manifest import (
    FORMAT,
    MOST_VERSION,
    STRIDE,
    Artefact,
    EngineName,
    Manifest,
    Precision,
)
from edge.errors import BundleError, UsageError

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"  # made of the manifest, so the manifest cannot list it
_MAX_TEXT = 1 << 20  # bytes of the manifest, and of the signature


@dataclass(frozen=True, slots=True)
class Bundle:
    """A network and all a box must know of it, verified."""

    path: Path
    manifest: Manifest  # of the size that the network is shown
    digest: str  # sha256 of manifest.json, which holds that of every other file
    _files: Mapping[str, bytes] = field(repr=False)
    _packed: Manifest | None = None  # as it was packed; None: as it is shown

    def read(self, name: str) -> bytes:
        return self._files[name]

    @property
    def is_signed(self) -> bool:
        """By somebody; whose signature it is shows only against a public key."""
        return SIGNATURE in self._files

    def signed_by(self, signature: bytes) -> Bundle:
        """The same with a signature, in place of any it had."""
        return replace(self, _files={**self._files, SIGNATURE: signature})

    def of_version(self, version: int) -> Bundle:
        """The same with another version, which is another manifest: no signature is of it.

        UsageError for what is no version.
        """
        if not 1 <= version <= MOST_VERSION:
            raise UsageError(f"{version} is no version: give one from 1 to {MOST_VERSION}")
        manifest = self.manifest.model_copy(update={"version": version})
        files = {name: self._files[name] for name in manifest.files}
        return _verified(self.path, manifest, {MANIFEST: _written(manifest), **files})

    def at(self, height: int | None, width: int | None) -> Bundle:
        """The same with its network shown another size; None is as it was packed.

        BundleError for a size that the network has not.
        """
        packed = self._packed or self.manifest
        height, width = height or packed.input.height, width or packed.input.width
        if (height, width) == (packed.input.height, packed.input.width):
            return replace(self, manifest=packed, _packed=None)
        for side, pixels in (("height", height), ("width", width)):
            if pixels % STRIDE:
                better = -(-pixels // STRIDE) * STRIDE
                raise BundleError(
                    f"{self.path}: {side} {pixels} is not a multiple of {STRIDE}: use {better}"
                )
        if packed.names is not None and (packed.names.height, packed.names.width) == (1, 1):
            raise BundleError(
                f"{self.path} names each picture as a whole, which it learnt at "
                f"{packed.input.width}x{packed.input.height} alone: leave height and width out"
            )
        return replace(self, manifest=packed.at(height, width), _packed=packed)

    def proven_by(self) -> Bundle:
        """The same at the size of a golden pair: this one, or where it has none as it was packed.

        Engines whose files are made for no one size are proven there by the very file.
        """
        packed = self._packed
        unproven = packed is not None and self.manifest.golden == packed.golden
        return self.at(None, None) if unproven else self

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
        """The first one listed for `engine`, at `precision` where that is given.

        BundleError, with what there is, where none is.
        """
        for artefact in self.manifest.artefacts:
            if artefact.engine == engine and precision in {None, artefact.precision}:
                return artefact
        present = ", ".join(f"{a.engine} {a.precision}" for a in self.manifest.artefacts)
        at = f" at {self.manifest.input.width}x{self.manifest.input.height}" if self._packed else ""
        raise BundleError(
            f"{self.path} has nothing for {' '.join(filter(None, [engine, precision]))}{at}, "
            f"only {present}: choose one of these, or pack the bundle with it"
        )


def open_bundle(path: Path, public_key: str | None = None) -> Bundle:
    """Read and verify a bundle, a directory or a zip; by the key's owner, where one is pinned.

    The manifest comes first, and where a key is pinned its signature: nothing else in a bundle of
    somebody else's is worth a look, and a file that the manifest does not list is never read.
    BundleError for one that is no bundle, is not whole, was altered, or is not the key owner's.
    """
    with open_archive(path) as archive:
        if MANIFEST not in archive.sizes:
            raise BundleError(f"{path} has no {MANIFEST}: give a bundle's directory or zip")
        files = {MANIFEST: archive.read(MANIFEST, _MAX_TEXT)}
        if SIGNATURE in archive.sizes:
            files[SIGNATURE] = archive.read(SIGNATURE, _MAX_TEXT)
        if public_key is not None:
            signature = import_module("edge.bundle.signature")  # needs the extra `sign`
            signature.verify(files[MANIFEST], files.get(SIGNATURE), public_key, path)
        manifest = _parse(path, files[MANIFEST])
        if public_key is not None and manifest.version is None:
            raise BundleError(
                f"{path} does not say its version, so nobody could tell that it is an old one: "
                "sign it again with `trackside bundle sign --version`"
            )
        _check_names(path, manifest, archive.sizes.keys())
        files |= {name: archive.read(name) for name in manifest.files}
    return _verified(path, manifest, files)


def write_bundle(manifest: Manifest, files: Mapping[str, bytes], path: Path) -> Bundle:
    """Write a zip, the same bytes for the same content; `manifest.files` is filled in here.

    BundleError, and nothing written, for one that could not be opened.
    """
    hashes = {name: sha256(files[name]).hexdigest() for name in sorted(files)}
    manifest = manifest.model_copy(update={"files": hashes})
    content = {MANIFEST: _written(manifest), **files}
    _check_names(path, manifest, content.keys())
    # checked first: a bundle that could not be opened is not written
    bundle = _verified(path, manifest, content)
    bundle.save(path)
    return bundle


def pack_directory(directory: Path, path: Path) -> Bundle:
    """A bundle of a directory's files as they now are; a signature of others is left out.

    BundleError for a directory that is no unpacked bundle.
    """
    files = read_files(directory)
    if MANIFEST not in files:
        raise BundleError(f"{directory} has no {MANIFEST}: give the folder of an unpacked bundle")
    written, signature = files.pop(MANIFEST), files.pop(SIGNATURE, None)
    bundle = write_bundle(_parse(directory, written), files, path)
    if signature is not None and bundle.read(MANIFEST) == written:
        bundle = bundle.signed_by(signature)
        bundle.save(path)
    return bundle


def _check_names(path: Path, manifest: Manifest, names: Set[str]) -> None:
    """Exactly the files that the manifest lists, and all that it refers to."""
    for name in sorted(manifest.files.keys() | names - {MANIFEST, SIGNATURE}):
        if name not in names:
            raise BundleError(f"{path}: {name} is missing: copy the bundle here again")
        if name not in manifest.files:
            raise BundleError(f"{path}: {name} is not in {MANIFEST}: take it out of the bundle")
    for name in _referred_to(manifest):
        if name not in manifest.files:
            raise BundleError(
                f"{path}: {MANIFEST} names {name} and does not list it: pack the bundle again"
            )


def _verified(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Bundle:
    """Each file with the hash that the manifest has of it."""
    for name in sorted(manifest.files):
        if sha256(files[name]).hexdigest() != manifest.files[name]:
            raise BundleError(
                f"{path}: {name} is not the file that was packed: copy the bundle here again"
            )
    return Bundle(path, manifest, sha256(files[MANIFEST]).hexdigest(), files)


def _referred_to(manifest: Manifest) -> Iterable[str]:
    sizes = [(manifest.golden, manifest.artefacts)]
    sizes += ((each.golden, each.artefacts) for each in manifest.other_sizes)
    for golden, artefacts in sizes:
        yield from (golden.input, golden.output)
        if golden.names is not None:
            yield golden.names.output
        for artefact in artefacts:
            yield from artefact.files


def _written(manifest: Manifest) -> bytes:
    return f"{manifest.model_dump_json(indent=2)}\n".encode()


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
