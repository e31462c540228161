"""The files of a bundle, from a directory or a zip and into one, before anything is believed."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.bundle.manifest import is_plain_path
from edge.errors import BundleError, UsageError
from edge.files import write_whole

MAX_BYTES = 256 << 20  # a bundle is a few MB; a zip may claim anything


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    size: int
    is_file: bool  # and no link, pipe or device


def read_files(path: Path) -> dict[str, bytes]:
    """Every file by its name, from a directory or a zip; nothing is extracted."""
    try:
        return _read_directory(path) if path.is_dir() else _read_zip(path)
    except BundleError:
        raise
    except FileNotFoundError as error:
        raise BundleError(f"{path} does not exist: give a bundle's directory or zip") from error
    except Exception as error:  # zipfile raises nearly anything at a broken archive
        raise BundleError(f"{path} cannot be read ({error}): copy it here again") from error


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


def _read_directory(path: Path) -> dict[str, bytes]:
    found = [p for p in path.rglob("*") if p.is_symlink() or not p.is_dir()]
    members = [
        _Member(
            p.relative_to(path).as_posix(), p.lstat().st_size, p.is_file() and not p.is_symlink()
        )
        for p in found
    ]
    _check_members(path, members)
    return {member.name: (path / member.name).read_bytes() for member in members}


def _read_zip(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        members = [
            _Member(
                info.filename,
                info.file_size,
                stat.S_IFMT(info.external_attr >> 16) in {0, stat.S_IFREG},
            )
            for info in archive.infolist()
            if not info.is_dir()
        ]
        _check_members(path, members)
        return {member.name: archive.read(member.name) for member in members}


def _check_members(path: Path, members: Iterable[_Member]) -> None:
    """Before a byte of them is read."""
    seen: set[str] = set()
    total = 0
    for member in members:
        if not is_plain_path(member.name):
            raise _distrusted(path, f"{member.name!r} leaves it")
        if not member.is_file:
            raise _distrusted(path, f"{member.name!r} is a link or a device")
        if member.name in seen:
            raise _distrusted(path, f"{member.name!r} comes twice")
        seen.add(member.name)
        total += member.size
    if total > MAX_BYTES:
        raise _distrusted(path, f"it unpacks to {total} bytes, more than {MAX_BYTES}")


def _distrusted(path: Path, reason: str) -> BundleError:
    return BundleError(f"{path}: {reason}: do not trust it, take it from its source again")
