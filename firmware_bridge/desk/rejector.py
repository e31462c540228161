"""The thread that turns orders into pulses in real time."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

from firmware_bridge.core import Command, Control, News
from firmware_bridge.desk.desk import DeskSettings, OrderDesk
from firmware_bridge.desk.realtime import take_priority
from firmware_bridge.desk.rig import Rig, RigLoop
from firmware_bridge.errors import RejectorStopped
from firmware_bridge.ledger import Ledger
from firmware_bridge.types import SECOND_NS, Clock, Reading

log = logging.getLogger(__name__)


class Rejector(OrderDesk):
    """Fires orders on the outputs of `rig`, as its encoder brings them along.

    Fails safe: an output is released (not reject) only while the thread runs and rail is under it
    that a pass was submitted for; `default_reject=False` is for trials, where nobody inspects and
    all may pass that no order is for. If the thread fails,
    the outputs go to reject, and `submit`, `check` and `close` raise what happened. After an
    orderly `close` they reject too, because nobody inspects any more, but for those that the rig
    has `released_on_close`.
    A thread that is stuck inside an encoder or a line cannot drive the outputs: `submit` and
    `check` raise once it has been stuck for `silence_ns`, and the heartbeat, which the caller then
    no longer beats, is what rejects.

    Pulses lie where they should only if the thread runs when a switch is due. On a machine with
    other work give it a real-time `priority` (1 to 99; 0 is an ordinary thread), and in a process
    with other Python threads shorten `sys.setswitchinterval`; the margin has to cover the rest.
    ProcessRejector does better.

    From making it to `close`, encoder and lines belong to its thread; it closes none of them.
    """

    _name = "reject thread"

    def __init__(
        self,
        rig: Rig,
        clock: Clock,
        settings: DeskSettings,
        *,
        priority: int = 0,
        ledger: Ledger | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        super().__init__(rig.actuators, clock, settings, ledger=ledger, watch=watch)
        control = Control(
            rig.actuators, on_missed=settings.on_missed, default_reject=settings.default_reject
        )
        self._loop = RigLoop(rig, control, self, clock)
        self._priority = priority
        self._inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._reading = rig.encoder.read()
        known = None if ledger is None or ledger.inherited is None else ledger.inherited.known
        self._take_up(rig.place(known), self._reading)  # heard before the first turn
        self._alive_ns = clock()
        self._thread = threading.Thread(target=self._run, name="rejector", daemon=True)
        self._thread.start()

    # --- what the desk wants ---

    def _newest(self) -> Reading:
        return self._reading

    def _send(self, command: Command) -> None:
        self._inbox.put(command)

    def _check_alive(self) -> None:
        if self._clock() - self._alive_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"no encoder reading for {self._settings.silence_ns // 1_000_000} ms: "
                "the encoder or the reject line blocks; check its cable and bus"
            )

    def _stop(self) -> None:
        self._thread.join(timeout=self._settings.silence_ns / SECOND_NS)
        if self._thread.is_alive():
            raise RejectorStopped(
                "the reject thread does not stop: the encoder or the reject line blocks, "
                "and the line was left as it is; check its cable and bus"
            )

    # --- what the loop wants: an Exchange ---

    def is_open(self) -> bool:
        return not self._stopping.is_set()

    def receive(self, timeout_ns: int) -> list[Command]:
        commands = []
        try:
            commands.append(self._inbox.get(timeout=timeout_ns / SECOND_NS))
            while True:
                commands.append(self._inbox.get_nowait())
        except queue.Empty:
            return commands

    def tell(self, reading: Reading, news: list[News]) -> None:
        self._alive_ns, self._reading = self._clock(), reading
        if news:
            self._tell(news)

    def _run(self) -> None:
        try:
            take_priority(self._priority)
            self._loop.run(default_reject=self._settings.default_reject)
        except BaseException as failure:
            log.exception("the reject thread failed; the outputs go to reject")
            self._fail(failure)
