"""What boxes have the broker keep, read at the desk: TOPIC/fleet, and TOPIC/availability."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any
from uuid import uuid4

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from edge.depot.standing import Report
from edge.errors import ConfigurationError, DepotError
from edge.telemetry import FleetMessage

_ANSWER_S = 10  # for the broker
_MOST_BYTES = 65_536  # of one message
_MOST_BOXES = 100_000

log = logging.getLogger("trackside")


class MqttReports:
    """The latest of each box; any thread may look."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._said: dict[str, tuple[str, FleetMessage]] = {}  # by box: its line's topic, its word
        self._online: dict[str, bool] = {}  # by topic of a line
        self._lock = Lock()

    def reports(self) -> Mapping[str, Report]:
        """By box; one whose line's presence is unknown is taken for absent."""
        with self._lock:
            return {
                box: Report(said, self._online.get(topic, False))
                for box, (topic, said) in self._said.items()
            }

    def take(self, topic: str, payload: bytes) -> None:
        """What a box had the broker keep; what is no report is left out."""
        above, _, last = topic.rpartition("/")
        with self._lock:
            if last == "availability":
                self._online[above] = payload == b"online"
            elif last == "fleet" and len(payload) <= _MOST_BYTES:
                with suppress(ValidationError):
                    said = FleetMessage.model_validate_json(payload)
                    if said.box in self._said or len(self._said) < _MOST_BOXES:
                        self._said[said.box] = (above, said)


@contextmanager
def mqtt_reports(
    host: str,
    port: int,
    topic: str,
    *,
    username: str | None = None,
    password: str | None = None,
    ca: str | None = None,
) -> Iterator[MqttReports]:
    """Of all lines whose topics match, such as `plant/+`; kept up to date until left.

    Gives them once the broker has handed over what it keeps; DepotError where there is none.
    """
    reports, settled = MqttReports(topic), f"trackside/desk/{uuid4().hex}"
    done: list[str] = []

    def connected(client: Client, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            done.append(str(reason))
            return
        client.subscribe([(f"{topic}/fleet", 1), (f"{topic}/availability", 1), (settled, 1)])

    def subscribed(client: Client, *_: Any) -> None:
        # what was kept comes before it
        client.publish(settled, b"", qos=1)

    def heard(_client: Client, _data: Any, message: MQTTMessage) -> None:
        if message.topic == settled:
            done.append("")
        else:
            reports.take(message.topic, bytes(message.payload))

    client = Client(CallbackAPIVersion.VERSION2, f"desk{uuid4().hex[:16]}")
    client.reconnect_delay_set(1, 30)
    client.on_connect, client.on_subscribe, client.on_message = connected, subscribed, heard
    if username is not None:
        client.username_pw_set(username, password)
    if ca is not None:
        try:
            client.tls_set_context(ssl.create_default_context(cafile=ca))
        except OSError as error:
            raise ConfigurationError(f"{ca}: {error.strerror}: see to --ca") from error
    where = f"{host} port {port}"
    try:
        client.connect(host, port)
    except (OSError, OverflowError, ValueError) as error:
        raise DepotError(f"broker {where}: {error}: see to --broker") from error
    client.loop_start()
    try:
        until_s = time.monotonic() + _ANSWER_S
        while not done:
            if time.monotonic() >= until_s:
                raise DepotError(f"broker {where}: it does not hand over what it keeps")
            time.sleep(0.02)
        if done[0]:
            raise DepotError(f"broker {where}: {done[0]}: see to --user and MQTT_PASSWORD")
        yield reports
    finally:
        client.disconnect()
        client.loop_stop()
