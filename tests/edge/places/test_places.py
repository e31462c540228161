"""What people call a place: a map onto the encoder's micrometres, which it never moves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.bridge import open_register
from edge.errors import ConfigurationError, StoreError
from edge.line_file import (
    CoilSettings,
    KeyNameSettings,
    ModbusNameSettings,
    PlacesSettings,
    PostsSettings,
    read_line,
)
from edge.places import (
    Journal,
    Kind,
    LivePlaces,
    Mark,
    PlaceBook,
    PlaceMap,
    PlaceRefused,
    Run,
    chainage_of,
    read_book,
)
from edge.places.watched import CoilSensor, NameKey, NameSource, Posts, numbered
from edge.telemetry.messages import VerdictMessage, verdict_message
from edge.types import State
from edge.web.feed import Feed
from stands.inspections import inspection
from stands.line_files import CAMERA, changed
from stands.places import STEEL_LINE
from stands.plc import Plc
from stands.waiting import eventually
from stands.watched_line import a_page_state, a_watched_line

KM = 1_000_000_000


def anchor(position_m: float, km: float, kind: Kind = Kind.ANCHOR) -> Mark:
    return Mark(kind, round(position_m * 1e6), chainage_of(km), source="test")


def named(name: str, position_m: float) -> Mark:
    return Mark(Kind.NAME, round(position_m * 1e6), None, name)


def a_map(*marks: Mark, along: Any = "track", falls: bool = False) -> PlaceMap:
    return PlaceMap(along, falls, marks)


def test_chainage_is_linear_between_anchors_and_goes_on_by_the_wheel_beyond() -> None:
    known = a_map(anchor(100, 12), anchor(1103, 13))
    assert known.chainage_um(100 * 10**6) == 12 * KM
    assert known.chainage_um(601_500_000) == 12 * KM + KM // 2
    assert known.wheel_error == pytest.approx(0.003)
    beyond_um = known.chainage_um((1103 + 1003) * 10**6)
    assert beyond_um == pytest.approx(14 * KM, abs=2)
    assert known.named(100 * 10**6).text == "km 12.000000"


def test_chainage_falls_where_the_line_goes_the_other_way_and_leaps_where_it_is_said_to() -> None:
    falling = a_map(anchor(0, 13), anchor(1000, 12), falls=True)
    assert falling.chainage_um(250 * 10**6) == 12 * KM + 3 * KM // 4
    leaping = a_map(anchor(0, 1), anchor(500, 7, Kind.JUMP))
    assert leaping.chainage_um(499 * 10**6) == 1_499 * 10**6
    assert leaping.chainage_um(501 * 10**6) == 7 * KM + 10**6


def test_an_anchor_that_cannot_be_true_is_refused_with_where_the_encoder_has_it() -> None:
    known = a_map(anchor(0, 12))
    refused = known.refusal(anchor(1000, 14), 0.01, 5 * 10**6)
    assert refused is not None and "km 14.000000 is 1000.0 m from where" in refused
    assert known.refusal(anchor(1000, 13.009), 0.01, 5 * 10**6) is None
    assert known.refusal(anchor(1000, 14, Kind.JUMP), 0.01, 5 * 10**6) is None


def test_a_place_on_a_coil_is_so_far_from_head_and_once_it_is_known_from_tail() -> None:
    known = a_map(named("coil 4711", 10), along="coil")
    assert known.named(12_500_000).text == "coil 4711, 2.500 m from its head"
    ended = known.with_mark(Mark(Kind.TAIL, 20_000_000))
    said = ended.named(12_500_000).text
    assert said == "coil 4711, 2.500 m from its head, 7.500 m from its tail"
    assert not ended.named(21_000_000) and not ended.named(9_000_000)
    assert ended.runs_of("coil 4711") == [(10_000_000, 20_000_000)]


@dataclass
class Rail:
    """A rail that goes a metre a second, by a clock of its own."""

    ns: int = 0

    @property
    def position_um(self) -> int:
        return self.ns // 1000

    @property
    def at_ns(self) -> int:
        return self.ns

    def where(self) -> Rail:
        return Rail(self.ns)


@dataclass
class Told:
    """A line's places, and its rail."""

    places: LivePlaces
    rail: Rail = field(default_factory=Rail)


def told(**settings: Any) -> Told:
    rail = Rail()
    places = PlacesSettings(**{"along": "track", **settings})
    run = Run("began", "began", "line", places.along, places.falls)
    live = LivePlaces(places, run, rail.where, lambda: datetime(2030, 1, 1, tzinfo=timezone.utc))
    return Told(live, rail)


def go_to(each: Told, metres: float) -> None:
    """In steps, as a rail goes."""
    for ns in range(each.rail.ns, round(metres * 1e9), 10**8):
        each.rail.ns = ns
        each.places.look()
    each.rail.ns = round(metres * 1e9)
    each.places.look()


def test_a_later_anchor_moves_the_name_and_no_micrometre(tmp_path: Path) -> None:
    each = told()
    go_to(each, 10)
    each.places.mark(Kind.ANCHOR, "a key", at_ns=10 * 10**9, chainage_um=chainage_of(1))
    before = each.places.named(5_000_000)
    go_to(each, 1020)
    each.places.mark(Kind.ANCHOR, "a key", at_ns=1020 * 10**9, chainage_um=chainage_of(2))
    after = each.places.named(5_000_000)
    assert before.text == "km 0.995000"
    assert after.chainage_um == pytest.approx(0.995 * KM, abs=0.0001 * KM)
    assert after.chainage_um != before.chainage_um
    with pytest.raises(PlaceRefused, match=r"since km 2\.000000"):
        each.places.mark(Kind.ANCHOR, "a key", at_ns=1020 * 10**9, chainage_um=chainage_of(9))
    journal = Journal(tmp_path / "places.sqlite")
    each.places.write(journal)
    journal.close()
    book = read_book(tmp_path / "places.sqlite")
    assert [mark.position_um for mark in book.marks["began"]] == [10_000_000] + 2 * [1_020_000_000]
    assert [mark.refused is None for mark in book.marks["began"]] == [True, True, False]
    assert book.named("began", 5_000_000) == after


class Wire:
    """An input that is active when the test says so."""

    def __init__(self) -> None:
        self.is_on = False

    def press(self, watched: Any, now_ns: int) -> None:
        """On and off again, each seen once."""
        for self.is_on in (True, False):
            watched.look(now_ns)


def test_posts_are_known_by_the_nearest_and_a_key_counts_on_from_the_run_before() -> None:
    each, wire = told(), Wire()
    posts = Posts(
        PostsSettings(input="post", first_km=12, every_m=1000), each.places, lambda: wire.is_on
    )
    for metres in (3, 1004, 2006):
        go_to(each, metres)
        wire.press(posts, metres * 10**9)
    assert each.places.named(2006 * 10**6).text == "km 14.000000"
    book = PlaceBook((), {"before": a_map(named("rail 7", 1))}, {})
    key = NameKey(
        KeyNameSettings(type="key", input="key", prefix="rail "),
        each.places,
        lambda: wire.is_on,
        book,
    )
    wire.press(key, 2006 * 10**9)
    assert each.places.named(2006 * 10**6).text == "rail 8, km 14.000000"


def test_a_coil_under_a_sensor_has_the_name_that_was_told_before_or_after_its_head() -> None:
    each, wire = told(along="coil", coil={"input": "strip"}), Wire()
    coil = CoilSensor(CoilSettings(input="strip"), each.places, lambda: wire.is_on)
    each.places.tell_name("coil 1", "test", at_ns=0)
    for metres, is_on in ((10, True), (40, False), (50, True)):
        go_to(each, metres)
        wire.is_on = is_on
        coil.look(metres * 10**9)
    go_to(each, 60)
    each.places.tell_name("coil 2", "test", at_ns=60 * 10**9)
    assert each.places.named(12 * 10**6).name == "coil 1"
    assert not each.places.named(45 * 10**6)
    assert each.places.named(51 * 10**6).text == "coil 2, 1.000 m from its head"


def test_a_number_in_a_plc_is_a_name_and_none_is_none() -> None:
    each = told()
    with Plc() as plc:
        plc.set_registers(7, [4, 711])
        settings = ModbusNameSettings(
            type="modbus", host="127.0.0.1", port=plc.port, address=7, bits=32, prefix="coil "
        )
        with open_register(settings) as read:
            source = NameSource(each.places, lambda: numbered(read, settings.prefix), "PLC")
            go_to(each, 5)
            source.look(5 * 10**9)
            assert each.places.named(5 * 10**6).name == f"coil {4 * 65536 + 711}"
            plc.set_registers(7, [0, 0])
            go_to(each, 6)
            source.look(6 * 10**9)
    assert each.places.named(6 * 10**6).name is None


def test_messages_and_page_show_what_a_place_is_called_beside_its_micrometres() -> None:
    each, feed = told(), Feed()
    go_to(each, 10)
    seen = inspection(3, state=State.NG)
    stamp = {"line": "line", "run": "r", "number": 1, "at": "now", "camera": CAMERA}

    def message() -> VerdictMessage:
        place = each.places.named(seen.verdict.stretch.start_um)
        return verdict_message(stamp, seen.verdict, 1, place)

    line = replace(
        a_watched_line([None], []), called=lambda position_um: each.places.named(position_um).text
    )
    page = a_page_state(feed, line)
    feed.publish(seen)
    page.turn()
    assert message().place is None and page.whole()["rejects"][0]["called"] is None
    each.places.mark(Kind.ANCHOR, "a key", at_ns=0, chainage_um=chainage_of(12))
    said = message()
    assert said.place is not None and said.place.text == "km 12.000264"
    assert (said.start_um, said.place.chainage_um) == (264_000, 12 * KM + 264_000)
    assert page.whole()["rejects"][0]["called"] == "km 12.000264"


def test_what_was_said_is_only_added_to_and_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    assert read_book(path).runs == ()
    path.write_bytes(b"a text, and no database" * 400)
    with pytest.raises(StoreError, match="no journal of places"):
        read_book(path)


def a_line(folder: Path, places: dict[str, Any], **sections: Any) -> Path:
    line = changed(yaml.safe_load(STEEL_LINE.read_text()), **sections)
    line["store"] = {"path": "events", "keep_free_mb": 0.001, "ok_every": 1}
    line["places"] = places
    (folder / "line.yaml").write_text(yaml.safe_dump(line))
    return folder / "line.yaml"


@pytest.mark.parametrize(
    ("places", "remedy"),
    [
        ({"along": "track", "posts": {"input": "post"}}, "no input is called post"),
        ({"along": "track", "coil": {"input": "post"}}, "is for `along: coil`"),
        ({"along": "coil", "posts": {"input": "post"}}, "are for `along: track`"),
        ({"along": "coil", "name": {"type": "mqtt", "topic": "coil"}}, "give the line `mqtt:`"),
    ],
)
def test_what_places_go_by_must_be_there(
    places: dict[str, Any], remedy: str, tmp_path: Path
) -> None:
    path = a_line(tmp_path, places)
    line = yaml.safe_load(path.read_text())
    if "no input" not in remedy:
        line["inputs"] = [{"name": "post", "input": {"type": "memory"}, "then": "report"}]
    path.write_text(yaml.safe_dump(line))
    with pytest.raises(ConfigurationError, match=remedy):
        read_line(path)


@contextmanager
def running(path: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "edge.cli", "run", str(path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=60)


def trackside(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_running_line_is_named_from_a_file_and_by_a_command_and_its_events_show_it(
    tmp_path: Path,
) -> None:
    name = tmp_path / "coil.txt"
    name.write_text("coil 4711\n")
    path = a_line(tmp_path, {"along": "coil", "name": {"type": "file", "path": "coil.txt"}})
    with running(path):
        eventually(lambda: "coil 4711 begins" in trackside("place", "list", path).stdout)
        time.sleep(1)
        said = trackside("place", "here", path, "--name", "coil 4712")
        assert (said.returncode, "coil 4712 begins" in said.stdout) == (0, True), said.stderr
        time.sleep(1)
    listed = trackside("events", "list", path, "--last", 500).stdout
    assert "coil 4711, " in listed and "coil 4712, " in listed and "m from its tail" in listed
    report = trackside("report", path, "--name", "coil 4711")
    assert "coil 4711" in report.stdout, report.stderr
    late = trackside("place", "here", path, "--name", "coil 4713")
    assert (late.returncode, "does not answer" in late.stderr) == (1, True)


def test_a_line_whose_journal_cannot_be_opened_inspects_and_its_check_says_why(
    tmp_path: Path,
) -> None:
    (tmp_path / "journal").mkdir()
    path = a_line(tmp_path, {"along": "coil", "journal": "journal"})
    ran = trackside("run", path, "--frames", 3)
    assert ran.returncode == 0 and "the line runs, and they have no names" in ran.stderr
    checked = trackside("check", path)
    assert checked.returncode != 0
    assert "give `places.journal` a file that you may write to" in checked.stderr
