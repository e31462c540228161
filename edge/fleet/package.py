"""The box's own software, as releases bring it: what dpkg has, what root installed or refused.

The agent may write nothing but its own folder. So root fetches and verifies a package once more,
with what he knows of the depot where nobody else may write, and installs it; the agent waits for
that, and reads what became of it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import TypeAdapter

from edge.errors import ConfigurationError, DepotError, TracksideError
from edge.files import parsed
from edge.files.record_file import Record, read_record, write_record
from edge.fleet.folder import Refusals, with_refusal
from edge.fleet.rollout import PACKAGE, ROLLOUT, Package, Release, Rollout

STATE = Path("/var/lib/trackside-package")  # root's
_RECORD, _MOST_BYTES = "package.json", 262_144
_REMEDY = "remove it"
_FIELDS = "${Package} ${Version} ${Architecture}"
_LAST_WORDS = 5  # lines of what dpkg says that are kept


class PackageRecord(Record):
    """What root did last."""

    format: Literal[1] = 1
    release: int | None = None  # whose package was installed last
    refused: Refusals = ()


class DebFields(NamedTuple):
    """What a package says of itself."""

    name: str
    version: str
    architecture: str


class Source(Protocol):
    """Of the depot, what this wants; DepotError for what is not to be believed."""

    def read(self, name: str) -> bytes: ...

    def fetch(self, name: str) -> Path: ...


@dataclass(frozen=True)
class Software:
    """A box's dpkg, and where root keeps what became of packages."""

    state: Path = STATE
    dpkg: tuple[str, ...] = ("dpkg",)
    query: tuple[str, ...] = ("dpkg-query",)

    def installed(self) -> str | None:
        """The version that is whole; TracksideError on a box without dpkg."""
        asked = ["--show", "--showformat=${db:Status-Status} ${Version}", PACKAGE]
        status, _, version = _said([*self.query, *asked], may_fail=True).partition(" ")
        return version if status == "installed" else None

    def architecture(self) -> str:
        return _said([*self.dpkg, "--print-architecture"]).strip()

    def install(self, path: Path) -> None:
        """TracksideError with dpkg's last words where it refuses, or a line does not come up."""
        _said([*self.dpkg, "--install", str(path)])

    def record(self) -> PackageRecord:
        found = read_record(self.state / _RECORD, PackageRecord, _MOST_BYTES, _REMEDY)
        return found or PackageRecord()

    def keep(self, record: PackageRecord) -> None:
        write_record(self.state / _RECORD, record)


def bring_package(box: str, depot: Source, software: Software) -> str:
    """Install what the box is to have, as root; says what came of it.

    A package that does not come up is refused with its release, and never tried again.
    """
    rollout = parsed(ROLLOUT, depot.read(ROLLOUT), TypeAdapter(Rollout))
    record = software.record()
    refused = {each.release for each in record.refused}
    release = rollout.wanted(box, record.release, refused)
    if release is None or release.package is None:
        return "no release holds a package for this box"
    if software.installed() == release.package.version:
        return f"{PACKAGE} {release.package.version} is installed"
    try:
        _install(release, release.package, depot, software)
    except DepotError:
        raise
    except TracksideError as error:
        kept = with_refusal(record.refused, release.number, str(error))
        software.keep(record.model_copy(update={"refused": kept}))
        raise TracksideError(str(error)) from error
    software.keep(record.model_copy(update={"release": release.number}))
    return f"{PACKAGE} {release.package.version} of release {release.number} was installed"


def _install(release: Release, package: Package, depot: Source, software: Software) -> None:
    """TracksideError for what is not for this box; DepotError for what is not to be believed."""
    architecture = software.architecture()
    target = package.file_for(architecture)
    if target is None:
        raise TracksideError(f"release {release.number} has no package for {architecture}")
    path = depot.fetch(target)
    try:
        found = read_package(path)
        if found != DebFields(PACKAGE, package.version, architecture):
            raise TracksideError(
                f"what was published as {package.version} for {architecture} is "
                f"{found.name} {found.version} for {found.architecture}"
            )
        software.install(path)
    finally:
        path.unlink()


def read_package(path: Path) -> DebFields:
    """ConfigurationError for a file that is no package."""
    try:
        said = _said(["dpkg-deb", "--show", f"--showformat={_FIELDS}", str(path)])
    except _Failed as error:
        raise ConfigurationError(f"{path} is no package that dpkg reads: {error}") from error
    return DebFields(*said.split())


class _Failed(TracksideError):
    """dpkg does not do it."""


def _said(command: Sequence[str], *, may_fail: bool = False) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise TracksideError(
            f"{command[0]}: {error.strerror}: packages want a Debian system"
        ) from error
    if done.returncode and not may_fail:
        last = [line for line in done.stderr.splitlines() if line.strip()][-_LAST_WORDS:]
        raise _Failed("; ".join(last) or f"{command[0]} ended with {done.returncode}")
    return done.stdout
