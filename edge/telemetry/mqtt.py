"""From the spool to an MQTT broker: one thread, one message at a time, in order, until it has them.

One message is on its way at a time. So a connection that is lost can at worst make the last message
come twice, and none ever comes after a later one. A message leaves the spool when the broker has
acknowledged it.
"""

from __future__ import annotations

import logging
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Event, Thread

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import ConfigurationError
from edge.line_file import MqttSettings, TlsSettings
from edge.telemetry.spool import Message, Spool

log = logging.getLogger("trackside")

KEEP_ALIVE_S = 10  # a broker that is silent for twice as long is gone
_CONNECT_S = 5
_RETRY_S = (0.5, 30.0)  # the first wait after a loss, and the longest
_LOOK_S = 0.05  # at the spool, and whether to stop
_STANDING_NS = 1_000_000_000  # between two looks at what the broker is to keep
_MOST_HEARD_BYTES = 2  # after the length: of CONNACK and PUBACK in MQTT 3.1.1; PINGRESP has none
_LINGER_NS = 2_000_000_000  # for what is left when the line stops; the rest waits in the spool


class _BrokerGone(Exception):
    """The connection ended, or never was."""


class _Client(Client):
    """paho's, which takes no more from a broker than one may say to a line that subscribes to
    nothing, or to names. By itself it would make room for whatever length a packet claims, up to
    256 MB.
    """

    said_too_much = False
    most_heard_bytes = _MOST_HEARD_BYTES

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > self.most_heard_bytes:
            self.said_too_much = True
            raise ConnectionError("a packet that is none of those that a broker may send us")
        return super()._sock_recv(bufsize)


class MqttCourier:
    """Carries the spool's messages as long as it is open. Whatever the broker does, it goes on."""

    def __init__(
        self,
        settings: MqttSettings,
        spool: Spool,
        added: Event,
        clock_ns: Callable[[], int],
        standing: Callable[[], Message | None] = lambda: None,
    ) -> None:
        """`standing` is what the broker is to keep, and to be told anew whenever it is another."""
        self.connected = False
        self._settings = settings
        self._spool = spool
        self._added = added
        self._clock_ns = clock_ns
        self._standing = standing
        self._kept: Message | None = None  # by the broker, of this connection
        self._looked_ns = 0
        self._closing = Event()
        self._until_ns: int | None = None  # once it is closing
        self._said: str | None = None
        new_client(settings)  # refuses certificates that cannot be read
        self._thread = Thread(target=self._work, name="mqtt", daemon=True)

    def __enter__(self) -> MqttCourier:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._until_ns = self._clock_ns() + _LINGER_NS
        self._closing.set()
        self._added.set()
        self._thread.join()

    def _work(self) -> None:
        wait_s = _RETRY_S[0]
        while True:
            try:
                with self._connection() as client:
                    wait_s = _RETRY_S[0]
                    self._carry(client)
                    return
            except (_BrokerGone, OSError, RuntimeError, sqlite3.Error) as error:
                self._say_gone(str(error))
            if self._closing.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _RETRY_S[1])

    @contextmanager
    def _connection(self) -> Iterator[_Client]:
        """A client of its own for each connection: it remembers nothing that was not delivered."""
        client, refusals = new_client(self._settings), list[str]()

        def answered(
            _client: Client, _data: object, _flags: object, reason: ReasonCode, _more: object
        ) -> None:
            if reason.is_failure:
                refusals.append(str(reason))

        client.on_connect = answered
        client.connect(self._settings.host, self._settings.port, keepalive=KEEP_ALIVE_S)
        try:
            while not client.is_connected():
                code = client.loop(_LOOK_S)
                if refusals:
                    raise _BrokerGone(f"{refusals[0]}: see to mqtt.username and mqtt.password")
                self._go_on(client, code)
            self._publish(client, _availability(self._settings, "online"), retain=True)
            self.connected = True
            self._kept, self._looked_ns = None, 0
            if self._said:
                log.info("mqtt: connected; %d messages wait", len(self._spool))
            self._said = None
            yield client
            client.disconnect()
        finally:
            self.connected = False
            # Closed without a farewell, the broker publishes the last will: offline.
            if (connection := client.socket()) is not None:
                connection.close()

    def _carry(self, client: _Client) -> None:
        """Until the line stops; then what is left, for a moment."""
        while True:
            self._added.clear()  # first: what is added during the look sets it again
            while (found := self._spool.oldest()) is not None:
                number, message = found
                self._publish(client, message)
                self._spool.remove(number)
                self._keep_standing(client)
            if self._closing.is_set():
                self._publish(client, _availability(self._settings, "offline"), retain=True)
                return
            self._keep_standing(client)
            while not self._added.is_set():
                self._go_on(client, client.loop(_LOOK_S))
                self._keep_standing(client)

    def _keep_standing(self, client: _Client) -> None:
        """Have the broker keep what holds now; seldom looked at, as it seldom changes."""
        now_ns = self._clock_ns()
        if self._looked_ns and now_ns - self._looked_ns < _STANDING_NS:
            return
        self._looked_ns = now_ns
        standing = self._standing()
        if standing is not None and standing != self._kept:
            self._publish(client, standing, retain=True)
            self._kept = standing

    def _publish(self, client: _Client, message: Message, *, retain: bool = False) -> None:
        """Returns when the broker has it."""
        info = client.publish(message.topic, message.payload, qos=1, retain=retain)
        while not info.is_published():
            self._go_on(client, client.loop(_LOOK_S))

    def _go_on(self, client: _Client, code: MQTTErrorCode) -> None:
        if client.said_too_much:
            raise _BrokerGone("it sends what nobody subscribed to: see to what mqtt.host leads to")
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise _BrokerGone("the connection was lost")
        if self._until_ns is not None and self._clock_ns() >= self._until_ns:
            raise _BrokerGone("the line stopped before it had taken everything")

    def _say_gone(self, why: str) -> None:
        if why != self._said:
            broker = f"{self._settings.host} port {self._settings.port}"
            log.warning("mqtt: %s: %s; %d messages wait", broker, why, len(self._spool))
        self._said = why


def _availability(settings: MqttSettings, state: str) -> Message:
    return Message(f"{settings.topic}/availability", state.encode())


def new_client(settings: MqttSettings, *, is_listener: bool = False) -> _Client:
    """One that has not connected; a listener says nothing, and has no last will."""
    # The same at each start: a broker that still holds a dead connection of this line drops it, and
    # publishes its last will, before the new connection says that the line is online.
    name = sha256(settings.topic.encode()).hexdigest()[:13]
    client_id = f"trackside{name}{'n' if is_listener else ''}"
    client = _Client(CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False)
    client.connect_timeout = _CONNECT_S
    if not is_listener:
        will = _availability(settings, "offline")
        client.will_set(will.topic, will.payload, qos=1, retain=True)
    if settings.username is not None:
        password = settings.password
        client.username_pw_set(
            settings.username, None if password is None else password.get_secret_value()
        )
    if settings.tls is not None:
        client.tls_set_context(_tls_context(settings.tls))
    return client


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:  # SSLError among them
        raise ConfigurationError(
            f"mqtt.tls: {error}: give ca, cert and key as PEM files that can be read"
        ) from error
    return context
