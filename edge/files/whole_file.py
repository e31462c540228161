"""The one way a file is replaced: written beside its place, then moved there whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import UsageError


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Where a write fails, the error says of what: the system names what cannot be opened alone."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` on leaving, unless something went wrong.

    Whoever opens `path` meanwhile finds the old file or the new one, never a part.
    """
    unfinished = _unfinished(path)
    try:
        with named(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file, in place of the one that is there; OSError where the disk refuses."""
    with replacing(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)


def check_writable(*paths: Path | None) -> None:
    """UsageError for what no file can be written to; to be asked before long work for some."""
    for path in paths:
        if str(path) == "-":
            raise UsageError(
                "- is no file, and standard output is not written to here: name a file"
            )
        if path is None:
            continue
        if path.is_dir() or not path.parent.is_dir():
            raise UsageError(f"{path} cannot be written: name a file in a folder that exists")
        _try_folder(path)


def _try_folder(path: Path) -> None:
    """Make a file beside where this one is to be, as writing it will, and take it away again."""
    unfinished = _unfinished(path)
    try:
        unfinished.touch()
        unfinished.unlink()
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({error.strerror}): name a file in a folder of yours"
        ) from error
