"""The folder of a line's bundles: which is in force, which was before, and which is asked for.

    bundles/DIGEST.bundle   copies, named by what they hold
    standing.json           in force, before, and the latest outcome; written by who holds the line
    request.json            what is asked for; written by the command
    progress.json           how far the line is with it
    attempt.json            how many lines have begun to try it and never said how that ended

Each file is written beside its place, synced and moved there, after whatever it names. So a start
after a kill at any moment finds the old bundle in force or the new one, whole.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edge.bundle import Bundle
from edge.config import LineConfig
from edge.errors import ConfigurationError

_ATTEMPT_S = 0.1  # between two attempts at a lock


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Kind = Literal["activate", "rollback"]
Doing = Literal["loading", "shadowing", "handing over"]
Record = TypeVar("Record", bound=_Record)


class Request(_Record):
    """A bundle that is to take over, of which the folder holds a copy."""

    id: str
    kind: Kind
    digest: str
    name: str


class Comparison(_Record):
    """What the shadow period came to."""

    frames: int
    agreement: float  # share of the frames with the same verdict
    rejected: int  # frames that are NG by the old one, after its limits and the line's rules
    rejected_too: int  # of these, NG by the new one
    golden_missed: bool  # what the old one's golden pair shows is NG by the old one alone
    overlap: float | None  # of the masks; None where neither showed anything
    old_p50_ms: float
    old_p99_ms: float
    new_p50_ms: float
    new_p99_ms: float


class Outcome(_Record):
    """What became of a request."""

    request: Request
    refusal: str | None  # None: it was taken over
    at: str  # ISO 8601, UTC
    comparison: Comparison | None = None


class Standing(_Record):
    """What holds over restarts."""

    format: Literal[1] = 1
    in_force: str | None = None  # digest; None: the bundle that the line file names
    before: str | None = None
    outcome: Outcome | None = None


class Progress(_Record):
    """How far a request has come."""

    request: Request
    doing: Doing
    frames: int
    of: int


class Attempt(_Record):
    """A request that lines have begun to try."""

    request: Request
    lines: int  # without those that were told to stop


class SwapFolder:
    """The files, and two locks: one of the program that runs the line, one of whoever changes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def bundle_path(self, digest: str) -> Path:
        return self.root / "bundles" / f"{digest}.bundle"

    def standing(self) -> Standing:
        return self._read("standing.json", Standing) or Standing()

    def request(self) -> Request | None:
        """The latest, be it answered or not."""
        return self._read("request.json", Request)

    def progress(self) -> Progress | None:
        return self._read("progress.json", Progress)

    def lines_begun(self, request: Request) -> int:
        """How many have begun to try it, without those that were told to stop."""
        attempt = self._read("attempt.json", Attempt)
        return 0 if attempt is None or attempt.request != request else attempt.lines

    def begin(self, attempt: Attempt) -> None:
        """Say that one more line tries it, before it can do any harm."""
        self._write("attempt.json", attempt)

    def ask(self, request: Request, bundle: Bundle) -> None:
        """Ask for a bundle, in place of whatever was asked for and has no answer."""
        with self.changing():
            standing = self.standing()
            self.keep(bundle)
            self._write("request.json", request)
            self._drop_all_but({standing.in_force, standing.before, request.digest})

    def keep(self, bundle: Bundle) -> None:
        """Have a copy of a bundle; only while `changing`."""
        path = self.bundle_path(bundle.digest)
        bundle.save(path)
        _sync(path)
        _sync(path.parent)

    def settle(self, standing: Standing) -> None:
        """Say what holds from now on; only while `changing`, by who holds the line."""
        self._write("standing.json", standing)

    def tell(self, progress: Progress) -> None:
        """Say how far it is; of no use after a restart, so the disk may take its time."""
        self._write("progress.json", progress, sync=False)

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes the folder meanwhile."""
        with _opened(self.root / "bundles") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    @contextmanager
    def holding_line(self, attempts: int = 1) -> Iterator[bool]:
        """Be the line's program until left; False where another one is."""
        with _opened(self.root) as held:
            yield _locked(held, attempts)

    def _drop_all_but(self, digests: set[str | None]) -> None:
        kept = {self.bundle_path(digest) for digest in digests if digest is not None}
        for path in (self.root / "bundles").iterdir():
            if path not in kept:
                path.unlink()

    def _read(self, name: str, record: type[Record]) -> Record | None:
        path = self.root / name
        try:
            return record.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise ConfigurationError(
                f"{path} was not written by this trackside: remove it, and activate a bundle anew"
            ) from error

    def _write(self, name: str, record: _Record, *, sync: bool = True) -> None:
        path = self.root / name
        fresh = path.with_name(f".{name}.new")
        fresh.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if sync:
            _sync(fresh)
        fresh.replace(path)
        if sync:
            _sync(self.root)


def is_answered(request: Request, standing: Standing) -> bool:
    """Whether its outcome is the latest."""
    return standing.outcome is not None and standing.outcome.request.id == request.id


def swap_folder(config: LineConfig) -> SwapFolder:
    """Of a line whose bundle may be changed while it runs."""
    if config.swap is None:
        raise ConfigurationError(
            f"{config.name} keeps no bundles to change between: give its line file a `swap:` with "
            "a `folder:`"
        )
    return SwapFolder(config.swap.folder)


def bundle_in_force(config: LineConfig) -> Path | str:
    """What a start of the line runs: what was activated last, or what the line file names."""
    if config.swap is None:
        return config.bundle
    folder = SwapFolder(config.swap.folder)
    digest = folder.standing().in_force
    return config.bundle if digest is None else folder.bundle_path(digest)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """A folder, to be locked; the system lets go of it however this process ends."""
    _make(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make(folder: Path) -> None:
    """What root's command makes belongs to the line that is to use it, as what it lies in does."""
    if folder.exists():
        return
    _make(folder.parent)
    folder.mkdir(exist_ok=True)
    if os.geteuid() == 0:
        above = folder.parent.stat()
        os.chown(folder, above.st_uid, above.st_gid)


def _locked(descriptor: int, attempts: int) -> bool:
    for attempt in range(attempts):
        if attempt:
            time.sleep(_ATTEMPT_S)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return True
    return False


def _sync(path: Path) -> None:
    """Have the disk hold it before anything else is written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
