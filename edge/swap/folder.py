"""The folder of a line's bundles: which is in force, which was before, and which is asked for.

    bundles/DIGEST.bundle   copies, named by what they hold
    standing.json           in force, before, and the latest decision; written by who holds the line
    request.json            what is asked for; written by the command
    progress.json           how far the line is with it
    difference.html         the frames that the latest one judged otherwise, as evidence
    attempt.json            how many lines have begun to try it and never said how that ended

Each file is written beside its place, synced and moved there, after whatever it names. So a start
after a kill at any moment finds the old bundle in force or the new one, whole.

Others may write there too, and what they wrote is not believed: a name that is no digest is no
request, a copy is what its digest says or it is refused, and what lies in a file's place is read
and replaced as `held_folder` does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edge.bundle import Bundle, open_bundle
from edge.errors import BundleError, ConfigurationError
from edge.files.held_folder import held
from edge.files.record_file import AnyRecord, Record, read_record, write_record
from edge.line_file import LineSettings
from edge.network import resolve_bundle
from edge.swap.evidence import Backtested

DIFFERENCE = "difference.html"
_MOST_BYTES = 65_536  # of each file but the bundles and the evidence
_REMEDY = "remove it, and activate a bundle anew"  # for one that somebody else wrote

Kind = Literal["activate", "rollback"]
Doing = Literal["loading", "shadowing", "handing over"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # strict, as it becomes part of a path


class Acceptance(Record):
    """A person's word that what a bundle judges otherwise it judges rightly."""

    by: str = Field(max_length=200)
    against: Digest  # what it was compared with
    shown_at: str  # when it was refused for that; ISO 8601, UTC


class Request(Record):
    """A bundle that is to take over, of which the folder holds a copy."""

    id: str = Field(pattern=r"^[0-9a-f]{1,32}$")
    kind: Kind
    digest: Digest
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    allow_older: bool = False  # than the one in force
    accepted: Acceptance | None = None
    backtested: Backtested | None = None


class Comparison(Record):
    """What the shadow period came to."""

    frames: int
    agreement: float  # share of the frames with the same verdict
    rejected: int  # frames that are NG by the old one, after its limits and the line's rules
    rejected_too: int  # of these, NG by the new one
    golden_missed: bool  # the old one finds a defect in its golden pair, the new one does not
    overlap: float | None  # of the masks; None where neither showed anything
    old_p50_ms: float
    old_p99_ms: float
    new_p50_ms: float
    new_p99_ms: float


class Decision(Record):
    """What the line decided of a request: to take it over, or to refuse it, and why.

    `differs_from` is the bundle that it judges otherwise than, where that alone was against it.
    """

    request: Request
    refusal: str | None  # None: it was taken over
    at: str  # ISO 8601, UTC
    comparison: Comparison | None = None
    differs_from: Digest | None = None


class Standing(Record):
    """What holds over restarts."""

    format: Literal[1] = 1
    in_force: Digest | None = None  # None: the bundle that the line file names
    before: Digest | None = None
    outcome: Decision | None = None  # the latest


class Progress(Record):
    """How far a request has come."""

    request: Request
    doing: Doing
    frames: int
    of: int


class Attempt(Record):
    """A request that lines have begun to try."""

    request: Request
    lines: int  # how many; one that was told to stop does not count


class SwapFolder:
    """The files, and two locks: one of the program that runs the line, one of whoever changes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def bundle_path(self, digest: str) -> Path:
        return self.root / "bundles" / f"{digest}.bundle"

    def open(self, digest: str, public_key: str | None) -> Bundle:
        """The copy of that digest, verified, of the key's owner."""
        path = self.bundle_path(digest)
        bundle = open_bundle(path, public_key)
        if bundle.digest != digest:
            raise BundleError(
                f"{path} is another bundle, {bundle.digest[:12]}: find out who put it there, and "
                "activate the right one again"
            )
        return bundle

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
        with held(self.root, make=True) as root, root.folder("bundles", make=True) as bundles:
            bundles.replace(self.bundle_path(bundle.digest).name, bundle.zipped())

    def settle(self, standing: Standing) -> None:
        """Say what holds from now on; only while `changing`, by who holds the line."""
        self._write("standing.json", standing)

    def tell(self, progress: Progress) -> None:
        """Say how far it is; of no use after a restart, so the disk may take its time."""
        self._write("progress.json", progress, sync=False)

    def show_difference(self, page: str) -> None:
        """Keep the evidence of the latest comparison, in place of the one before."""
        with held(self.root, make=True) as root:
            root.replace(DIFFERENCE, page.encode())

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Nobody else changes the folder meanwhile."""
        with held(self.root, make=True) as root, root.folder("bundles", make=True) as bundles:
            bundles.lock(wait=True)
            yield

    @contextmanager
    def holding_line(self, attempts: int = 1) -> Iterator[bool]:
        """Be the line's program until left; False where another one is."""
        with held(self.root, make=True) as root:
            yield root.lock_soon(attempts)

    def _drop_all_but(self, digests: set[str | None]) -> None:
        kept = {self.bundle_path(digest).name for digest in digests if digest is not None}
        with held(self.root) as root, root.folder("bundles", make=False) as bundles:
            bundles.remove_all_but(kept)

    def _read(self, name: str, kind: type[AnyRecord]) -> AnyRecord | None:
        return read_record(self.root / name, kind, _MOST_BYTES, _REMEDY)

    def _write(self, name: str, record: Record, *, sync: bool = True) -> None:
        write_record(self.root / name, record, sync=sync)


def is_answered(request: Request, standing: Standing) -> bool:
    """Whether the latest decision is of this request."""
    return standing.outcome is not None and standing.outcome.request.id == request.id


def swap_folder(config: LineSettings) -> SwapFolder:
    """Of a line whose bundle may be changed while it runs."""
    if config.swap is None:
        raise ConfigurationError(
            f"{config.name} keeps no bundles to change between: give its line file a `swap:` with "
            "a `folder:`"
        )
    return SwapFolder(config.swap.folder)


def open_in_force(config: LineSettings) -> Bundle:
    """What a start of the line runs: what was activated last, or what the line file names.

    BundleError where that is not whole or not of the key's owner, ConfigurationError where the
    folder says what no Trackside wrote.
    """
    if config.swap is not None:
        folder = SwapFolder(config.swap.folder)
        digest = folder.standing().in_force
        if digest is not None:
            return folder.open(digest, config.bundle_key)
    return open_bundle(resolve_bundle(config.bundle), config.bundle_key)


def left_out(config: LineSettings) -> str | None:
    """What to say of a line file whose `bundle:` is not what a start runs; None where it is."""
    in_force = None if config.swap is None else SwapFolder(config.swap.folder).standing().in_force
    if in_force is None:
        return None
    with suppress(BundleError):  # what does not run need not be whole
        if open_bundle(resolve_bundle(config.bundle)).digest == in_force:
            return None
    return (
        f"{in_force[:12]} was activated and runs, not {config.bundle}, which the line file names: "
        "activate that one too (`trackside bundle activate`), or name what runs under `bundle:`"
    )
