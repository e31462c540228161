"""The latest message of one topic of the line's broker: what another program calls the coil."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from edge.line_file import MqttSettings
from edge.telemetry.mqtt import KEEP_ALIVE_S, new_client

log = logging.getLogger("trackside")

_MOST_BYTES = 4096  # of a packet: a name is short
_RETRY_S = (0.5, 30.0)  # the first wait after a loss, and the longest
_LOOK_S = 0.05


class MqttTopic:
    """Hears it on a connection of its own, as long as it is open, and tells each other one than the
    last. Whatever the broker does, it goes on.
    """

    def __init__(self, settings: MqttSettings, topic: str, hear: Callable[[str], None]) -> None:
        self._settings, self._topic, self._hear = settings, topic, hear
        self._last: str | None = None
        self._said: str | None = None
        self._closing = Event()
        new_client(settings)  # refuses certificates that cannot be read
        self._thread = Thread(target=self._work, name="mqtt topic", daemon=True)

    def __enter__(self) -> MqttTopic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        wait_s = _RETRY_S[0]
        while not self._closing.is_set():
            try:
                if self._listen():
                    wait_s = _RETRY_S[0]
            except (OSError, RuntimeError, ValueError) as error:
                self._say_gone(str(error))
            if self._closing.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _RETRY_S[1])

    def _listen(self) -> bool:
        """Until the connection is lost or this is closed; whether anything was heard."""
        client, heard = new_client(self._settings, is_listener=True), list[bool]()
        client.most_heard_bytes = _MOST_BYTES

        def connected(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            if not reason.is_failure:
                client.subscribe(self._topic, qos=1)
                self._said = None

        def told(_client: Any, _data: Any, message: Any) -> None:
            heard.append(True)
            self._take(message.payload)

        client.on_connect, client.on_message = connected, told
        client.connect(self._settings.host, self._settings.port, keepalive=KEEP_ALIVE_S)
        try:
            while not self._closing.is_set():
                if client.said_too_much:
                    self._say_gone("what it sends is no name: see to places.name.topic")
                    break
                if client.loop(_LOOK_S) != 0:
                    self._say_gone("the connection was lost")
                    break
            client.disconnect()
        finally:
            if (connection := client.socket()) is not None:
                connection.close()
        return bool(heard)

    def _take(self, payload: bytes) -> None:
        text = payload.decode("utf-8", "replace").strip()
        if text != self._last:
            self._last = text
            self._hear(text)

    def _say_gone(self, why: str) -> None:
        if why != self._said:
            broker = f"{self._settings.host} port {self._settings.port}"
            log.warning("mqtt: %s: %s; no name is taken from it", broker, why)
        self._said = why
