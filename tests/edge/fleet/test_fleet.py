"""A box takes what its fleet's desk signed, and nothing else, whatever is done to the server."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, NamedTuple

import pytest
import yaml
from pydantic import ValidationError

pytest.importorskip("tuf", reason="pip install 'trackside[fleet]'")

from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, TargetFile

from edge.bundle import Bundle
from edge.errors import ConfigurationError
from edge.fleet import FleetFolder, Release, Ring, Rollout, line_in_force, paced
from edge.fleet.agent import start_agent
from edge.swap import in_force_now, roll_back
from edge.swap.folder import swap_folder
from stands.bundles import some_bundles
from stands.depots import NOW, Box, Desk, served
from stands.waiting import eventually


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    return some_bundles(tmp_path_factory.mktemp("bundles"), "own", "one", "two")


class Fleet(NamedTuple):
    desk: Desk
    box: Box
    bundles: dict[str, Bundle]


@pytest.fixture
def fleet(tmp_path: Path, bundles: dict[str, Bundle]) -> Iterator[Fleet]:
    """Release 1, with the bundle `one`, has come to box a."""
    desk = Desk(tmp_path)
    with served(desk.folder) as url:
        box = Box(tmp_path / "a", "a", url, desk.depot.root_path, bundles["own"].path)
        desk.publish(bundles["one"])
        assert box.settle().runs == 1
        yield Fleet(desk, box, bundles)


def signed(path: Path) -> Any:
    return Metadata.from_file(str(path))


def timestamp(desk: Desk) -> Path:
    return desk.folder / "metadata" / "timestamp.json"


def newest(desk: Desk, role: str) -> Path:
    found = (desk.folder / "metadata").glob(f"*.{role}.json")
    return max(found, key=lambda path: int(path.name.split(".")[0]))


def key_of(desk: Desk, role: str) -> Signer:
    """As whoever got hold of the file has it."""
    (path,) = desk.keys.glob(f"{role}-*.pem")
    metadata = signed(newest(desk, "targets" if role == "rollout" else "root")).signed
    keys = metadata.delegations.keys if role == "rollout" else metadata.keys
    (key,) = (each for name, each in keys.items() if name.startswith(path.stem.split("-")[1]))
    return Signer.from_priv_key_uri(f"file2:{path}", key)


# Each returns what undoes it, where the desk's own next word would not.


def an_old_timestamp(fleet: Fleet) -> None:
    """Rollback: the state of yesterday, which was signed."""
    kept = timestamp(fleet.desk).read_bytes()
    fleet.desk.publish(fleet.bundles["two"])
    fleet.box.turn()  # it has seen release 2
    fleet.box.answer("not yet")
    timestamp(fleet.desk).write_bytes(kept)


def time_that_stands_still(fleet: Fleet) -> None:
    """Freeze: nothing newer is shown than what was signed eight days ago."""
    fleet.desk.depot.renew(NOW - timedelta(days=8))


def a_swapped_target(fleet: Fleet) -> None:
    """Another bundle, whole and right, in the place of the one that was published."""
    fleet.desk.publish(fleet.bundles["two"])
    (place,) = fleet.desk.folder.glob(f"targets/bundles/*{fleet.bundles['two'].digest}.bundle")
    place.write_bytes(fleet.bundles["own"].zipped().ljust(place.stat().st_size, b"\0"))


def a_snapshot_of_another_time(fleet: Fleet) -> None:
    """Mix and match: what is newest, with what belonged to the release before."""
    old = newest(fleet.desk, "snapshot").read_bytes()
    fleet.desk.publish(fleet.bundles["two"])
    newest(fleet.desk, "snapshot").write_bytes(old)


def an_older_rollout_in_a_new_snapshot(fleet: Fleet) -> None:
    old = newest(fleet.desk, "rollout").read_bytes()
    fleet.desk.publish(fleet.bundles["two"])
    newest(fleet.desk, "rollout").write_bytes(old)


def a_forged_key(fleet: Fleet) -> None:
    """All signed anew, by a key that nobody knows."""
    fleet.desk.publish(fleet.bundles["two"])
    for path in (
        newest(fleet.desk, "rollout"),
        newest(fleet.desk, "snapshot"),
        timestamp(fleet.desk),
    ):
        metadata = signed(path)
        metadata.signed.version += 1
        metadata.sign(CryptoSigner.generate_ed25519())
        metadata.to_file(str(path))


def a_root_of_the_attackers_own(fleet: Fleet) -> None:
    """With every role his, signed by himself and by one key of root of the two that it takes."""
    path = newest(fleet.desk, "root")
    root, mine = signed(path), CryptoSigner.generate_ed25519()
    for role in root.signed.roles.values():
        role.keyids, role.threshold = [mine.public_key.keyid], 1
    root.signed.keys = {mine.public_key.keyid: mine.public_key}
    old = signed(path)
    stolen = sorted(fleet.desk.keys.glob("root-*.pem"))[0]
    (key,) = (
        each for name, each in old.signed.keys.items() if name.startswith(stolen.stem.split("-")[1])
    )
    root.signed.version += 1
    root.sign(mine)
    root.sign(Signer.from_priv_key_uri(f"file2:{stolen}", key), append=True)
    root.to_file(str(path.with_name(f"{root.signed.version}.root.json")))


def the_watchs_keys_sign_a_bundle(fleet: Fleet) -> None:
    """Who has the keys of the machine that watches sends a bundle out that nobody published."""
    desk, wrong = fleet.desk, fleet.bundles["two"]
    name = f"bundles/{wrong.digest}.bundle"
    rollout = desk.depot.rollout
    mine = Release(number=2, bundle=name, ring=2, at="")
    text = rollout.model_copy(update={"releases": (*rollout.releases, mine)}).model_dump_json()
    files = {name: wrong.zipped(), "rollout.json": text.encode()}
    role, snapshot, newest_word = (
        signed(path)
        for path in (newest(desk, "rollout"), newest(desk, "snapshot"), timestamp(desk))
    )
    for path, content in files.items():
        above, _, last = path.rpartition("/")
        place = desk.folder / "targets" / above / f"{sha256(content).hexdigest()}.{last}"
        place.write_bytes(content)
        role.signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])
    role.signed.version += 1
    snapshot.signed.version += 1
    newest_word.signed.version += 1
    snapshot.signed.meta["rollout.json"].version = role.signed.version
    newest_word.signed.snapshot_meta.version = snapshot.signed.version
    for metadata, kind in ((role, "rollout"), (snapshot, "snapshot"), (newest_word, "timestamp")):
        metadata.sign(key_of(desk, kind))
        place = timestamp(desk).with_name(f"{metadata.signed.version}.{kind}.json")
        metadata.to_file(str(timestamp(desk) if kind == "timestamp" else place))


def endless_metadata(fleet: Fleet) -> None:
    timestamp(fleet.desk).write_bytes(b"{" + b" " * 5_000_000)


def a_page_in_its_place(fleet: Fleet) -> None:
    """A proxy's, say, which asks for a login."""
    timestamp(fleet.desk).write_text("<!doctype html><title>Log in</title>")


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (an_old_timestamp, "version"),
        (time_that_stands_still, "expired"),
        (a_swapped_target, "do(es)? not match"),
        (a_snapshot_of_another_time, "version"),
        (an_older_rollout_in_a_new_snapshot, "Expected rollout v3, got v2"),
        (a_forged_key, "signed by 0/1 keys"),
        (a_root_of_the_attackers_own, "signed by 1/2 keys"),
        (the_watchs_keys_sign_a_bundle, "no bundles/.* was signed"),
        (endless_metadata, "Downloaded|length"),
        (a_page_in_its_place, "not to be believed"),
    ],
)
def test_nothing_is_taken_from_a_depot_that_is_attacked_and_the_box_says_why(
    attack: Callable[[Fleet], None], said: str, fleet: Fleet
) -> None:
    attack(fleet)
    asked = swap_folder(fleet.box.config).request()
    turned = fleet.box.turn()
    status = fleet.box.status
    assert turned.fresh_until is None
    assert re.search(said, status.trouble or "")
    assert status.runs == 1
    assert swap_folder(fleet.box.config).request() == asked
    assert in_force_now(fleet.box.config) == fleet.bundles["one"].digest


@contextmanager
def speaking(said: bytes, again: bytes = b"") -> Iterator[str]:
    """The URL of a server that says this to each, and then the other thing over and over."""

    class Speaking(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(said)
            with suppress(OSError):
                while again:
                    self.request.sendall(again)
                    time.sleep(0.02)

    with ThreadingTCPServer(("127.0.0.1", 0), Speaking) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("answer", "again", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x", "comes too slowly"),  # its head never ends
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0", "comes too slowly"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nwhat?\r\n", b"", "cannot be read"),
        (b"220 this is another service\r\n", b"", "cannot be read"),
    ],
)
def test_a_server_that_drips_or_speaks_something_else_holds_no_box_up_which_says_so(
    answer: bytes, again: bytes, said: str, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paced, "_GRACE_S", 0.5)
    with speaking(answer, again) as url:
        line = fleet.box.path.read_text()
        fleet.box.path.write_text(re.sub(r"http://[0-9.:]+", url, line))
        assert fleet.box.turn().fresh_until is None
    assert said in (fleet.box.status.trouble or "")
    assert fleet.box.status.runs == 1


def test_a_box_whose_server_is_gone_works_on_and_takes_the_next_release_when_it_is_back(
    tmp_path: Path, fleet: Fleet
) -> None:
    away = tmp_path / "away"
    shutil.copy(fleet.desk.depot.root_path, tmp_path / "root.json")  # as it is on the box
    line = fleet.box.path.read_text()
    fleet.box.path.write_text(line.replace(str(fleet.desk.folder / "root.json"), "../root.json"))
    shutil.move(fleet.desk.folder, away)
    fleet.box.turn()
    assert "404" in (fleet.box.status.trouble or "")
    assert fleet.box.status.runs == 1
    shutil.move(away, fleet.desk.folder)
    fleet.desk.publish(fleet.bundles["two"])
    assert (fleet.box.settle().runs, fleet.box.status.trouble) == (2, None)


def test_keys_that_got_lost_are_replaced_and_boxes_follow_by_the_word_of_those_they_know(
    fleet: Fleet,
) -> None:
    for role in ("root", "targets", "rollout", "snapshot", "timestamp"):
        fleet.desk.depot.replace_keys(role, NOW)
    fleet.desk.publish(fleet.bundles["two"])
    assert fleet.box.settle().runs == 2
    stolen = signed(timestamp(fleet.desk))
    assert stolen.signed.version > 2


def test_a_release_that_was_refused_is_not_tried_again_and_the_next_one_is(fleet: Fleet) -> None:
    fleet.desk.publish(
        fleet.bundles["wrong"]
    )  # its golden pair refuses it before the line is asked
    fleet.box.turn()
    status = fleet.box.status
    assert [each.release for each in status.refused] == [2]
    assert "golden" in status.refused[0].why
    assert (status.runs, status.wants) == (1, 2)
    fleet.desk.publish(fleet.bundles["two"])
    fleet.box.turn()
    fleet.box.answer("it agrees on 12.0% of 300 frames")  # as a shadow period says it
    fleet.box.turn()
    assert [each.release for each in fleet.box.status.refused] == [2, 3]
    asked = swap_folder(fleet.box.config).request()
    fleet.box.turn()
    assert swap_folder(fleet.box.config).request() == asked
    assert in_force_now(fleet.box.config) == fleet.bundles["one"].digest
    fleet.desk.publish(fleet.bundles["own"])
    assert fleet.box.settle().runs == 4


def test_what_is_revoked_gives_way_to_the_release_before_and_to_the_boxs_own_where_there_is_none(
    fleet: Fleet,
) -> None:
    fleet.desk.publish(fleet.bundles["two"])
    assert fleet.box.settle().runs == 2
    fleet.desk.depot.end(2, "stopped", "it may stay where it is", NOW)
    assert fleet.box.settle().runs == 2
    fleet.desk.depot.end(2, "revoked", "it lets cracks by", NOW)
    assert fleet.box.settle().runs == 1
    assert in_force_now(fleet.box.config) == fleet.bundles["one"].digest
    fleet.desk.depot.end(1, "revoked", "that one too", NOW)
    assert fleet.box.settle().runs is None
    assert in_force_now(fleet.box.config) == fleet.bundles["own"].digest


def test_what_is_revoked_while_the_line_tries_it_is_gone_once_the_line_has_taken_it(
    fleet: Fleet,
) -> None:
    fleet.desk.publish(fleet.bundles["two"])
    assert fleet.box.turn().is_waiting
    fleet.desk.depot.end(2, "revoked", "it lets cracks by", NOW)
    assert fleet.box.turn().is_waiting
    assert fleet.box.settle().runs == 1
    assert in_force_now(fleet.box.config) == fleet.bundles["one"].digest


def test_a_line_file_that_is_refused_takes_its_releases_bundle_back_too(
    tmp_path: Path, fleet: Fleet
) -> None:
    line = yaml.safe_load(fleet.box.path.read_text())
    del line["fleet"]
    for name, changed in (("good", {"name": "press 4"}), ("bad", {"swap": {"folder": "other"}})):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(line | changed))
    fleet.desk.publish(fleet.bundles["two"], a=tmp_path / "good.yaml")
    assert fleet.box.settle().runs == 2
    in_force = fleet.box.folder.line_standing().in_force
    assert in_force is not None
    fleet.desk.publish(fleet.bundles["own"], a=tmp_path / "bad.yaml")
    status = fleet.box.settle()
    assert [each.release for each in status.refused] == [3]
    assert "swap.folder" in status.refused[0].why
    assert status.runs == 2
    assert fleet.box.folder.line_standing().in_force == in_force
    assert in_force_now(fleet.box.config) == fleet.bundles["two"].digest


def test_a_line_file_that_was_damaged_or_forgotten_at_the_box_is_brought_anew(
    tmp_path: Path, fleet: Fleet
) -> None:
    line = yaml.safe_load(fleet.box.path.read_text())
    del line["fleet"]
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(line | {"name": "press 4"}))
    fleet.desk.publish(a=tmp_path / "good.yaml")
    assert fleet.box.settle().runs == 2
    digest = fleet.box.folder.line_standing().in_force
    assert digest is not None
    copy = fleet.box.folder.line_path(digest)
    copy.write_bytes(b"")
    with pytest.raises(ConfigurationError, match="--once` brings it anew"):
        line_in_force(fleet.box.path, fleet.box.config)
    assert not fleet.box.turn().is_waiting
    assert line_in_force(fleet.box.path, fleet.box.config).name == "press 4"
    (fleet.box.folder.root / "line_standing.json").unlink()
    assert fleet.box.turn().is_waiting
    assert fleet.box.settle().runs == 2
    assert fleet.box.folder.line_standing().in_force == digest
    assert fleet.box.status.refused == ()


def test_a_bundle_that_somebody_at_the_box_chose_is_left_and_told_to_the_desk(fleet: Fleet) -> None:
    fleet.desk.publish(fleet.bundles["two"])
    fleet.box.settle()
    roll_back(fleet.box.config)
    fleet.box.turn()
    status = fleet.box.status
    assert status.refused[-1].why == "another bundle was activated at the box"
    assert in_force_now(fleet.box.config) == fleet.bundles["one"].digest


def test_rings_hold_those_before_them_and_each_release_draws_its_share_anew() -> None:
    rings = (
        Ring(name="canary", boxes=("a",)),
        Ring(name="10%", share=0.1),
        Ring(name="all", share=1),
    )
    boxes = [f"box{number}" for number in range(1000)]

    def reached(number: int, ring: int) -> set[str]:
        release = Release(number=number, bundle=None, ring=ring, at="")
        rollout = Rollout(rings=rings, max_failures=0.1, fresh_days=7, releases=(release,))
        return {box for box in ["a", *boxes] if rollout.reaches(release, box)}

    assert reached(1, 0) == {"a"}
    assert 60 < len(reached(1, 1)) < 150
    assert reached(1, 1) != reached(2, 1)
    assert len(reached(1, 2)) == 1001


def test_a_release_in_a_ring_that_there_is_not_is_no_rollout() -> None:
    with pytest.raises(ValidationError, match="in a ring that there is not"):
        Rollout(
            rings=(Ring(name="all", share=1),),
            max_failures=0,
            fresh_days=1,
            releases=(Release(number=1, ring=1, at=""),),
        )


def test_a_release_that_is_stopped_reaches_nobody_else() -> None:
    rings = (Ring(name="canary", boxes=("a",)), Ring(name="all", share=1))
    old = Release(number=1, bundle=None, ring=1, at="")
    new = Release(number=2, bundle=None, ring=1, at="", state="stopped", why="failing")
    rollout = Rollout(rings=rings, max_failures=0.1, fresh_days=7, releases=(old, new))
    assert rollout.wanted("a", runs=2) == new
    assert rollout.wanted("b", runs=1) == old
    assert json.loads(rollout.model_dump_json())["releases"][1]["state"] == "stopped"


def test_the_agent_is_small_while_it_sleeps_and_ends_with_whoever_started_it(fleet: Fleet) -> None:
    fleet.desk.publish(fleet.bundles["two"])
    with start_agent(fleet.box.path) as agent:
        eventually(lambda: fleet.box.status.wants == 2)
        pages = int(Path(f"/proc/{agent.pid}/statm").read_text().split()[1])
        assert pages * os.sysconf("SC_PAGE_SIZE") < 20_000_000
        assert agent.stdin is not None
        agent.stdin.close()
        eventually(lambda: agent.poll() is not None)


@pytest.mark.parametrize("moment", ["yesterday", "2030-01-01T00:00:00"])
def test_a_status_with_a_moment_that_is_none_is_told_of_and_not_believed(
    tmp_path: Path, moment: str
) -> None:
    status = {"format": 1, "box": "a", "contact_at": moment}
    (tmp_path / "status.json").write_text(json.dumps(status))
    shown = FleetFolder(tmp_path).shown("a")
    assert shown.contact_at is None
    assert "was not written by this trackside" in (shown.trouble or "")
