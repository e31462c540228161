"""The desk sends a release on while its boxes report well, and stops one that fails."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("tuf", reason="pip install 'trackside[fleet]'")
pytest.importorskip("paho.mqtt", reason="pip install 'trackside[mqtt]'")

from paho.mqtt.publish import single

from benchmarks.soak.broker import MOSQUITTO, Broker
from edge.cli.app import app
from edge.clock import clock_ns
from edge.depot import Report, board, standing_of
from edge.depot.depot import Depot
from edge.depot.mqtt_reports import mqtt_reports
from edge.depot.watch import Watch
from edge.errors import DepotError, TracksideError, UsageError
from edge.line_file import MqttSettings
from edge.telemetry import FleetMessage, Message, Spool
from edge.telemetry.messages import RefusalPart
from edge.telemetry.mqtt import MqttCourier
from stands.bundles import make_bundle
from stands.depots import NOW, Desk, later
from stands.places import STEEL_LINE
from stands.waiting import eventually


def report(box: str, runs: int | None, refused: int | None = None, *complaints: str) -> Report:
    refusals = () if refused is None else (RefusalPart(release=refused, why="it is slow", at=""),)
    said = FleetMessage(
        line=box,
        box=box,
        runs=runs,
        wants=runs,
        doing="nothing",
        refused=refusals,
        trouble=None,
        contact_at=None,
        bundle=None,
        version="0.1.0",
        complaints=complaints,
    )
    return Report(said, online=True)


def reports(*some: Report) -> dict[str, Report]:
    return {each.said.box: each for each in some}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.publish(make_bundle(tmp_path / "one.bundle"))
    return desk


def test_a_release_is_held_until_its_ring_has_been_well_for_its_time(desk: Desk) -> None:
    watch = Watch(desk.depot, timedelta(minutes=60))

    def looked(minutes: float, *some: Report) -> tuple[str, int]:
        [standing] = watch.look(reports(*some), later(minutes=minutes))
        return standing.verdict, desk.depot.release(1).ring

    assert looked(0) == ("held", 0)  # it has said nothing yet
    assert looked(1, report("a", None)) == ("held", 0)
    assert looked(2, report("a", 1, None, "camera top: unplugged")) == ("held", 0)
    assert looked(3, report("a", 1)) == ("well", 0)
    assert looked(4, report("a", None)) == ("held", 0)  # its time begins anew
    assert looked(5, report("a", 1)) == ("well", 0)
    assert looked(64, report("a", 1)) == ("well", 0)
    assert looked(65, report("a", 1)) == ("well", 1)


def test_a_release_that_too_many_of_its_ring_refuse_stops_by_itself(desk: Desk) -> None:
    desk.to_all(1)
    watch = Watch(desk.depot, timedelta())
    well = [report(f"box{number}", 1) for number in range(27)]
    [standing] = watch.look(reports(report("a", 1), *well, report("x", None, 1)), NOW)
    assert (standing.verdict, desk.depot.release(1).state) == ("done", "going out")
    some = [report(name, None, 1) for name in ("x", "y", "z", "w")]
    [standing] = watch.look(reports(report("a", 1), *well, *some), NOW)
    assert standing.verdict == "failing"
    stopped = desk.depot.release(1)
    assert (stopped.state, stopped.why) == (
        "stopped",
        "w: it is slow; x: it is slow; y: it is slow; and 1 more",
    )
    with pytest.raises(UsageError, match="release 1 is stopped: publish another one"):
        desk.depot.promote(1, NOW)


def test_the_watch_says_in_good_time_that_there_is_nothing_newer(desk: Desk) -> None:
    watch = Watch(desk.depot, timedelta(minutes=60))
    until = desk.depot.expiries()["timestamp"]
    watch.look({}, later(days=3))
    assert desk.depot.expiries()["timestamp"] == until
    watch.look({}, later(days=4))
    assert desk.depot.expiries()["timestamp"] > until


def test_a_watch_whose_page_cannot_be_written_stops_what_fails_all_the_same(
    desk: Desk, tmp_path: Path
) -> None:
    if MOSQUITTO is None:
        pytest.skip("apt-get install mosquitto")
    broker = Broker(tmp_path)
    broker.start()
    try:
        failing = report("a", None, 1).said.model_dump_json()
        single("plant/a/fleet", failing, retain=True, hostname="127.0.0.1", port=broker.port)
        asked = ["--keys", desk.keys, "--broker", f"127.0.0.1:{broker.port}", "--every-s", "0.2"]
        command = ["fleet", "watch", desk.folder, *asked, "--page", tmp_path / "gone" / "page.html"]
        watch = subprocess.Popen([sys.executable, "-m", "edge.cli", *map(str, command)])
        try:
            eventually(lambda: Depot(desk.folder, [desk.keys]).release(1).state == "stopped")
            assert watch.poll() is None
        finally:
            watch.kill()
            watch.wait()
    finally:
        broker.kill()


def test_what_a_box_has_the_broker_keep_is_read_at_the_desk_whoever_came_first(
    tmp_path: Path,
) -> None:
    if MOSQUITTO is None:
        pytest.skip("apt-get install mosquitto")
    broker = Broker(tmp_path)
    broker.start()
    said = [report("a", None).said]
    settings = MqttSettings(
        host="127.0.0.1", port=broker.port, topic="plant/a", spool=tmp_path / "spool.sqlite"
    )

    def standing() -> Message:
        return Message("plant/a/fleet", said[0].model_dump_json().encode())

    def runs(kept: dict[str, Report]) -> tuple[int | None, bool] | None:
        return (kept["a"].said.runs, kept["a"].online) if "a" in kept else None

    try:
        with Spool(settings.spool, limit=10) as spool:
            with MqttCourier(settings, spool, Event(), clock_ns, standing) as courier:
                eventually(lambda: courier.connected)
                with mqtt_reports("127.0.0.1", broker.port, "plant/+") as kept:
                    eventually(lambda: runs(dict(kept.reports())) == (None, True))
                    said[0] = report("a", 1).said
                    eventually(lambda: runs(dict(kept.reports())) == (1, True))
            with mqtt_reports("127.0.0.1", broker.port, "plant/+") as kept:
                # its line does not run any more, and so it is not well, whatever it said last
                assert runs(dict(kept.reports())) == (1, False)
                kept.take("plant/b/fleet", b'{"box": 7}')
                assert set(kept.reports()) == {"a"}
    finally:
        broker.kill()
    with (
        pytest.raises(DepotError, match="see to --broker"),
        mqtt_reports("127.0.0.1", broker.port, "plant/+"),
    ):
        pass


def test_keys_that_a_server_would_show_and_keys_that_are_not_there_are_refused(
    desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="keep keys elsewhere"):
        Depot(desk.folder, [desk.folder / "keys"])
    (tmp_path / "link").symlink_to(desk.folder)
    for hidden in (tmp_path / "link" / "keys", desk.keys / ".." / desk.folder.name / "keys"):
        with pytest.raises(UsageError, match="keep keys elsewhere"):
            Depot(desk.folder, [hidden])
    drawer = tmp_path / "drawer"
    drawer.mkdir()
    for path in desk.keys.glob("targets-*.pem"):
        path.rename(drawer / path.name)
    bundle = make_bundle(tmp_path / "two.bundle").of_version(2)
    bundle.save(tmp_path / "two.bundle")
    with pytest.raises(UsageError, match="1 of the keys of targets must sign, and 0 are here"):
        desk.depot.publish(bundle=tmp_path / "two.bundle", lines={}, now=NOW)
    desk.depot.end(1, "revoked", "the watch can, without them", NOW)
    both = Depot(desk.folder, [desk.keys, drawer])
    assert both.publish(bundle=tmp_path / "two.bundle", lines={}, now=NOW).number == 2
    assert all(path.stat().st_mode & 0o077 == 0 for path in desk.keys.iterdir())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init", "new", "--keys", "k", "--canary", "no name!"], "'no name!' is no box's name"),
        (["init", "new", "--keys", "k", "--canary", "a", "--ring", "²%"], "no share of all boxes"),
        (["init", "new", "--keys", "k", "--canary", "a", "--root-keys", "²/3"], "such as 2/3"),
        (["publish", "depot", "--keys", "keys", "--line", "no name!=a"], "is no box's name"),
        (["status", "depot", "--broker", ":1883"], "give HOST or HOST:PORT"),
        (["status", "depot", "--broker", "localhost:99999"], "see to --broker"),
        (["status", "depot", "--broker", "localhost", "--ca", "gone"], "gone: No such file"),
    ],
)
def test_what_is_mistyped_is_told_with_the_remedy(
    arguments: list[str], said: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder.parent)
    ended = CliRunner().invoke(app, ["fleet", *arguments])
    assert isinstance(ended.exception, TracksideError)
    assert said in str(ended.exception)
    assert not Path("k").exists()


def test_line_files_that_no_box_could_take_are_not_published(desk: Desk, tmp_path: Path) -> None:
    steel = yaml.safe_load(STEEL_LINE.read_text())
    swap = {"folder": "bundles"}
    fleet = {"url": "http://depot", "root": "root.json", "folder": "fleet", "box": "a"}
    for changed, said in (
        ({}, "boxes of a fleet have a `swap:`"),
        ({"swap": swap, "fleet": fleet}, "`fleet:` stays each box's own"),
        ({"swap": swap | {"require_backtest": True}}, "leave `require_backtest` out"),
        ({"swap": swap, "encoder": {"type": "sundial"}}, "encoder.type: unknown"),
    ):
        path = tmp_path / "line.yaml"
        path.write_text(yaml.safe_dump(steel | changed))
        with pytest.raises((UsageError, ValueError), match=re.escape(said)):
            desk.depot.publish(bundle=None, lines={"*": path}, now=NOW)
    (tmp_path / "line.yaml").write_text(yaml.safe_dump(steel | {"swap": swap}))
    release = desk.depot.publish(bundle=None, lines={"*": tmp_path / "line.yaml"}, now=NOW)
    assert release.bundle == desk.depot.release(1).bundle  # what the one before held stays in it
    assert release.line_for("anybody") is not None


def test_the_board_shows_each_box_and_names_first_what_somebody_must_see_to(desk: Desk) -> None:
    known = reports(report("a", 1), report("b", 1, None, "<camera> left: unplugged"))
    rollout = desk.depot.rollout
    standings = [standing_of(rollout, each, known) for each in rollout.releases]
    page = board(standings, known, desk.depot.expiries(), NOW)
    assert page.index("<td>b</td>") < page.index("<td>a</td>")
    assert "&lt;camera&gt; left: unplugged" in page
    assert "release 1, canary: well: 1 of 1 boxes are well" in page
    assert "<script" not in page


def test_the_commands_take_a_release_from_the_desk_to_all_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_bundle(tmp_path / "one.bundle")

    def fleet(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["fleet", *arguments])
        error = done.exception
        if isinstance(error, TracksideError):
            assert error.exit_code == code, error
            return str(error)
        assert done.exit_code == code, done.output
        return done.output

    desk = ("depot", "--keys", "keys")
    assert "root.json  sha256" in fleet("init", *desk, "--canary", "a")
    assert "release 1 goes out to the first ring" in fleet(
        "publish", *desk, "--bundle", "one.bundle"
    )
    assert "a: it has said nothing yet" in fleet("promote", *desk, code=1)
    assert "release 1 goes out to 10%" in fleet("promote", *desk, "--anyway")
    [said] = json.loads(fleet("status", "depot", "--json", "--page", "board.html").splitlines()[0])
    assert (said["ring"], said["verdict"]) == ("10%", "held")
    assert (tmp_path / "board.html").is_file()
    assert "release 1 is revoked" in fleet("revoke", *desk, "1")
    assert "there is no release 7: choose from 1" in fleet("revoke", *desk, "7", code=2)
