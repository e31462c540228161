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

from pydantic import ValidationError

from edge.bundle.archive import read_files, write_directory, write_zip, zipped
from edge.bundle.manifest import (
    FORMAT,
    Artefact,
    EngineName,
    Manifest,
    Precision,
)
from edge.errors import BundleError

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


def open_bundle(path: Path, public_key: str | None = None) -> Bundle:
    """Read and verify a bundle, a directory or a zip; by the key's owner, where one is pinned."""
    files = read_files(path)
    if MANIFEST not in files:
        raise BundleError(f"{path} has no {MANIFEST}: give a bundle's directory or zip")
    if public_key is not None:  # first of all: nothing in it is worth a look otherwise
        signature = import_module("edge.bundle.signature")  # needs the extra `sign`
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
