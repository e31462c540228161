"""Where an archive lies: a folder of this machine, or any URL that fsspec reads.

Whatever cannot be read is an ArchiveError; nothing else of a vendor's library is seen outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from edge.errors import ArchiveError
from edge.extras import require


class Place(Protocol):
    """A folder of an archive."""

    @property
    def url(self) -> str: ...

    def names(self) -> list[str]:
        """Of all that is in it, files and folders, sorted."""
        ...

    def folders(self) -> list[str]:
        """Names of the folders in it, sorted."""
        ...

    def folder(self, name: str) -> Place:
        """One within it; whether it is there shows when it is read."""
        ...

    def read(self, name: str) -> bytes:
        """A file of it, whole; `a/b` is one in a folder within."""
        ...


class LocalPlace:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def url(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        try:
            return sorted(path.name for path in self.path.iterdir())
        except OSError as error:
            raise ArchiveError(_gone(str(self.path), error.strerror)) from error

    def folders(self) -> list[str]:
        return [name for name in self.names() if (self.path / name).is_dir()]

    def folder(self, name: str) -> LocalPlace:
        return LocalPlace(self.path / name)

    def read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise ArchiveError(_gone(str(self.path / name), error.strerror)) from error


class RemotePlace:
    """A folder that fsspec reads."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._files, self._root = _file_system(self._url)

    @property
    def url(self) -> str:
        return self._url

    def names(self) -> list[str]:
        return sorted(self._listed())

    def folders(self) -> list[str]:
        return sorted(name for name, kind in self._listed().items() if kind == "directory")

    def _listed(self) -> dict[str, str]:
        try:
            # Asked anew each time: what was cached may have gone.
            found = self._files.ls(self._root, detail=True, refresh=True)
        except Exception as error:  # each of fsspec's libraries has errors of its own
            raise ArchiveError(_gone(self._url, str(error))) from error
        kinds = {str(each["name"]).rstrip("/"): str(each["type"]) for each in found}
        # Some list the folder itself among what is in it.
        return {path.rpartition("/")[2]: kind for path, kind in kinds.items() if path != self._root}

    def folder(self, name: str) -> RemotePlace:
        return RemotePlace(f"{self._url}/{name}")

    def read(self, name: str) -> bytes:
        try:
            return bytes(self._files.cat_file(f"{self._root}/{name}"))
        except Exception as error:
            raise ArchiveError(_gone(f"{self._url}/{name}", str(error))) from error


def open_place(url: str) -> Place:
    """NotInstalled where fsspec or what it needs for this kind of URL is not there."""
    return RemotePlace(url) if "://" in url else LocalPlace(Path(url))


@contextmanager
def fetched(place: Place, names: list[str]) -> Iterator[Path]:
    """Some files of it in a folder of this machine; those that are not there are left out."""
    if isinstance(place, LocalPlace):
        yield place.path
        return
    there = set(place.names())
    with TemporaryDirectory(prefix="trackside-") as folder:
        for name in there.intersection(names):
            (Path(folder) / name).write_bytes(place.read(name))
        yield Path(folder)


@cache
def _file_system(url: str) -> tuple[Any, str]:
    require("fsspec")
    import fsspec  # noqa: PLC0415  # a box that keeps its archive at home has none

    try:
        files, root = fsspec.core.url_to_fs(url)
    except ImportError as error:  # says which package reads such a URL
        raise ArchiveError(f"{url}: {error}") from error
    except ValueError as error:
        raise ArchiveError(f"{url}: {error}: give a folder, or a URL that fsspec reads") from error
    return files, str(root).rstrip("/")


def _gone(what: str, why: str | None) -> str:
    remedy = "bring it back, and go on with the same command"
    return f"{what} cannot be read: {why or 'it is gone'}: {remedy}"
