"""The folder of a box's fleet: what came, what is asked of the line, and what became of it.

    tuf/                  what the box knows of the depot; the adapter's alone
    staged/               targets that were verified, until they are handed on
    lines/DIGEST.yaml     line files, named by what they hold
    status.json           what the box runs, wants and refused; written by the agent
    line_request.json     a line file that is to be tried; written by the agent
    line_standing.json    which one is in force, and the latest decision; written by the line
    line_attempt.json     how many lines have begun to try it; written by the line

As with the bundles' folder, each file is replaced whole, after whatever it names, and what others
wrote there is not believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edge.errors import ConfigurationError
from edge.files.held_folder import held
from edge.files.record_file import AnyRecord, Record, read_record, write_record

_MOST_REFUSALS = 20  # that are remembered
_MOST_BYTES = 262_144  # of each file; a line file may have as many
_REMEDY = "remove it"  # for one that somebody else wrote

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # strict, as it becomes part of a path


def _a_moment(text: str) -> str:
    """As it is; ValueError for what is no time, of which nobody could say how long ago it was."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError(f"{text} says no time zone")
    return text


Moment = Annotated[str, AfterValidator(_a_moment)]  # ISO 8601, UTC
Doing = Literal[
    "nothing",
    "waiting for the package",
    "trying the bundle",
    "trying the line file",
    "going back",
]


class Refusal(Record):
    """A release that this box will not take, and why."""

    release: int
    why: str
    at: Moment


Refusals = tuple[Refusal, ...]


def now() -> Moment:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def with_refusal(known: Refusals, release: int, why: str) -> Refusals:
    """Those that are remembered, and now this one."""
    return (*known, Refusal(release=release, why=why, at=now()))[-_MOST_REFUSALS:]


def refusal_of(known: Refusals, release: int) -> str | None:
    """Why a release was refused; None where it was not."""
    return next((each.why for each in known if each.release == release), None)


class FleetStatus(Record):
    """What this box runs of the fleet's releases, wants and refused."""

    format: Literal[1] = 1
    box: str
    runs: int | None = None  # None: no release has come here yet
    wants: int | None = None
    ring: str | None = None  # the outermost that the wanted one has reached
    doing: Doing = "nothing"
    trying: int | None = None  # the release that it is on the way to
    bundle_before: Digest | None = None  # in force before the one that is tried
    asked: str | None = None  # the line's number for the bundle that it was asked to try
    refused: Refusals = ()
    contact_at: Moment | None = None  # when the depot was last read whole
    trouble: str | None = None  # why it could not be since


class LineRequest(Record):
    """A line file that is to be tried; None stands for the box's own."""

    id: str = Field(pattern=r"^[0-9a-f]{1,32}$")
    digest: Digest | None
    release: int | None


class LineDecision(Record):
    """What became of it."""

    request: LineRequest
    refusal: str | None  # None: it is in force
    at: Moment


class LineStanding(Record):
    """What holds over restarts."""

    format: Literal[1] = 1
    in_force: Digest | None = None  # None: the box's own
    outcome: LineDecision | None = None  # the latest


class LineAttempt(Record):
    """A request that lines have begun to try; one that was told to stop does not count."""

    request: LineRequest
    lines: int


class FleetFolder:
    """The files, and the lock of the one agent."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def tuf(self) -> Path:
        return self.root / "tuf"

    @property
    def staged(self) -> Path:
        return self.root / "staged"

    def line_path(self, digest: str) -> Path:
        return self.root / "lines" / f"{digest}.yaml"

    def checked_line(self, digest: str) -> Path:
        """The path of a line file that holds what its name says."""
        path = self.line_path(digest)
        with held(self.root, make=True) as root, root.folder("lines", make=True) as lines:
            text = lines.read(path.name, _MOST_BYTES)
        if text is None or sha256(text).hexdigest() != digest:
            raise ConfigurationError(
                f"{path} is not what its name says: find out who changed it; `trackside fleet "
                "agent LINE.yaml --once` brings it anew"
            )
        return path

    def keep_line(self, text: bytes) -> str:
        """Have a copy of a line file; returns its digest."""
        digest = sha256(text).hexdigest()
        with held(self.root, make=True) as root, root.folder("lines", make=True) as lines:
            lines.replace(self.line_path(digest).name, text)
        return digest

    def drop_lines_but(self, digests: set[str | None]) -> None:
        kept = {self.line_path(digest).name for digest in digests if digest is not None}
        with held(self.root, make=True) as root, root.folder("lines", make=True) as lines:
            lines.remove_all_but(kept)

    def status(self) -> FleetStatus | None:
        return self._read("status.json", FleetStatus)

    def shown(self, box: str) -> FleetStatus:
        """The status, or what is wrong with it: who shows it goes on."""
        try:
            return self.status() or FleetStatus(box=box)
        except (ConfigurationError, OSError) as error:
            return FleetStatus(box=box, trouble=str(error))

    def tell(self, status: FleetStatus) -> None:
        self._write("status.json", status)

    def line_request(self) -> LineRequest | None:
        """The latest, be it answered or not."""
        return self._read("line_request.json", LineRequest)

    def ask(self, request: LineRequest) -> None:
        """Have a line file tried, in place of whatever was asked for and has no answer."""
        self._write("line_request.json", request)

    def line_standing(self) -> LineStanding:
        return self._read("line_standing.json", LineStanding) or LineStanding()

    def settle(self, standing: LineStanding) -> None:
        self._write("line_standing.json", standing)

    def lines_begun(self, request: LineRequest) -> int:
        attempt = self._read("line_attempt.json", LineAttempt)
        return 0 if attempt is None or attempt.request != request else attempt.lines

    def begin(self, attempt: LineAttempt) -> None:
        self._write("line_attempt.json", attempt)

    @contextmanager
    def being_agent(self, attempts: int = 1) -> Iterator[bool]:
        """Be the box's agent until left; False where another one is."""
        with held(self.root, make=True) as root:
            yield root.lock_soon(attempts)

    def _read(self, name: str, kind: type[AnyRecord]) -> AnyRecord | None:
        return read_record(self.root / name, kind, _MOST_BYTES, _REMEDY)

    def _write(self, name: str, record: Record) -> None:
        write_record(self.root / name, record)


def is_answered(request: LineRequest, standing: LineStanding) -> bool:
    """Whether the latest decision is of this request."""
    return standing.outcome is not None and standing.outcome.request.id == request.id
