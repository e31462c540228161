"""One turn of the agent: ask the depot, and bring the box to what it is to run.

What is done is on disk before the next thing is begun, so that a turn that is killed is made again.
A release that the box refused once is never tried again: a better one has another number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from pydantic import TypeAdapter

from edge.bundle import open_bundle
from edge.errors import ConfigurationError, DepotError, TracksideError
from edge.files import parsed
from edge.fleet.folder import (
    FleetFolder,
    FleetStatus,
    LineRequest,
    is_answered,
    now,
    refusal_of,
    with_refusal,
)
from edge.fleet.line_in_force import fleet_of, line_in_force, line_that_came
from edge.fleet.package import Software
from edge.fleet.rollout import ROLLOUT, Release, Rollout, digest_of
from edge.line_file import LineSettings, read_line
from edge.network import resolve_bundle
from edge.swap import activate, decision_of, in_force_now, roll_back

_LOOK_S = 0.2  # between two looks at what the line answers
WAIT_S = 300.0  # for its answer in one turn; the next turn goes on waiting


class Depot(Protocol):
    """What was signed, verified as it is read; DepotError for what is not to be believed."""

    def read(self, name: str) -> bytes: ...

    def fetch(self, name: str) -> Path: ...

    @property
    def fresh_until(self) -> datetime: ...


@dataclass(frozen=True)
class Turned:
    """When another turn is due, whether or not there is news."""

    fresh_until: datetime | None  # None: the depot could not be read
    is_waiting: bool  # for the line


class _Refused(TracksideError):
    """This box will not take the release."""


class _Waits(Exception):
    """The line has not answered yet."""


def turn(
    path: Path,
    open_depot: Callable[[], Depot],
    wait_s: float = WAIT_S,
    software: Software = Software(),  # noqa: B008, it is a value
) -> Turned:
    """Of the box whose own line file is at `path`; what cannot be done is said in its status."""
    box = _Box(path, read_line(path), wait_s, software)
    try:
        depot = open_depot()
        rollout = parsed(ROLLOUT, depot.read(ROLLOUT), TypeAdapter(Rollout))
        box.say(contact_at=now(), trouble=None)
        box.bring_to(rollout, depot)
        return Turned(depot.fresh_until, is_waiting=False)
    except _Waits:
        return Turned(depot.fresh_until, is_waiting=True)
    except (TracksideError, ValueError, OSError) as error:  # no fault of the release
        box.say(trouble=str(error))
        return Turned(None, is_waiting=False)


class _Box:
    """What it runs, and how it comes to run another release."""

    def __init__(self, path: Path, own: LineSettings, wait_s: float, software: Software) -> None:
        self._path, self._own = path, own
        self._software = software
        self._settings = fleet_of(own)
        self.folder = FleetFolder(self._settings.folder)
        self._config = own
        self._until_s = time.monotonic() + wait_s
        self._status = self.folder.status() or FleetStatus(box=self._settings.box)

    def say(self, **news: Any) -> None:
        status = FleetStatus(**{**dict(self._status), "box": self._settings.box, **news})
        if status != self._status:
            self.folder.tell(status)
            self._status = status

    def bring_to(self, rollout: Rollout, depot: Depot) -> None:
        """Take what is wanted, leave what was revoked, and else let all be as it is."""
        self._config = self._line_that_runs()
        status = self._status
        newest = rollout.wanted(status.box, status.runs)
        ring = newest and rollout.rings[newest.ring].name
        self.say(wants=newest and newest.number, ring=ring)
        while (release := self._acceptable(rollout)) is not None:
            if release.number == self._status.runs and self._stays(release):
                break
            if self._take(release, depot, revoked=self._revoked(rollout)):
                break
        else:
            self._leave(rollout)
        self._tidy()
        self.say(doing="nothing")

    def _acceptable(self, rollout: Rollout) -> Release | None:
        """What is wanted of all that was not refused."""
        refused = {each.release for each in self._status.refused}
        return rollout.wanted(self._status.box, self._status.runs, refused)

    def _take(self, release: Release, depot: Depot, *, revoked: bool) -> bool:
        """Whether it runs now; if not it was refused, and all is as before."""
        status = self._status
        if status.trying != release.number:
            before = in_force_now(self._config)
            self.say(trying=release.number, bundle_before=before, asked=None)
        try:
            accepted_by = release.accepted_by
            if revoked:
                accepted_by = f"release {status.runs} was revoked"
            self._await_package(release)
            if release.bundle is not None:
                self._take_bundle(
                    digest_of(release.bundle),
                    lambda: depot.fetch(str(release.bundle)),
                    accepted_by,
                )
            self._take_line(release, depot)
        except DepotError:
            raise
        except TracksideError as error:
            self._refuse(release.number, str(error))
            self._come_back()
            return False
        self.say(runs=release.number, trying=None, bundle_before=None, asked=None)
        return True

    def _await_package(self, release: Release) -> None:
        """Root installs it; what comes after may want it, so it comes first."""
        if release.package is None or self._software.installed() == release.package.version:
            return
        self.say(doing="waiting for the package")
        for _ in self._patience():
            record = self._software.record()  # which tells without a process
            if (why := refusal_of(record.refused, release.number)) is not None:
                raise _Refused(f"its package was refused: {why}")
            is_done = record.release == release.number
            if is_done and self._software.installed() == release.package.version:
                return

    def _take_bundle(
        self, digest: str, source: Callable[[], Path], accepted_by: str | None
    ) -> None:
        """It says itself which it is: what the depot's name for it says is only believed then."""
        if in_force_now(self._config) == digest:
            return
        self.say(doing="trying the bundle")
        if self._status.asked is None:
            path = source()
            if (found := open_bundle(path, self._config.bundle_key).digest) != digest:
                raise _Refused(f"its bundle is {found[:12]}, and {digest[:12]} was published")
            asked = activate(self._config, path, allow_older=True, accepted_elsewhere=accepted_by)
            self.say(asked=asked.id)
        assert self._status.asked is not None
        self._await_bundle(self._status.asked)

    def _await_bundle(self, asked: str) -> None:
        for _ in self._patience():
            decision = decision_of(self._config, asked)
            if decision is not None:
                if decision.refusal is not None:
                    raise _Refused(f"its bundle was refused: {decision.refusal}")
                return

    def _take_line(self, release: Release, depot: Depot) -> None:
        target = release.line_for(self._status.box)
        digest = None if target is None else digest_of(target)
        if self._has_line(digest):
            return
        self.say(doing="trying the line file")
        if digest is not None and target is not None:
            if self.folder.keep_line(depot.read(target)) != digest:
                raise _Refused("its line file is not the one that was published")
            line_that_came(self.folder, digest, self._path, self._own)  # while the old one runs
        if self._has_line(digest):  # its copy alone was damaged
            return
        self._await_line(LineRequest(id=uuid4().hex, digest=digest, release=release.number))

    def _await_line(self, wanted: LineRequest) -> None:
        request = self.folder.line_request()
        if request is None or (request.digest, request.release) != (wanted.digest, wanted.release):
            request = wanted
            self.folder.ask(request)
        for _ in self._patience():
            standing = self.folder.line_standing()
            if is_answered(request, standing):
                assert standing.outcome is not None
                if standing.outcome.refusal is not None:
                    raise _Refused(f"its line file was refused: {standing.outcome.refusal}")
                self._config = line_in_force(self._path, self._own)
                return

    def _stays(self, release: Release) -> bool:
        """Whether what runs is left alone; not where its line file is no longer what it was."""
        self._come_back()
        bundle = release.bundle
        if bundle is not None and in_force_now(self._config) != digest_of(bundle):
            self._refuse(release.number, "another bundle was activated at the box")
            self.say(runs=None)
            return True
        target = release.line_for(self._status.box)
        return self._has_line(None if target is None else digest_of(target))

    def _has_line(self, digest: str | None) -> bool:
        """Whether that line file is in force here, and whole."""
        if self.folder.line_standing().in_force != digest:
            return False
        try:
            if digest is not None:
                self.folder.checked_line(digest)
        except ConfigurationError:
            return False
        return True

    def _line_that_runs(self) -> LineSettings:
        """The box's own where what is in force cannot be read, until it is brought anew."""
        digest = self.folder.line_standing().in_force
        with suppress(ConfigurationError):
            if digest is not None:
                return line_that_came(self.folder, digest, self._path, self._own)
        return self._own

    def _leave(self, rollout: Rollout) -> None:
        """Nothing is wanted here: what was revoked gives way to the box's own."""
        self._come_back()
        if not self._revoked(rollout):
            return
        self.say(doing="going back", trying=None)
        path = resolve_bundle(self._own.bundle)
        why = f"release {self._status.runs} was revoked"
        self._take_bundle(open_bundle(path).digest, lambda: path, why)
        if self.folder.line_standing().in_force is not None:
            self._await_line(LineRequest(id=uuid4().hex, digest=None, release=None))
        self.say(runs=None, asked=None)

    def _revoked(self, rollout: Rollout) -> bool:
        runs = self._status.runs
        release = None if runs is None else rollout.release(runs)
        return release is not None and release.state == "revoked"

    def _come_back(self) -> None:
        """To the bundle from before a release that was refused with its bundle already in force."""
        before = self._status.bundle_before
        if before is None:
            return
        if self._status.doing != "going back" and self._status.asked is not None:
            with suppress(TracksideError):  # the line may yet take what it was asked to try
                self._await_bundle(self._status.asked)
        if in_force_now(self._config) != before:
            if self._status.doing != "going back" or self._status.asked is None:
                asked = roll_back(self._config)
                self.say(doing="going back", asked=asked.id)
            assert self._status.asked is not None
            self._await_bundle(self._status.asked)
        self.say(trying=None, bundle_before=None, asked=None)

    def _refuse(self, number: int, why: str) -> None:
        self.say(refused=with_refusal(self._status.refused, number, why))

    def _patience(self) -> Iterator[None]:
        """As long as the turn may wait; then _Waits."""
        while True:
            yield
            if time.monotonic() >= self._until_s:
                raise _Waits
            time.sleep(_LOOK_S)

    def _tidy(self) -> None:
        self.folder.drop_lines_but({self.folder.line_standing().in_force})
        for path in self.folder.staged.glob("*"):
            path.unlink()
