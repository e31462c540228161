"""Places by a receiver: gpsd itself, told a recorded track by Debian's gpsfake."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml

from benchmarks.ports import free_port
from edge.errors import ConfigurationError
from edge.places import Mark, read_book
from edge.places.gpsd import fix_of, fixes
from edge.places.track_table import TrackTable, read_track
from stands.line_files import changed
from stands.places import STEEL_LINE
from stands.waiting import eventually

needs_gpsd = pytest.mark.skipif(
    shutil.which("gpsfake") is None or shutil.which("gpsd") is None,
    reason="apt-get install gpsd gpsd-clients python3-gps",
)
TRACK = (
    "chainage_m,latitude,longitude\n0,48.0000,11.0000\n1000,48.0090,11.0000\n2000,48.0180,11.0000\n"
)


def a_track(folder: Path, text: str = TRACK) -> Path:
    path = folder / "track.csv"
    path.write_text(text)
    return path


def test_a_fix_is_laid_on_the_track_with_how_far_beside_it_lies(tmp_path: Path) -> None:
    track = read_track(a_track(tmp_path))
    on_track = track.nearest(48.0045, 11.0001)
    assert on_track.chainage_m == pytest.approx(500, abs=0.1)
    assert on_track.beside_m == pytest.approx(7.45, abs=0.1)
    assert isinstance(track, TrackTable)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("chainage_m,latitude,longitude\n0,48,11\n", "give two points or more"),
        ("chainage_m,latitude,longitude\n0,48,11\n5,98,11\n", "no point of a track"),
        ("km,latitude,longitude\n0,48,11\n", "no point of a track"),
        ("chainage_m,latitude,longitude\n0,48,11\n5,48,12\n4,48,13\n", "neither rises nor falls"),
    ],
)
def test_a_table_that_is_no_track_is_refused_with_its_row(
    text: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=remedy):
        read_track(a_track(tmp_path, text))


def test_what_tells_no_place_is_no_fix() -> None:
    place = {"class": "TPV", "mode": 3, "lat": 48.0, "lon": 11.0}
    known = fix_of({**place, "eph": 4.5}, 7)
    assert known is not None and (known.error_m, known.heard_ns) == (4.5, 7)
    old = fix_of({**place, "epx": 3, "epy": 4}, 7)
    assert old is not None and old.error_m == 5
    for no_fix in ({**place, "mode": 1}, {**place, "lat": "48"}, {"class": "SKY"}, [], None):
        assert fix_of(no_fix, 7) is None


@contextmanager
def gpsfake(folder: Path) -> Iterator[int]:
    """gpsd, which hears a receiver go north along the track, over and over.

    It is started anew where it hears nothing: now and then gpsfake feeds a gpsd that has not opened
    its device.
    """
    log = folder / "track.nmea"
    log.write_text("".join(nmea(second) for second in range(60)))
    for _ in range(5):
        port = free_port()
        command = ["gpsfake", "-q", "-c", "0.02", "-P", str(port), str(log)]
        quiet = subprocess.DEVNULL
        with subprocess.Popen(
            command, stdout=quiet, stderr=quiet, start_new_session=True
        ) as process:
            listener = heard_from(port)
            try:
                if listener is not None:
                    with listener:  # gpsd lets go of a device that nobody listens to
                        yield port
                    return
            finally:
                os.killpg(process.pid, signal.SIGKILL)
    pytest.fail("gpsfake fed no gpsd in five attempts")


def heard_from(port: int) -> socket.socket | None:
    """A client that has heard a fix; None if there was none for ten seconds."""
    until_s, heard = time.monotonic() + 10, b""
    while time.monotonic() < until_s:
        try:
            client = socket.create_connection(("127.0.0.1", port), timeout=1)
        except OSError:
            time.sleep(0.1)
            continue
        client.sendall(b'?WATCH={"enable":true,"json":true}\n')
        while time.monotonic() < until_s:
            try:
                heard += client.recv(65536)
            except TimeoutError:
                continue
            if b'"TPV"' in heard:
                client.settimeout(None)
                Thread(target=drain, args=(client,), daemon=True).start()
                return client
        client.close()
    return None


def drain(client: socket.socket) -> None:
    """So that gpsd never waits for it."""
    with suppress(OSError):
        while client.recv(65536):
            pass


def nmea(second: int) -> str:
    """A second of a receiver's sentences: twenty metres further north."""
    minutes = 60 * 20 * second / 111_319.49
    at = f"1200{second:02d}.00"
    place = f"48{minutes:08.5f},N,01100.00000,E"
    return (
        sentence(f"GPGGA,{at},{place},1,09,0.9,500.0,M,46.0,M,,")
        + sentence(f"GPRMC,{at},A,{place},38.9,0.0,290926,,,A")
        + sentence("GPGSA,A,3,01,02,03,04,05,06,07,08,09,,,,1.5,0.9,1.2")
    )


def sentence(body: str) -> str:
    total = 0
    for letter in body:
        total ^= ord(letter)
    return f"${body}*{total:02X}\r\n"


@needs_gpsd
def test_a_running_line_takes_anchors_from_its_receiver_and_refuses_leaps(tmp_path: Path) -> None:
    line = changed(yaml.safe_load(STEEL_LINE.read_text()))
    line["store"] = {"path": "events", "keep_free_mb": 0.001}
    a_track(tmp_path)
    path = tmp_path / "line.yaml"
    with gpsfake(tmp_path) as port:
        gps = {"port": port, "track": "track.csv", "every_m": 0.01, "max_error_m": 1000}
        line["places"] = {"along": "track", "gps": gps}
        path.write_text(yaml.safe_dump(line))
        command = [sys.executable, "-m", "edge.cli", "run", str(path)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            journal = tmp_path / "events" / "places.sqlite"
            try:
                eventually(lambda: any(mark.refused for mark in said(journal)))
            finally:
                process.terminate()
    marks = said(journal)
    # The receiver goes 20 m with each fix, and this rail half a metre a second.
    assert {mark.source for mark in marks} == {"gps"} and marks[0].refused is None
    refused = next(mark.refused for mark in marks if mark.refused)
    assert "press at the right post" in refused


def said(journal: Path) -> list[Mark]:
    return [mark for marks in read_book(journal).marks.values() for mark in marks]


@needs_gpsd
def test_fixes_come_from_gpsd_in_order_along_the_track(tmp_path: Path) -> None:
    track, ended = read_track(a_track(tmp_path)), Event()
    with gpsfake(tmp_path) as port:
        seen = list(islice(fixes("127.0.0.1", port, time.monotonic_ns, ended), 8))
    along = [track.nearest(fix.latitude, fix.longitude) for fix in seen]
    assert all(each.beside_m < 1 for each in along)
    steps = {round(two.chainage_m - one.chainage_m) for one, two in pairwise(along)}
    assert steps & {20, 40}
