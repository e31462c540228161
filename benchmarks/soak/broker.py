"""A mosquitto of the soak's own, and a subscriber that notes what comes, in the order it comes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.ports import free_port
from benchmarks.soak.evidence import Heard

TOPIC = "plant/soak"
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
_PATIENCE_S = 30
_CONFIG = """
user root
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 0
max_queued_messages 0
"""


class Broker:
    """A broker that can be killed, and remembers its subscribers when it starts again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._memory = folder / "mosquitto.db"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(_CONFIG.format(port=self.port, folder=folder))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        command = [MOSQUITTO, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        _wait_until(self._answers)

    def remember(self) -> None:
        """Put on disk who has subscribed, which a kill would make it forget."""
        assert self._process is not None
        self._memory.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        _wait_until(self._memory.exists)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Subscriber:
    """Hears all that the line tells. The broker keeps for it what comes while it is away."""

    def __init__(self, broker: Broker, heard: list[Heard]) -> None:
        self._heard = heard
        subscribed = Event()
        self._client = Client(
            CallbackAPIVersion.VERSION2, f"soak{os.getpid()}", clean_session=False
        )
        # It sleeps for parts of a second as well.
        self._client.reconnect_delay_set(0.2, 0.5)  # type: ignore[arg-type]
        self._client.on_connect = lambda client, *_: client.subscribe(f"{TOPIC}/#", qos=1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._hear(message)
        self._client.connect("127.0.0.1", broker.port, keepalive=5)
        self._client.loop_start()
        assert subscribed.wait(_PATIENCE_S), "the broker takes no subscriber"
        broker.remember()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, message: MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{TOPIC}/")
        if topic != "availability":
            self._heard.append(heard(topic, message.payload, time.monotonic_ns()))


def heard(topic: str, payload: bytes | bytearray, at_ns: int) -> Heard:
    """What a message says."""
    body = json.loads(payload)
    return Heard(topic, body["run"], body["number"], at_ns, body)


def _wait_until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < give_up, "the broker does not start"
        time.sleep(0.02)
