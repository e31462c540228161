"""What systemd is told, over a real datagram socket, by lines that work, wait and hang."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import pytest
import yaml

from edge.assembly import open_line
from edge.cli.logs import JsonLines
from edge.errors import TracksideError
from edge.inspect import Inspection
from edge.line_file import read_line
from edge.run.service import VerdictLog
from edge.run.systemd import Notifier, notifying
from edge.types import State, Stretch, Verdict
from stands.inspections import MS, inspection, lost, recorded_line
from stands.line_files import CAMERA

RUN = [sys.executable, "-m", "edge.cli", "run"]
WATCHDOG_S = 1


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(60)
        yield listening


def service(manager: socket.socket, **more: str) -> dict[str, str]:
    """The environment that systemd gives a service."""
    watchdog_us = str(WATCHDOG_S * 1_000_000)
    return {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": watchdog_us, **more}


def said(manager: socket.socket) -> str:
    return manager.recv(4096).decode()


def silent(manager: socket.socket) -> bool:
    """Whether nothing comes any more for twice as long as the watchdog waits."""
    manager.settimeout(2 * WATCHDOG_S)
    try:
        return not manager.recv(4096)
    except TimeoutError:
        return True


def test_only_a_good_frame_makes_the_service_ready_and_only_progress_feeds_the_watchdog() -> None:
    told: list[str] = []
    notifier = Notifier(lambda state: told.append(state) is None, 400 * MS, [CAMERA])
    notifier.waited(CAMERA, 0)
    notifier.inspected(lost(0), MS)
    assert [state.split("\n")[1] for state in told] == [
        "STATUS=waiting for the rail to move",
        "STATUS=waiting for the first good frame of top: cable",
    ]
    assert all(state.startswith("EXTEND_TIMEOUT_USEC=") for state in told)
    told.clear()
    notifier.inspected(inspection(0, state=State.NG), 2 * MS)
    notifier.inspected(inspection(1), 3 * MS)
    notifier.inspected(lost(2), 102 * MS)  # sooner than a quarter of the watchdog's time
    notifier.waited(CAMERA, 103 * MS)
    assert told == ["READY=1\nSTATUS=inspecting", "WATCHDOG=1", "WATCHDOG=1"]


def test_a_line_of_several_cameras_is_ready_and_alive_only_with_all_of_them() -> None:
    told: list[str] = []
    notifier = Notifier(lambda state: told.append(state) is None, 8, ["left", "right"])
    left, right = (replace(inspection(0), camera=name) for name in ("left", "right"))
    for now_ns, seen in enumerate((left, right, left, left, left, right, left)):
        notifier.inspected(seen, 1000 * now_ns)
    notifier.waited("right", 9000)
    assert [state.split("\n")[0] for state in told] == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


def test_what_systemd_did_not_take_is_said_again() -> None:
    told: list[str] = []
    takes = iter([False, True, False, True])
    notifier = Notifier(lambda state: told.append(state) is None and next(takes), 8, [CAMERA])
    for now_ns in range(4):
        notifier.inspected(inspection(0), now_ns)
    assert [state.split("=")[0] for state in told] == ["READY", "READY", "WATCHDOG", "WATCHDOG"]


def test_a_process_that_is_no_service_tells_nobody() -> None:
    with notifying({}, [CAMERA]) as notifier:
        notifier.inspected(inspection(0), 0)
        notifier.waited(CAMERA, 1)


def test_the_watchdog_of_another_process_is_not_fed(manager: socket.socket) -> None:
    with notifying(service(manager, WATCHDOG_PID="1"), [CAMERA]) as notifier:
        notifier.inspected(inspection(0), 0)
        notifier.inspected(inspection(1), 10**12)
    assert [said(manager), said(manager)] == ["READY=1\nSTATUS=inspecting", "STOPPING=1"]


def test_an_abstract_socket_and_one_that_is_gone_are_no_trouble(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"trackside-{os.getpid()}"
        listening.bind(f"\0{name}")
        with notifying({"NOTIFY_SOCKET": f"@{name}"}, [CAMERA]) as notifier:
            notifier.inspected(inspection(0), 0)
        assert said(listening).startswith("READY=1")
    with notifying({"NOTIFY_SOCKET": str(tmp_path / "gone")}, [CAMERA]) as notifier:
        notifier.inspected(inspection(0), 0)


def test_a_loop_that_hangs_feeds_no_watchdog_though_the_process_lives(
    tmp_path: Path, manager: socket.socket
) -> None:
    hang, config = Event(), read_line(recorded_line(tmp_path, 4))

    def loop() -> None:
        with notifying(service(manager), config.cameras) as notifier, open_line(config) as line:

            def record(seen: Inspection) -> None:
                notifier.inspected(seen, seen.seen.index * 10**9)
                if seen.seen.index == 2:
                    hang.wait()  # whatever it is that never answers

            with suppress(TracksideError):  # the rejector gives up a loop that hangs
                line.run(record)

    thread = Thread(target=loop, daemon=True)
    thread.start()
    assert said(manager).startswith("READY=1")
    assert [said(manager), said(manager)] == ["WATCHDOG=1", "WATCHDOG=1"]
    assert silent(manager)
    hang.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_line_as_a_service_is_ready_feeds_the_watchdog_and_says_when_it_stops(
    tmp_path: Path, manager: socket.socket
) -> None:
    line = recorded_line(tmp_path, 2000)
    line.write_text(line.read_text().replace("20000", "200"))
    environ = {**os.environ, **service(manager)}
    with subprocess.Popen([*RUN, "--log-json", str(line)], env=environ) as process:
        try:
            assert said(manager) == "READY=1\nSTATUS=inspecting"
            assert said(manager) == "WATCHDOG=1"
            process.terminate()
            while (state := said(manager)) != "STOPPING=1":
                assert state == "WATCHDOG=1"
            assert process.wait(60) == 0
        finally:
            process.kill()


UNITS = pytest.mark.parametrize("unit", ["trackside@rail-1", "trackside-overview"])


def analyze(folder: Path, unit: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What systemd says of the unit that the command prints."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    command = [sys.executable, "-m", "edge.cli", "config", "unit"]
    command += ["--overview"] if unit.endswith("overview") else []
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    path = folder / f"{unit}.service"
    path.write_text(text.replace(str(Path(sys.executable).with_name("trackside")), "/bin/true"))
    asked = [program, *arguments, str(path)]
    return subprocess.run(asked, capture_output=True, text=True, check=False)


@UNITS
def test_systemd_accepts_the_unit(tmp_path: Path, unit: str) -> None:
    answer = analyze(tmp_path, unit, "verify")
    assert (answer.returncode, answer.stderr) == (0, "")


@UNITS
def test_the_unit_is_exposed_by_no_more_than_three_of_ten(tmp_path: Path, unit: str) -> None:
    answer = analyze(tmp_path, unit, "security", "--offline=true", "--threshold=30")
    if "unrecognized option" in answer.stderr:
        pytest.skip("this systemd-analyze looks at no file: it is older than 250")
    assert answer.returncode == 0, answer.stdout


def test_the_unit_leaves_open_what_a_line_needs() -> None:
    command = [sys.executable, "-m", "edge.cli", "config", "unit"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    devices = {line.split("=")[1].split()[0] for line in text.splitlines() if "DeviceAll" in line}
    assert {"char-video4linux", "char-gpiochip", "char-ttyACM", "char-usb_device"} <= devices
    assert {"AF_INET", "AF_UNIX", "AF_NETLINK"} <= set(said["RestrictAddressFamilies"].split())
    assert "%i" in said["StateDirectory"] and said["UMask"] == "0077"
    assert not {"RestrictRealtime", "MemoryDenyWriteExecute", "PrivateDevices"} & said.keys()


def test_what_a_line_keeps_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    path = recorded_line(tmp_path, 4)
    line = yaml.safe_load(path.read_text())
    line["reject"]["ledger"] = "kept/ledger.sqlite"
    line["store"] = {"path": "kept/events", "ok_every": 1}
    line["mqtt"] = {"host": "127.0.0.1", "port": 9, "topic": "a", "spool": "kept/spool.sqlite"}
    path.write_text(yaml.safe_dump(line))
    command = ["sh", "-c", 'umask 022; exec "$@"', "sh", *RUN, str(path)]
    subprocess.run(command, check=True, timeout=120, stderr=subprocess.DEVNULL)
    open_to_others = {
        each.name for each in kept.iterdir() if stat.S_IMODE(each.stat().st_mode) & 0o077
    }
    assert {"ledger.sqlite", "events", "spool.sqlite"} <= {each.name for each in kept.iterdir()}
    assert open_to_others == set()


def judged(state: State, *reasons: str) -> Inspection:
    verdict = Verdict(state, 7, Stretch(1_500_000, 1_588_000), reasons=reasons)
    return replace(inspection(7), verdict=verdict)


def test_blindness_is_told_once_and_single_frames_only_to_those_who_ask(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="trackside")
    verdicts = VerdictLog()
    for state in (State.NG, State.UNKNOWN, State.UNKNOWN, State.OK, State.OK):
        verdicts.add(judged(state))
    assert [(r.levelname, r.getMessage()[:20].strip()) for r in caplog.records] == [
        ("WARNING", "top at 1.500 m UNKNO"),
        ("INFO", "top at 1.500 m OK: j"),
    ]
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="trackside")
    verdicts.add(judged(State.NG, "12 mm2", "8 mm long"))
    assert [r.getMessage() for r in caplog.records] == ["top at 1.500 m NG: 12 mm2; 8 mm long"]


def test_a_json_log_is_an_object_a_line_with_figures_for_machines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, logger="trackside")
    VerdictLog().add(judged(State.NG, "two\nlines"))
    (record,) = caplog.records
    text = JsonLines().format(record)
    assert "\n" not in text
    logged = json.loads(text)
    assert logged["at"].endswith("+00:00")
    del logged["at"]
    assert logged == {
        "level": "debug",
        "from": "trackside",
        "message": "top at 1.500 m NG: two\nlines",
        "camera": "top",
        "frame": 7,
        "at_m": 1.5,
        "state": "NG",
    }
