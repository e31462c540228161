"""The box's own software comes by the fleet too: by a real dpkg, in a root of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("tuf", reason="pip install 'trackside[fleet]'")

from edge.errors import DepotError, TracksideError, UsageError
from edge.fleet import FleetFolder, Software, bring_package
from edge.fleet.agent import open_depot
from stands.bundles import make_bundle
from stands.depots import NOW, Box, Desk, served

if shutil.which("dpkg-deb") is None or os.geteuid() != 0:
    pytest.skip("dpkg, as root, is wanted", allow_module_level=True)

HERE = subprocess.run(
    ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
).stdout.strip()
OTHER = "arm64" if HERE == "amd64" else "amd64"


def a_package(
    folder: Path, version: str, *, name: str = "trackside", kind: str = HERE, comes_up: bool = True
) -> Path:
    """One that says which it is, and whose lines come up with it or do not."""
    root = folder / f"{name}-{version}-{kind}"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {kind}\n"
        "Maintainer: nobody\nDescription: a stand-in\n"
    )
    postinst = root / "DEBIAN" / "postinst"
    said = "exit 0" if comes_up else "echo a line does not come up >&2; exit 1"
    postinst.write_text(f"#!/bin/sh\n{said}\n")
    postinst.chmod(0o755)
    place = root / "opt" / "trackside" / "version"
    place.parent.mkdir(parents=True)
    place.write_text(version)
    path = root.with_suffix(".deb")
    command = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def a_system(home: Path) -> Software:
    for folder in ("info", "updates"):
        (home / "root" / "var/lib/dpkg" / folder).mkdir(parents=True)
    (home / "root" / "var/lib/dpkg/status").touch()
    dpkg = ("dpkg", f"--root={home / 'root'}", "--force-script-chrootless")
    query = ("dpkg-query", f"--admindir={home / 'root/var/lib/dpkg'}")
    return Software(home / "state", dpkg, query)


class Fleet(NamedTuple):
    desk: Desk
    box: Box

    def publish(self, *packages: Path) -> int:
        return self.desk.depot.publish(bundle=None, lines={}, packages=packages, now=NOW).number

    def install(self) -> str:
        """As the timer has root do it."""
        settings, software = self.box.config.fleet, self.box.software
        assert settings is not None
        depot = open_depot(settings, FleetFolder(software.state))
        return bring_package(settings.box, depot, software)

    def has(self) -> str:
        return (self.box.folder.root.parent / "root/opt/trackside/version").read_text()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Box a runs version 1."""
    desk, home = Desk(tmp_path), tmp_path / "a"
    own = make_bundle(tmp_path / "own.bundle")
    with served(desk.folder) as url:
        box = Box(home, "a", url, desk.depot.root_path, own.path)
        box.software = a_system(home)
        box.software.install(a_package(tmp_path, "1"))
        yield Fleet(desk, box)


def test_a_box_runs_a_release_once_root_has_installed_its_package(
    fleet: Fleet, tmp_path: Path
) -> None:
    packages = a_package(tmp_path, "2"), a_package(tmp_path, "2", kind=OTHER)
    number = fleet.publish(*packages)
    assert fleet.box.turn().is_waiting
    assert fleet.box.status.doing == "waiting for the package"
    assert fleet.install() == "trackside 2 of release 1 was installed"
    assert fleet.has() == "2"
    assert not fleet.box.turn().is_waiting
    assert fleet.box.status.runs == number
    assert fleet.install() == "trackside 2 is installed"


def test_a_package_that_does_not_come_up_is_refused_with_its_release_and_never_tried_again(
    fleet: Fleet, tmp_path: Path
) -> None:
    fleet.publish(a_package(tmp_path, "2"))
    fleet.install()
    fleet.box.turn()
    bad = fleet.publish(a_package(tmp_path, "3", comes_up=False))
    with pytest.raises(TracksideError, match=r"a line does not come up.*error exit status 1"):
        fleet.install()
    fleet.box.turn()
    (refusal,) = fleet.box.status.refused
    assert refusal.release == bad and "its package was refused" in refusal.why
    assert fleet.box.status.runs == 1
    assert fleet.install() == "trackside 2 of release 1 was installed"  # which comes back
    assert fleet.has() == "2" and fleet.box.software.installed() == "2"
    assert fleet.install() == "trackside 2 is installed"


def test_a_box_whose_release_was_revoked_goes_back_to_the_software_before(
    fleet: Fleet, tmp_path: Path
) -> None:
    for version in ("2", "3"):
        fleet.publish(a_package(tmp_path, version))
        fleet.install()
        fleet.box.turn()
    fleet.desk.depot.end(2, "revoked", "it lets cracks by", NOW)
    assert fleet.install() == "trackside 2 of release 1 was installed"
    fleet.box.turn()
    assert (fleet.has(), fleet.box.status.runs) == ("2", 1)


def test_what_was_not_signed_is_never_installed(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish(a_package(tmp_path, "2"))
    (place,) = fleet.desk.folder.glob("targets/packages/*.deb")
    place.write_bytes(place.read_bytes()[::-1])
    with pytest.raises(DepotError, match="not to be believed"):
        fleet.install()
    assert fleet.has() == "1"
    assert fleet.box.turn().is_waiting  # what is signed may come yet


def test_root_takes_nothing_from_the_user_of_the_line(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish(a_package(tmp_path, "2"))
    assert fleet.box.turn().is_waiting
    (target,) = (fleet.desk.folder / "targets/packages").iterdir()
    mine = a_package(tmp_path / "mine", "2", comes_up=False)
    mine.rename(fleet.box.folder.staged / f"packages%2F{target.name.partition('.')[2]}")
    fleet.box.folder.tell(fleet.box.status.model_copy(update={"runs": 7, "wants": 7}))
    assert fleet.install() == "trackside 2 of release 1 was installed"
    assert (fleet.has(), fleet.box.software.installed()) == ("2", "2")


def test_a_release_for_other_kinds_of_box_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    fleet.publish(a_package(tmp_path, "2", kind=OTHER))
    with pytest.raises(TracksideError, match=f"release 1 has no package for {HERE}"):
        fleet.install()
    fleet.box.turn()
    assert f"has no package for {HERE}" in fleet.box.status.refused[0].why
    assert fleet.install() == "no release holds a package for this box"


def test_what_no_box_could_have_is_not_published(fleet: Fleet, tmp_path: Path) -> None:
    two = a_package(tmp_path, "2")
    text = tmp_path / "text.deb"
    text.write_text("no package")
    for given, said in (
        ([text], "is no package that dpkg reads"),
        ([a_package(tmp_path, "2", name="other")], "is a package of other"),
        ([two, two], "one package for each kind of box"),
        ([two, a_package(tmp_path, "3", kind=OTHER)], "a release has one version"),
        ([a_package(tmp_path, "2", kind="riscv64")], "is nothing that boxes could have"),
    ):
        with pytest.raises((UsageError, TracksideError), match=said):
            fleet.publish(*given)
    assert fleet.desk.depot.rollout.releases == ()
