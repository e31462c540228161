"""What the desk does with a depot: publish a release, send it further, stop it, take it back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from edge.bundle import open_bundle
from edge.depot.tuf_repository import ROLES, Keys, TufRepository
from edge.errors import UsageError
from edge.files import parsed, read_yaml
from edge.fleet import EVERY_BOX, PACKAGE, ROLLOUT, Package, Release, Ring, Rollout, read_package
from edge.line_file import BoxName, LineSettings

_ROLLOUT = TypeAdapter(Rollout)
_BOX_NAME = TypeAdapter[str](BoxName)
_NUMBER = r"[0-9]+(\.[0-9]*)?"


class Depot:
    """One depot's folder, which a web server shows; keys lie elsewhere, in the folders `keys`."""

    def __init__(self, folder: Path, keys: Sequence[Path] = ()) -> None:
        self.folder = folder
        self._repository = TufRepository(folder, keys)

    @property
    def rollout(self) -> Rollout:
        """What goes out to whom."""
        return parsed(ROLLOUT, self._repository.rollout_text(), _ROLLOUT)

    @property
    def root_path(self) -> Path:
        """What boxes are given by hand."""
        return self._repository.root_path

    def expiries(self) -> dict[str, datetime]:
        return self._repository.expiries()

    def create(
        self,
        rings: Sequence[Ring],
        keys: Mapping[str, Keys],
        *,
        max_failures: float,
        fresh_days: float,
        now: datetime,
    ) -> None:
        """With keys of its own, and nothing in it yet."""
        if rings[-1].share < 1:
            raise UsageError(f"the last ring, {rings[-1].name}, must hold all boxes: give it 100%")
        rollout = Rollout(rings=tuple(rings), max_failures=max_failures, fresh_days=fresh_days)
        self._repository.create(keys, _written(rollout), timedelta(days=fresh_days), now)

    def publish(
        self,
        *,
        bundle: Path | None,
        lines: Mapping[str, Path],
        packages: Sequence[Path] = (),
        own_lines: bool = False,
        accepted_by: str | None = None,
        now: datetime,
    ) -> Release:
        """A release for the first ring: what the one before held, with what is given in its place.

        BundleError and ConfigurationError for what no box could take.
        """
        rollout = self.rollout
        files: dict[str, bytes] = {}
        last = next((e for e in reversed(rollout.releases) if e.state == "going out"), None)
        bundle_target = None if last is None else last.bundle
        if bundle is not None:
            opened = open_bundle(bundle)
            bundle_target = f"bundles/{opened.digest}.bundle"
            files[bundle_target] = opened.zipped()
        line_targets = {} if last is None or own_lines else dict(last.lines)
        for box, path in lines.items():
            text = checked_line(path)
            line_targets[box] = f"lines/{sha256(text).hexdigest()}.yaml"
            files[line_targets[box]] = text
        package = None if last is None else last.package
        if packages:
            package, of_packages = _package_of(packages)
            files |= of_packages
        if bundle_target is None and not line_targets and package is None:
            raise UsageError("a release needs something in it: give --bundle, --line or --package")
        release = Release(
            number=1 + max((each.number for each in rollout.releases), default=0),
            bundle=bundle_target,
            lines=line_targets,
            package=package,
            accepted_by=accepted_by,
            ring=0,
            at=_said(now),
        )
        new = {name: each for name, each in files.items() if not self._repository.has(name)}
        releases = (*rollout.releases, release)
        self._sign(rollout.model_copy(update={"releases": releases}), now, new)
        return release

    def promote(self, number: int, now: datetime) -> Release:
        """One ring further."""
        release = self.release(number)
        if release.state != "going out":
            raise UsageError(f"release {number} is {release.state}: publish another one")
        if release.ring + 1 == len(self.rollout.rings):
            raise UsageError(f"release {number} has reached all boxes")
        return self._replace(release.model_copy(update={"ring": release.ring + 1}), now)

    def end(
        self, number: int, state: Literal["stopped", "revoked"], why: str, now: datetime
    ) -> Release:
        """Stopped, it goes no further; revoked, boxes that run it go back besides."""
        release = self.release(number)
        return self._replace(release.model_copy(update={"state": state, "why": why[:2000]}), now)

    def renew(self, now: datetime) -> None:
        """Say anew that there is nothing newer."""
        self._repository.renew(timedelta(days=self.rollout.fresh_days), now)

    def replace_keys(self, role: str, now: datetime) -> None:
        """Those in force are no longer believed."""
        self._repository.replace_keys(role, timedelta(days=self.rollout.fresh_days), now)

    def release(self, number: int | None = None) -> Release:
        """Of that number, or the newest."""
        releases = self.rollout.releases
        if not releases:
            raise UsageError("nothing was published yet: begin with `trackside fleet publish`")
        found = releases[-1] if number is None else self.rollout.release(number)
        if found is None:
            known = ", ".join(str(each.number) for each in releases)
            raise UsageError(f"there is no release {number}: choose from {known}")
        return found

    def _replace(self, release: Release, now: datetime) -> Release:
        rollout = self.rollout
        release = release.model_copy(update={"at": _said(now)})
        releases = tuple(release if e.number == release.number else e for e in rollout.releases)
        self._sign(rollout.model_copy(update={"releases": releases}), now, {})
        return release

    def _sign(self, rollout: Rollout, now: datetime, files: Mapping[str, bytes]) -> None:
        fresh = timedelta(days=rollout.fresh_days)
        self._repository.publish(files, _written(rollout), fresh, now)


def _package_of(paths: Sequence[Path]) -> tuple[Package, dict[str, bytes]]:
    """One version, for as many kinds of box as there are files, and what these hold."""
    version, targets, files = None, dict[str, str](), dict[str, bytes]()
    for path in paths:
        fields = read_package(path)
        if fields.name != PACKAGE:
            raise UsageError(f"{path} is a package of {fields.name}: give what `make deb` made")
        if fields.architecture in targets or fields.version != (version or fields.version):
            raise UsageError(
                f"{path} is {fields.version} for {fields.architecture}: a release has one version, "
                "and of it one package for each kind of box"
            )
        version, content = fields.version, path.read_bytes()
        targets[fields.architecture] = f"packages/{sha256(content).hexdigest()}.deb"
        files[targets[fields.architecture]] = content
    try:
        return Package.model_validate({"version": version, "files": targets}), files
    except ValidationError as error:
        kinds = ", ".join(targets)
        raise UsageError(f"{version} for {kinds} is nothing that boxes could have") from error


def checked_line(path: Path) -> bytes:
    """The text of a line file that boxes may take; what it names lies on them, not here."""
    config = read_yaml(path, LineSettings, lenient=True)
    if config.fleet is not None:
        raise UsageError(f"{path}: `fleet:` stays each box's own: leave it out of a release")
    if config.swap is None:
        raise UsageError(f"{path}: boxes of a fleet have a `swap:`, as their own line files say it")
    if config.swap.fleet_objection:
        raise UsageError(f"{path}: {config.swap.fleet_objection}")
    return path.read_bytes()


def lines_of(given: Sequence[str]) -> dict[str, Path]:
    """BOX=FILE, or FILE for every box."""
    lines = {}
    for each in given:
        box, equals, path = each.rpartition("=")
        if equals:
            _check_name(box)
        lines[box if equals else EVERY_BOX] = Path(path)
    return lines


def _check_name(box: str) -> None:
    try:
        _BOX_NAME.validate_python(box)
    except ValidationError as error:
        raise UsageError(
            f"{box!r} is no box's name: give what stands under `fleet.box` of its line file"
        ) from error


def rings_of(canary: Sequence[str], shares: Sequence[str]) -> list[Ring]:
    """The first by its boxes' names, the others as shares of all, such as 10%."""
    for box in canary:
        _check_name(box)
    rings = [Ring(name="canary", boxes=tuple(canary))]
    for each in shares:
        number = each.removesuffix("%")
        if number == each or not re.fullmatch(_NUMBER, number) or float(number) > 100:
            raise UsageError(f"--ring {each} is no share of all boxes: give one such as 10%")
        rings.append(Ring(name="all" if number == "100" else each, share=float(number) / 100))
    return rings


def keys_of(root: str, targets: str) -> dict[str, Keys]:
    """N/M, of root and targets; one key of each other role."""
    given = {"root": root, "targets": targets}
    return {role: _keys(role, given.get(role, "1/1")) for role in ROLES}


def _keys(role: str, text: str) -> Keys:
    given = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
    if given is None or not 1 <= int(given[1]) <= int(given[2]):
        raise UsageError(f"--{role}-keys {text}: give how many must sign of how many, such as 2/3")
    return Keys(int(given[1]), int(given[2]))


def _written(rollout: Rollout) -> bytes:
    return (rollout.model_dump_json(indent=1) + "\n").encode()


def _said(now: datetime) -> str:
    return now.isoformat(timespec="seconds")
