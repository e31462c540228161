"""A folder held by its descriptor: nothing that lies in it leads out of it, hangs or fills memory.

Whoever may write into a folder may lay a link, a pipe, a device or a huge file where a file of ours
is expected, also while it is looked at; and root's commands work in folders that are not root's. So
names are opened within what is held, links are not followed, and only plain files are read.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import ConfigurationError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: to open a pipe that nobody writes to would wait for ever.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_ATTEMPT_S = 0.1  # between two attempts at a lock


class HeldFolder:
    """Made by `held`; `path` is for messages and for those who only look."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    def read(self, name: str, most: int) -> bytes | None:
        """All of a plain file of at most so many bytes; None where there is none."""
        try:
            descriptor = os.open(name, _READ, dir_fd=self._descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENXIO}:  # there is a link, or a socket
                raise self._distrusted(name) from error
            raise
        try:
            data = _read_plain(descriptor, most)
        finally:
            os.close(descriptor)
        if data is None:
            raise self._distrusted(name)
        return data

    def replace(self, name: str, data: bytes, *, sync: bool = True) -> None:
        """Write it beside its place and move it there: whoever reads it finds it whole."""
        fresh = f".{name}.new"
        self.remove(fresh)  # left by a process that was killed, or laid there by somebody
        with os.fdopen(os.open(fresh, _CREATE, 0o644, dir_fd=self._descriptor), "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(fresh, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        if sync:
            os.fsync(self._descriptor)

    def remove(self, name: str) -> None:
        """Whatever it is, but for a folder; it may have gone already."""
        with suppress(FileNotFoundError, IsADirectoryError):
            os.unlink(name, dir_fd=self._descriptor)

    def remove_all_but(self, kept: Collection[str]) -> None:
        for name in self.names():
            if name not in kept:
                self.remove(name)

    def names(self) -> list[str]:
        return os.listdir(self._descriptor)  # noqa: PTH208, a path could lead elsewhere by now

    def lock(self, *, wait: bool) -> bool:
        """Until the folder is let go of, however this process ends; False if another has it."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def lock_soon(self, attempts: int) -> bool:
        """As `lock`, tried so many times: who has it for a moment lets go of it."""
        for attempt in range(attempts):
            if attempt:
                time.sleep(_ATTEMPT_S)
            if self.lock(wait=False):
                return True
        return False

    @contextmanager
    def folder(self, name: str, *, make: bool) -> Iterator[HeldFolder]:
        """One in it; made where there is none, if asked to."""
        if make:
            _make(name, self._descriptor)
        with _opened(self.path / name, name, self._descriptor, _FOLDER) as inner:
            yield HeldFolder(self.path / name, inner)

    def _distrusted(self, name: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path / name} is no plain file of a size that it may have: find out who put it "
            "there, and remove it"
        )


@contextmanager
def held(path: Path, *, make: bool = False) -> Iterator[HeldFolder]:
    """The folder, made with those above it if asked to; FileNotFoundError where there is none."""
    path = path.absolute()
    if make and not path.parent.exists():
        with held(path.parent, make=True):
            pass
    with (
        _opened(path.parent, path.parent, None, _FOLDER & ~os.O_NOFOLLOW) as above,
        HeldFolder(path.parent, above).folder(path.name, make=make) as folder,
    ):
        yield folder


def _read_plain(descriptor: int, most: int) -> bytes | None:
    """None of what is no plain file, or of a larger one."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > most:
        return None
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        data = file.read(most + 1)  # it may have grown since
    return data if len(data) <= most else None


@contextmanager
def _opened(path: Path, name: Path | str, above: int | None, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(name, flags, dir_fd=above)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise ConfigurationError(f"{path} is a link or no folder: name the folder") from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make(name: str, above: int) -> None:
    """What root's command makes belongs to whoever has what it lies in."""
    try:
        os.mkdir(name, dir_fd=above)
    except FileExistsError:
        return
    if os.geteuid() == 0:
        owner = os.fstat(above)
        os.chown(name, owner.st_uid, owner.st_gid, dir_fd=above, follow_symlinks=False)
