"""The files of a bundle, from a directory or a zip and into one, before anything is believed.

A zip says itself how long its members are and how they are packed. So only what the one holds to
the other is taken: members that are stored or deflated, whose unpacking can be stopped after so
many bytes, and a list of them short enough to be read whole.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge.bundle.manifest import is_plain_path
from edge.errors import BundleError, UsageError
from edge.files import write_whole

MAX_BYTES = 256 << 20  # a bundle is a few MB; a zip may claim anything
MAX_FILES = 1000
_MAX_LISTING_BYTES = 1 << 20  # `zipfile` reads a zip's list of members whole, so it must be small
# The record a zip ends with: its mark, the size of the list of members, the size of a comment.
_END = struct.Struct("<4s8xI4xH")
# A zip64 has a second such record, found by this mark 20 bytes before the first.
_LARGE_ZIP = b"PK\x06\x07"
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    is_file: bool  # a regular file: no link, pipe or device


@dataclass(frozen=True, slots=True)
class Archive:
    """A directory or a zip that is open: what it says it holds, and nothing read of it yet."""

    path: Path
    sizes: Mapping[str, int]
    _open: Callable[[str], IO[bytes]]

    def read(self, name: str, most: int = MAX_BYTES) -> bytes:
        """A file of the size that was said, and of `most` bytes; no more is ever unpacked."""
        size = self.sizes[name]
        if size > most:
            raise _distrusted(self.path, f"{name} is of {size} bytes, more than {most}")
        with _reading(self.path), self._open(name) as file:
            # one byte more than there is: only at the end is the checksum looked at
            data = file.read(size + 1)
        if len(data) != size:
            raise _distrusted(self.path, f"{name} is not of the {size} bytes that were said")
        return data


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """A directory or a zip, of whose members only names and sizes were looked at."""
    if path.is_dir():
        yield Archive(path, _sizes(path, _on_disk(path)), lambda name: (path / name).open("rb"))
        return
    with _reading(path):
        _check_zip(path)
        archive = zipfile.ZipFile(path)
    with archive:
        with _reading(path):
            sizes = _sizes(path, _zipped(path, archive))
        yield Archive(path, sizes, archive.open)


def read_files(path: Path) -> dict[str, bytes]:
    """Every file by its name; nothing is extracted."""
    with open_archive(path) as archive:
        return {name: archive.read(name) for name in archive.sizes}


def write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """The old zip stays until the new one is whole."""
    write_whole(path, zipped(files))


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip, the same bytes for the same files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as writer:
        for name in sorted(files):
            member = zipfile.ZipInfo(name)  # dated 1980
            member.external_attr = (stat.S_IFREG | 0o644) << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            writer.writestr(member, files[name])
    return archive.getvalue()


def write_directory(files: Mapping[str, bytes], path: Path) -> None:
    """Into a directory that is empty or new: what lay there before would be taken for a part."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is not an empty folder: name a new one")
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except BundleError:
        raise
    except FileNotFoundError as error:
        raise BundleError(f"{path} does not exist: give a bundle's directory or zip") from error
    except Exception as error:  # zipfile raises nearly anything at a broken archive
        raise BundleError(f"{path} cannot be read ({error}): copy it here again") from error


def _on_disk(path: Path) -> Iterator[_Member]:
    for found in path.rglob("*"):
        if found.is_symlink() or not found.is_dir():
            is_file = found.is_file() and not found.is_symlink()
            yield _Member(found.relative_to(path).as_posix(), found.lstat().st_size, is_file)


def _check_zip(path: Path) -> None:
    """Before `zipfile` reads the list of its members, be it a gigabyte, into memory."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BundleError(f"{path} is neither a file nor a folder: give a bundle's")
    if status.st_size > MAX_BYTES + _MAX_LISTING_BYTES:
        raise _distrusted(path, f"it is of {status.st_size} bytes, more than {MAX_BYTES}")
    with path.open("rb") as file:
        file.seek(max(0, status.st_size - _END.size - 20))
        tail = file.read()
    if len(tail) < _END.size:
        raise ValueError("too short for a zip")
    mark, listing, comment = _END.unpack(tail[-_END.size :])
    # `zipfile` searches for the last such record. Were another one possible, it could read another
    # list of members than the one that is checked here.
    if mark != b"PK\x05\x06" or comment or tail[: -_END.size][-20:].startswith(_LARGE_ZIP):
        raise ValueError("it does not end as a small zip without a comment does")
    if listing > _MAX_LISTING_BYTES:
        raise _distrusted(path, f"its list of members is of {listing} bytes")


def _zipped(path: Path, archive: zipfile.ZipFile) -> Iterator[_Member]:
    for info in archive.infolist():
        if info.is_dir():
            continue
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise _distrusted(path, f"{info.filename!r} is neither stored nor deflated")
        if info.flag_bits & _ENCRYPTED:
            raise _distrusted(path, f"{info.filename!r} is encrypted")
        is_file = stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG}
        yield _Member(info.filename, info.file_size, is_file)


def _sizes(path: Path, members: Iterable[_Member]) -> dict[str, int]:
    """Before a byte of them is read."""
    sizes: dict[str, int] = {}
    for member in members:
        if not is_plain_path(member.name):
            raise _distrusted(path, f"{member.name!r} leaves it, or cannot be printed")
        if not member.is_file:
            raise _distrusted(path, f"{member.name!r} is a link or a device")
        if member.name in sizes:
            raise _distrusted(path, f"{member.name!r} comes twice")
        sizes[member.name] = member.size
        if len(sizes) > MAX_FILES:
            raise _distrusted(path, f"it holds more than {MAX_FILES} files")
    if (total := sum(sizes.values())) > MAX_BYTES:
        raise _distrusted(path, f"it unpacks to {total} bytes, more than {MAX_BYTES}")
    return sizes


def _distrusted(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: {reason}: do not trust it, take it from its source again")
