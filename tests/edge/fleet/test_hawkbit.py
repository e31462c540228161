"""A box of a plant that has hawkBit's DDI: what is deployed is tried, and the server told of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from edge.bundle import MANIFEST, Bundle
from edge.bundle.signature import make_key, sign
from edge.errors import BundleError, ConfigurationError
from edge.fleet import line_in_force
from edge.fleet.agent import make_turn, open_depot, start_agent
from edge.fleet.swu import files_of
from edge.line_file import read_line
from edge.swap import in_force_now
from edge.swap.folder import swap_folder
from stands.bundles import some_bundles
from stands.fleet_lines import START_AGAIN, Service, unhurried
from stands.goosebit import ENVIRONMENT, TOKEN, Goosebit, PlantBox, image_of
from stands.waiting import eventually

needs_goosebit = pytest.mark.skipif(
    not (ENVIRONMENT / "ready").exists(), reason="make goosebit installs the server"
)
needs_cpio = pytest.mark.skipif(shutil.which("cpio") is None, reason="Debian: cpio")
pytestmark = needs_cpio

BOX = "press-1"


class Plant(NamedTuple):
    server: Goosebit
    box: PlantBox
    bundles: dict[str, Bundle]
    home: Path

    def deploy(self, version: str, told: str | None = None, **files: bytes) -> int:
        return self.server.deploy(BOX, image_of(self.home / version, version, told, **files))

    def line(self, **changed: object) -> bytes:
        """A line file for the box."""
        line = yaml.safe_load(self.box.path.read_text())
        del line["fleet"]
        return yaml.safe_dump(line | changed).encode()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    return some_bundles(tmp_path_factory.mktemp("bundles"), "own", "one")


@pytest.fixture
def plant(tmp_path: Path, bundles: dict[str, Bundle]) -> Iterator[Plant]:
    server = Goosebit(tmp_path / "server")
    with server.running():
        server.knows(BOX)
        yield Plant(
            server,
            PlantBox(tmp_path / "box", BOX, server.url, bundles["own"].path),
            bundles,
            tmp_path,
        )


@needs_goosebit
def test_a_deployment_ends_in_the_shadow_swap_and_the_server_is_told_what_came_of_it(
    plant: Plant,
) -> None:
    server, box = plant.server, plant.box
    assert not box.turn().is_waiting  # nothing is offered, and the server knows the box now
    assert server.state(BOX) == "Registered"
    one = plant.bundles["one"]
    number = plant.deploy("1.0.0", strip_bundle=one.zipped(), a_yaml=plant.line(name="press 4"))
    assert box.turn().is_waiting
    assert (server.state(BOX), box.status.wants) == ("Running", number)
    assert "trying the bundle" in server.told(BOX)
    assert box.settle().runs == number
    assert server.state(BOX) == "Finished"
    assert server.told(BOX).splitlines()[-1] == "it runs"
    assert in_force_now(box.config) == one.digest
    assert line_in_force(box.path, box.config).name == "press 4"

    number = plant.deploy("1.1.0", strip_bundle=plant.bundles["own"].zipped())
    assert box.settle().runs == number
    assert line_in_force(box.path, box.config).name == "press 4"  # it stays, as none came


@needs_goosebit
def test_a_deployment_that_the_box_refused_is_told_with_its_reason_and_never_tried_again(
    plant: Plant,
) -> None:
    server, box = plant.server, plant.box
    box.turn()
    number = plant.deploy("1.0.0", strip_bundle=plant.bundles["one"].zipped())
    box.turn()
    box.answer("it agrees on 12.0% of 300 frames")  # as a shadow period says it
    assert not box.turn().is_waiting
    why = "its bundle was refused: it agrees on 12.0% of 300 frames"
    assert [(each.release, each.why) for each in box.status.refused] == [(number, why)]
    assert (server.state(BOX), server.told(BOX).splitlines()[-1]) == ("Error", why)
    asked = swap_folder(box.config).request()
    server.insist(BOX)
    assert not box.turn().is_waiting
    assert (server.state(BOX), server.told(BOX).splitlines()[-1]) == ("Error", why)
    assert swap_folder(box.config).request() == asked
    assert (box.status.runs, in_force_now(box.config)) == (None, plant.bundles["own"].digest)

    number = plant.deploy("1.1.0", strip_bundle=plant.bundles["one"].zipped())
    assert box.settle().runs == number


@needs_goosebit
def test_a_deployment_that_is_taken_back_while_the_line_tries_it_is_gone_once_the_line_took_it(
    plant: Plant,
) -> None:
    plant.box.turn()
    plant.deploy("1.0.0", strip_bundle=plant.bundles["one"].zipped())
    assert plant.box.turn().is_waiting
    plant.server.take_back(BOX)
    assert plant.box.turn().is_waiting
    status = plant.box.settle()
    assert (status.runs, status.refused) == (None, ())
    assert in_force_now(plant.box.config) == plant.bundles["own"].digest


@needs_goosebit
def test_what_is_not_what_it_says_or_not_for_a_box_is_refused_before_the_line_is_asked(
    plant: Plant,
) -> None:
    box, own, one = plant.box, plant.bundles["own"], plant.bundles["one"].zipped()
    key = make_key(plant.home / "key.pem")
    signature, _ = sign(own.read(MANIFEST), plant.home / "key.pem")
    own.signed_by(signature).save(plant.home / "signed.bundle")
    theirs = make_key(plant.home / "theirs.pem")
    line = yaml.safe_load(box.path.read_text())
    line |= {"bundle": str(plant.home / "signed.bundle"), "bundle_key": key}
    box.path.write_text(yaml.safe_dump(line))
    box.turn()
    for version, told, files, why in (
        ("1.0.1", "0" * 64, {"strip_bundle": one}, "not what sw-description says"),
        ("1.0.2", None, {"a_bundle": one, "b_bundle": one}, "more than one .bundle"),
        ("1.0.3", None, {"trackside_deb": b"!<arch>"}, "neither a .bundle nor a .yaml"),
        ("1.0.4", None, {}, "nothing is to be done"),
        ("1.0.5", None, {"strip_bundle": one[:-100]}, "bundle"),
        ("1.0.6", None, {"strip_bundle": one}, "sign"),
        ("1.0.7", None, {"a_yaml": b"name: [\n"}, "check indentation"),
    ):
        number = plant.deploy(version, told, **files)
        assert not box.turn().is_waiting
        refused = box.status.refused[-1]
        assert (refused.release, plant.server.state(BOX)) == (number, "Error"), version
        assert refused.why in plant.server.told(BOX), version
        assert why in refused.why
    assert swap_folder(box.config).request() is None
    assert box.folder.line_request() is None
    plant.deploy("1.0.8", a_yaml=plant.line(bundle_key=theirs))
    box.settle()
    assert line_in_force(box.path, box.config).bundle_key == key  # which stays the box's own


@needs_goosebit
def test_a_server_that_is_gone_when_the_line_answers_is_told_when_it_is_back(
    tmp_path: Path, bundles: dict[str, Bundle]
) -> None:
    server = Goosebit(tmp_path / "server")
    with server.running():
        server.knows(BOX)
        box = PlantBox(tmp_path / "box", BOX, server.url, bundles["own"].path)
        box.turn()
        image = image_of(tmp_path / "image", "1.0.0", strip_bundle=bundles["one"].zipped())
        number = server.deploy(BOX, image)
        assert box.turn().is_waiting
    box.answer()
    assert box.turn().fresh_until is None
    assert "works on with what it has" in (box.status.trouble or "")
    assert in_force_now(box.config) == bundles["one"].digest
    with server.running():
        assert server.state(BOX) == "Running"
        assert not box.turn().is_waiting
        assert server.state(BOX) == "Finished"
    assert (box.status.runs, box.status.trouble) == (number, None)


@needs_goosebit
def test_the_agent_takes_a_deployment_by_itself_and_shows_its_token_to_nobody(
    plant: Plant,
) -> None:
    plant.server.knows(BOX)
    with start_agent(plant.box.path) as agent:
        eventually(lambda: plant.server.state(BOX) == "Registered")
        number = plant.deploy("1.0.0", strip_bundle=plant.bundles["one"].zipped())
        eventually(lambda: plant.box.status.trying == number)
        eventually(lambda: swap_folder(plant.box.config).request() is not None)
        plant.box.answer()
        eventually(lambda: plant.server.state(BOX) == "Finished")
        about = Path(f"/proc/{agent.pid}")
        assert TOKEN not in (about / "cmdline").read_text()
        pages = int((about / "statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 20_000_000
        assert agent.stdin is not None
        agent.stdin.close()
        eventually(lambda: agent.poll() is not None)
    assert plant.box.status.runs == number


@needs_goosebit
def test_a_line_that_runs_takes_what_is_deployed_bundle_and_line_file(plant: Plant) -> None:
    box = plant.box
    unhurried(box.path)
    with Service(box.path) as service:
        eventually(lambda: plant.server.state(BOX) == "Registered")
        one = plant.bundles["one"]
        number = plant.deploy("1.0.0", strip_bundle=one.zipped(), a_yaml=plant.line(name="renamed"))
        eventually(lambda: plant.server.state(BOX) == "Finished")
        assert box.status.runs == number
        assert in_force_now(box.config) == one.digest
        assert line_in_force(box.path, box.config).name == "renamed"
        assert service.codes == [START_AGAIN]  # for the line file; the bundle between two frames


@needs_goosebit
def test_a_box_with_another_token_is_told_so_and_takes_nothing(
    tmp_path: Path, plant: Plant
) -> None:
    stranger = PlantBox(
        tmp_path / "stranger", BOX, plant.server.url, plant.bundles["own"].path, "another"
    )
    assert make_turn(stranger.path).fresh_until is None
    assert "401 Unauthorized: is `token` this box's?" in (stranger.status.trouble or "")


def test_an_image_that_is_cut_off_or_changed_anywhere_is_no_image(tmp_path: Path) -> None:
    image = image_of(tmp_path / "image", "1.0.0", a_bundle=b"content", b_yaml=b"more")
    whole = image.read_bytes()
    assert files_of(whole) == {"a.bundle": b"content", "b.yaml": b"more"}
    end = whole.index(b"TRAILER!!!")
    for at in range(end):
        with pytest.raises(BundleError):
            files_of(whole[:at])
    for changed in (
        whole.replace(b"content", b"consent"),
        whole.replace(b"a.bundle", b"c.bundle", 1),
        whole[:54] + b"-0000001" + whole[62:],  # the size of what comes first
    ):
        with pytest.raises(BundleError):
            files_of(changed)


def test_software_comes_by_a_depot_alone_and_a_box_has_one_source(tmp_path: Path) -> None:
    box = PlantBox(tmp_path / "box", BOX, "http://127.0.0.1:1", Path("strip"))
    fleet = box.config.fleet
    assert fleet is not None
    with pytest.raises(ConfigurationError, match="hawkBit signs nothing"):
        open_depot(fleet, box.folder)
    line = yaml.safe_load(box.path.read_text())
    line["fleet"] |= {"url": "http://127.0.0.1:1", "root": "root.json"}
    box.path.write_text(yaml.safe_dump(line))
    with pytest.raises(ConfigurationError, match="in their place"):
        read_line(box.path)
