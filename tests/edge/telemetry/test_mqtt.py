"""Messages to a real broker that is killed, starts anew, refuses or hangs: none lost, in order."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.request import urlopen

import pytest

from stands.places import TESTS_PATH
from stands.spools import TOPIC, a_spool, courier, numbered, settings
from stands.waiting import PATIENCE_S, eventually

pytest.importorskip("paho.mqtt", reason="pip install 'trackside[mqtt]'")
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.publish import single

from benchmarks.ports import free_port
from edge.assembly import open_line
from edge.errors import ConfigurationError
from edge.health import Health, Messages
from edge.line_file import TlsSettings, read_line
from edge.run.reporting import reporting
from edge.telemetry import Outbox, Spool, message_schemas
from edge.telemetry.messages import HealthMessage, VerdictMessage
from edge.telemetry.mqtt_topic import MqttTopic
from edge.types import State
from stands.certificates import make_certificate
from stands.inspections import NONE, found_in, inspection, recorded_line
from stands.line_files import CAMERA
from stands.spools import drained

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="apt-get install mosquitto")


class Broker:
    """A mosquitto of the test's own, which knows the users it is given."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = free_port()
        self._users, self._config = folder / "users", folder / "mosquitto.conf"
        lines = ("user root", f"listener {self.port} 127.0.0.1", f"password_file {self._users}")
        self._config.write_text("\n".join([*lines, *more]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def admit(self, **users: str) -> None:
        self._users.write_text("".join(f"{name}:{word}\n" for name, word in users.items()))
        self._users.chmod(0o600)
        subprocess.run(["mosquitto_passwd", "-U", str(self._users)], check=True)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)  # read them again

    def start(self) -> None:
        assert MOSQUITTO is not None
        command = [MOSQUITTO, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        eventually(self._answers)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()


class Listener:
    """Hears all that the broker has below the topic."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, str]] = []
        self._subscribed, self.lost = Event(), Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("listener", "l")
        self._client.on_message = lambda _c, _d, m: self.heard.append(
            (m.topic.removeprefix(f"{TOPIC}/"), m.payload.decode())
        )
        self._client.on_connect = lambda client, *_: client.subscribe(f"{TOPIC}/#")
        self._client.on_disconnect = lambda *_: self.lost.set()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect(port=port, host="127.0.0.1")
        self._client.loop_start()
        assert self._subscribed.wait(PATIENCE_S)

    def of(self, topic: str) -> list[str]:
        return [payload for name, payload in self.heard if name == topic]

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path) as broker:
        broker.admit(listener="l", line="secret")
        yield broker


@needs_broker
def test_a_broker_that_is_killed_and_starts_again_gets_every_message_in_order(
    tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    heard: dict[str, list[int]] = {"verdict": [], "health": []}
    added, sent = Event(), 0
    with a_spool(tmp_path) as spool, courier(settings(broker.port, tmp_path), spool, added):
        for _ in range(4):
            with Listener(broker.port) as listener:
                broker.admit(listener="l", line="secret")  # now the line may come, and not before
                for _ in range(40):  # the broker dies in the midst of these
                    spool.append(
                        numbered("verdict", range(sent, sent + 3))
                        + numbered("health", range(sent, sent + 1))
                    )
                    added.set()
                    sent += 3
                eventually(lambda: len(listener.of("verdict")) > 30)
                broker.kill()
                assert listener.lost.wait(PATIENCE_S)  # it has read all that the broker sent
            for topic, numbers in heard.items():
                numbers.extend(map(int, listener.of(topic)))
            broker.admit(listener="l")
            broker.start()
        with Listener(broker.port) as listener:
            broker.admit(listener="l", line="secret")
            eventually(lambda: len(spool) == 0)
            # The broker thanks the line before the listener has them all.
            last = ("verdict", str(sent - 1)), ("health", str(sent - 3))
            eventually(lambda: set(last) <= set(listener.heard))
        for topic, numbers in heard.items():
            numbers.extend(map(int, listener.of(topic)))
    for numbers, wanted in (
        (heard["verdict"], list(range(sent))),
        (heard["health"], list(range(0, sent, 3))),
    ):
        assert numbers == sorted(numbers)  # one that came twice came twice on end
        assert sorted(set(numbers)) == wanted
    assert len(heard["verdict"]) <= sent + 4  # of each loss, one at most


@needs_broker
def test_what_one_run_could_not_deliver_the_next_one_does(tmp_path: Path, broker: Broker) -> None:
    with a_spool(tmp_path) as spool:
        spool.append(numbered("verdict", range(5)))
        with courier(settings(broker.port, tmp_path), spool):  # no broker is there
            pass
    broker.start()
    with (
        Listener(broker.port) as listener,
        a_spool(tmp_path) as spool,
        courier(settings(broker.port, tmp_path), spool),
    ):
        eventually(lambda: len(listener.of("verdict")) == 5)
    assert listener.of("verdict") == list("01234")


@needs_broker
def test_the_line_is_online_while_it_runs_and_offline_by_its_last_word_or_will(
    tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    with a_spool(tmp_path) as spool, courier(settings(broker.port, tmp_path), spool):
        eventually(lambda: _availability(broker) == "online")
    assert _availability(broker) == "offline"
    script = f"""
        import sys, time
        sys.path[:0] = {TESTS_PATH.split(os.pathsep)!r}
        from pathlib import Path
        from stands.spools import a_spool, courier, settings
        folder = Path({str(tmp_path)!r})
        with a_spool(folder) as spool, courier(settings({broker.port}, folder), spool):
            time.sleep({PATIENCE_S})
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)]) as process:
        eventually(lambda: _availability(broker) == "online")
        process.kill()
    eventually(lambda: _availability(broker) == "offline")


def _availability(broker: Broker) -> str | None:
    """What the broker tells whoever asks."""
    with Listener(broker.port) as listener:
        for _ in range(50):
            if states := listener.of("availability"):
                return states[-1]
            time.sleep(0.02)
    return None


@needs_broker
def test_a_wrong_password_is_said_and_delivers_nothing_until_it_is_right(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.admit(listener="l", line="another")
    broker.start()
    with (
        Listener(broker.port) as listener,
        a_spool(tmp_path) as spool,
        courier(settings(broker.port, tmp_path), spool),
    ):
        spool.append(numbered("verdict", range(3)))
        eventually(lambda: "mqtt.password" in caplog.text)
        assert not listener.of("verdict")
        broker.admit(listener="l", line="secret")
        eventually(lambda: len(listener.of("verdict")) == 3)
    assert caplog.text.count("see to mqtt.username and mqtt.password; 3 messages wait") <= 1
    assert "secret" not in caplog.text


@needs_broker
def test_a_broker_is_trusted_by_its_certificate_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("ours", "theirs"):
        make_certificate(tmp_path, name)
    tls = [f"cafile {tmp_path}/ours.pem", f"certfile {tmp_path}/ours.pem"]
    with Broker(tmp_path, *tls, f"keyfile {tmp_path}/ours.key") as broker:
        broker.admit(listener="l", line="secret")
        broker.start()
        with a_spool(tmp_path) as spool:
            spool.append(numbered("verdict", range(3)))
            stranger = TlsSettings(ca=tmp_path / "theirs.pem")
            with courier(settings(broker.port, tmp_path, tls=stranger), spool):
                eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in caplog.text)
            assert len(spool) == 3
            friend = TlsSettings(ca=tmp_path / "ours.pem")
            with courier(settings(broker.port, tmp_path, tls=friend), spool):
                eventually(lambda: len(spool) == 0)


def test_a_broker_that_sends_what_nobody_subscribed_to_is_left_before_its_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a publish of 256 MB no more is taken than the sockets' own buffers hold."""
    sent = 0

    def flood(listener: socket.socket) -> None:
        nonlocal sent
        line, _ = listener.accept()
        with line:
            line.recv(4096)
            line.sendall(b"\x20\x02\x00\x00" + b"\x30\xff\xff\xff\x7f" + b"\x00\x01a")
            try:
                while sent < 256:  # megabytes
                    line.sendall(bytes(1 << 20))
                    sent += 1
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as broker, a_spool(tmp_path) as spool:
        flooding = Thread(target=flood, args=(broker,))
        flooding.start()
        with courier(settings(broker.getsockname()[1], tmp_path), spool):
            eventually(lambda: "it sends what nobody subscribed to" in caplog.text)
            flooding.join(PATIENCE_S)
    assert not flooding.is_alive()
    assert sent < 64


def test_a_certificate_that_cannot_be_read_is_a_mistake_in_the_line_file(tmp_path: Path) -> None:
    with (
        a_spool(tmp_path) as spool,
        pytest.raises(ConfigurationError, match=r"mqtt\.tls: .*PEM"),
    ):
        courier(settings(1, tmp_path, tls=TlsSettings(ca=tmp_path / "none.pem")), spool)


def test_a_line_runs_to_its_end_beside_a_broker_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        path = recorded_line(tmp_path, 12)
        port = mute.getsockname()[1]
        path.write_text(
            path.read_text()
            + f"mqtt: {{host: 127.0.0.1, port: {port}, topic: {TOPIC}, spool: spool.sqlite}}\n"
            + f"metrics: {{port: {(page := free_port())}}}\n"
        )
        with open_line(read_line(path)) as line, reporting(line) as report:
            line.run(report)
            text = urlopen(f"http://127.0.0.1:{page}/metrics", timeout=60).read().decode()
    assert "trackside_mqtt_connected 0.0" in text
    with a_spool(tmp_path) as spool:
        waiting = list(drained(spool))
    verdicts = [VerdictMessage.model_validate_json(m.payload) for m in waiting if "verd" in m.topic]
    states = [HealthMessage.model_validate_json(m.payload) for m in waiting if "hea" in m.topic]
    assert [v.number for v in verdicts] == [v.frame + 1 for v in verdicts] == list(range(1, 13))
    assert len({v.run for v in verdicts}) == 1
    judged = Counter(v.state for v in verdicts)
    assert states[-1].cameras[CAMERA].frames == {state: judged[state] for state in State}


def test_a_verdict_tells_the_class_of_each_defect_how_sure_it_is_and_its_code(
    tmp_path: Path,
) -> None:
    path = recorded_line(tmp_path, 1)
    port = free_port()
    path.write_text(
        path.read_text()
        + f"mqtt: {{host: 127.0.0.1, port: {port}, topic: {TOPIC}, spool: spool.sqlite}}\n"
    )
    with open_line(read_line(path)) as line, reporting(line) as report:
        report(found_in(0))
    with a_spool(tmp_path) as spool:
        [told] = [json.loads(m.payload) for m in drained(spool) if f"/verdict/{CAMERA}" in m.topic]
    named = [
        [(each["class_name"], each["class_score"], each["code"]) for each in told[part]]
        for part in ("defects", "reported")
    ]
    assert named == [[("crush", 0.8, "227"), (None, 0.4, None)], [("gap", 0.9, None)]]


def test_a_spool_gives_up_the_oldest_and_says_how_many(tmp_path: Path) -> None:
    with a_spool(tmp_path, limit=4) as spool:
        assert spool.append(numbered("verdict", range(3))) == 0
        assert spool.append(numbered("verdict", range(3, 6))) == 2
        assert [m.payload for m in drained(spool)] == [b"2", b"3", b"4", b"5"]
        assert len(spool) == 0


def test_a_spool_outlasts_a_process_that_is_killed(tmp_path: Path) -> None:
    script = f"""
        import os, sys
        sys.path[:0] = {TESTS_PATH.split(os.pathsep)!r}
        from pathlib import Path
        from stands.spools import a_spool, numbered
        a_spool(Path({str(tmp_path)!r})).append(numbered("verdict", range(50)))
        os.kill(os.getpid(), 9)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9
    with a_spool(tmp_path) as spool:
        assert [int(m.payload) for m in drained(spool)] == list(range(50))


def test_a_file_that_is_no_spool_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite").write_text("a note, and a long one, that is no database\n" * 99)
    with pytest.raises(ConfigurationError, match=r"give mqtt\.spool a file"):
        a_spool(tmp_path)


class FullDisk(Spool):
    """A spool of which the disk has no room for a while."""

    full = True

    def append(self, messages: Any) -> int:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().append(messages)


def an_outbox(spool: Spool, limit: int = 100) -> Outbox:
    def messages() -> Messages:
        return Messages(connected=False, spooled=outbox.spooled, given_up=outbox.given_up)

    outbox = Outbox(
        spool,
        line="rail-1",
        topic=TOPIC,
        health=Health(lambda *_: 1, lambda: NONE, {CAMERA: None}, messages=messages).at,
        health_every_s=0.01,
        clock_ns=time.monotonic_ns,
        utc_now=lambda: datetime.now(timezone.utc),
        limit=limit,
    )
    return outbox


def test_while_the_disk_is_full_messages_wait_in_memory(tmp_path: Path) -> None:
    with FullDisk(tmp_path / "spool.sqlite", limit=10_000) as spool:
        with an_outbox(spool, limit=10_000) as outbox:
            for index in range(20):
                outbox.tell(inspection(index))
            time.sleep(0.1)
            assert len(spool) == 0
            spool.full = False
            eventually(lambda: len(spool) >= 20)
        frames = [json.loads(m.payload).get("frame") for m in drained(spool)]
    assert [frame for frame in frames if frame is not None] == list(range(20))


def test_beyond_the_limit_the_oldest_in_memory_are_given_up_and_counted(tmp_path: Path) -> None:
    with FullDisk(tmp_path / "spool.sqlite", limit=5) as spool, an_outbox(spool, 5) as outbox:
        for index in range(20):
            outbox.tell(inspection(index))
        eventually(lambda: outbox.given_up >= 15)


def test_each_topic_has_its_schema_and_each_key_its_meaning() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "edge.cli", "config", "messages"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout) == message_schemas()
    assert set(message_schemas()) == {"availability", "fleet", "health", "verdict/CAMERA"}


@pytest.mark.parametrize("topic", ["a/#", "a/+/b", "/a", "a/", ""])
def test_a_topic_that_no_broker_would_take_is_refused(tmp_path: Path, topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        settings(1, tmp_path, topic=topic)


@needs_broker
def test_the_name_that_a_broker_keeps_is_heard_once_and_again_when_it_is_another(
    tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    heard: list[str] = []

    def say(name: str) -> None:
        auth: Any = {"username": "listener", "password": "l"}
        single("plant/coil", name, qos=1, retain=True, port=broker.port, auth=auth)

    say("coil 4711")
    with MqttTopic(settings(broker.port, tmp_path), "plant/coil", heard.append):
        eventually(lambda: heard == ["coil 4711"])
        say("coil 4711")
        say("coil 4712")
        eventually(lambda: heard == ["coil 4711", "coil 4712"])
        broker.kill()
        broker.start()
        say("coil 4713")
        eventually(lambda: heard[-1] == "coil 4713")
        say("x" * 5000)  # which is no name, and taken for none
        say("coil 4714")
        eventually(lambda: heard[-1] == "coil 4714")
    assert heard[:2] == ["coil 4711", "coil 4712"] and all(len(name) == 9 for name in heard)
