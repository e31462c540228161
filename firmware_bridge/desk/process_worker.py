"""The process that turns orders into pulses in real time, and nothing else.

ProcessRejector starts it, with one end of a socket as its standard input. It has one thread, an
interpreter of its own, and as much priority as it is given.
"""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from firmware_bridge.core import Actuator, Command, Control, News
from firmware_bridge.desk.channel import Channel
from firmware_bridge.desk.desk import DeskSettings
from firmware_bridge.desk.realtime import lock_memory, take_priority
from firmware_bridge.desk.rig import Rig, RigLoop
from firmware_bridge.errors import DeskGone
from firmware_bridge.ledger import Known, Place
from firmware_bridge.lines import SharedReading, SharedWords
from firmware_bridge.types import Clock, Reading

NEWS_A_MESSAGE = 200

OpenRig = Callable[[ExitStack], Rig]


@dataclass(frozen=True, slots=True)
class Signs:
    """What either process sees of the other at any time."""

    reading: SharedReading = field(default_factory=SharedReading)  # the newest
    # when the loop last turned
    turn_ns: SharedWords = field(default_factory=lambda: SharedWords(1))
    desk_ns: SharedWords = field(default_factory=lambda: SharedWords(1))  # when the desk last did


@dataclass(frozen=True, slots=True)
class Opening:
    """The first message: what to serve, and how. `open_rig` closes all by way of the stack."""

    open_rig: OpenRig
    clock: Clock
    signs: Signs
    settings: DeskSettings
    priority: int
    known: Known | None  # of the run before


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer: everything is claimed."""

    actuators: tuple[Actuator, ...]
    place: Place | None  # of this run


@dataclass(frozen=True, slots=True)
class Failed:
    """The last message, if it is not an orderly end."""

    failure: BaseException


@dataclass(frozen=True, slots=True)
class Close:
    """The desk's last message."""


class DeskExchange:
    """How the loop talks with a desk in another process."""

    def __init__(self, channel: Channel, opening: Opening) -> None:
        self._channel = channel
        self._clock = opening.clock
        self._signs = opening.signs
        self._silence_ns = opening.settings.silence_ns
        self._is_closed = False

    def is_open(self) -> bool:
        silent_ns = self._clock() - self._signs.desk_ns[0]
        if silent_ns > self._silence_ns:
            raise DeskGone(
                f"nothing was heard of the inspecting process for {silent_ns // 1_000_000} ms: "
                "look at what makes it hang"
            )
        return not self._is_closed

    def receive(self, timeout_ns: int) -> list[Command]:
        if timeout_ns:
            self._channel.wait(timeout_ns)
        commands = []
        try:
            for message in self._channel.receive():
                if isinstance(message, Close):
                    self._is_closed = True
                else:
                    commands.append(message)
        except EOFError as gone:
            raise DeskGone("the inspecting process is gone") from gone
        return commands

    def tell(self, reading: Reading, news: list[News]) -> None:
        self._signs.reading.write(reading)
        self._signs.turn_ns[0] = self._clock()
        for i in range(0, len(news), NEWS_A_MESSAGE):
            self._channel.send(news[i : i + NEWS_A_MESSAGE])
        self._channel.flush()


def serve(channel: Channel, opening: Opening) -> None:
    """Claim what the rig wants, and fire orders until the desk closes."""
    with ExitStack() as stack:
        rig, settings = opening.open_rig(stack), opening.settings
        control = Control(
            rig.actuators, on_missed=settings.on_missed, default_reject=settings.default_reject
        )
        exchange = DeskExchange(channel, opening)
        loop = RigLoop(rig, control, exchange, opening.clock)
        if opening.priority:
            take_priority(opening.priority)
            lock_memory()
        gc.collect()
        gc.freeze()  # what is here by now lives as long as the process: never look through it again
        # so that the desk has a reading from the first moment
        exchange.tell(rig.encoder.read(), [])
        channel.send(Ready(rig.actuators, rig.place(opening.known)))
        loop.run(default_reject=settings.default_reject)


def main() -> None:
    # Whoever stops the service signals all of its processes. This one must outlive the desk, which
    # ends it when it has closed.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    channel = Channel(socket.socket(fileno=0))
    opening = None
    while opening is None:
        channel.wait(1_000_000_000)
        for message in channel.receive():
            opening = message
    try:
        serve(channel, opening)
    except BaseException as failure:
        channel.send(Failed(failure))
        sys.exit(1)
