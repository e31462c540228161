"""The encoder and the outputs of a line, and the loop that serves them in real time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from firmware_bridge.core import Actuator, Command, Control, News
from firmware_bridge.ledger import Known, Place
from firmware_bridge.lines import Encoder, OutputLine
from firmware_bridge.types import Clock, Reading, Switch

POLL_NS = 2_000_000  # between two readings of the encoder while no switch is near
SPIN_NS = 200_000  # sleeping ends late by up to this: the last of a wait is spent awake


@dataclass(frozen=True, slots=True)
class Output:
    """An actuator, and the line that drives it: `active` means reject."""

    actuator: Actuator
    line: OutputLine
    released_on_close: bool = False  # whether an orderly close lets it go; else it rejects


@dataclass(frozen=True, slots=True)
class Rig:
    """What one loop serves. `stop_line` is active while the line has to stop."""

    encoder: Encoder
    outputs: Sequence[Output]
    stop_line: OutputLine | None = None
    # Where position 0 of its encoder lies, by which the next run finds the rail again. None where
    # the encoder counts anew with each run.
    place: Callable[[Known | None], Place | None] = lambda _: None

    @property
    def actuators(self) -> tuple[Actuator, ...]:
        return tuple(output.actuator for output in self.outputs)


class Exchange(Protocol):
    """How the loop talks with the desk. Neither ever waits for the other."""

    def is_open(self) -> bool:
        """Whether to go on; raises if the desk has gone without saying so."""
        ...

    def receive(self, timeout_ns: int) -> list[Command]:
        """Those that have come; waits until one does, for as long as this at most."""
        ...

    def tell(self, reading: Reading, news: list[News]) -> None:
        """Show life, and hand on what became known."""
        ...


class RigLoop:
    """Receive, advance, drive, and wait for the next switch or the next poll."""

    def __init__(self, rig: Rig, control: Control, exchange: Exchange, clock: Clock) -> None:
        self._rig = rig
        self._lines = {output.actuator.name: output.line for output in rig.outputs}
        self._control = control
        self._exchange = exchange
        self._clock = clock
        self._stops_line = False

    def run(self, *, default_reject: bool) -> None:
        """Until the exchange is closed. However it ends, the outputs are driven to their rest.

        They are released only while this runs; then they reject, because nobody inspects any more,
        but for those that are to be released after an orderly close. A failure stops the line as
        well.
        """
        try:
            for line in self._lines.values():
                line.set(default_reject)
            self._stop_line(False)
            while self._exchange.is_open():
                self._round()
        except BaseException:
            self._rest(failed=True)
            raise
        self._rest(failed=False)

    def _rest(self, *, failed: bool) -> None:
        """Drive every output that can be driven."""
        with ExitStack() as stack:  # which calls them all, even where one of them raises
            stack.callback(self._stop_line, failed)
            for output in self._rig.outputs:
                stack.callback(output.line.set, failed or not output.released_on_close)

    def _stop_line(self, active: bool) -> None:
        if self._rig.stop_line is not None:
            self._rig.stop_line.set(active)
        self._stops_line = active

    def _round(self) -> None:
        reading = self._rig.encoder.read()
        news = self._control.advance(reading)
        switched = False
        for _, actuator, event in news:
            if isinstance(event, Switch):
                self._lines[actuator].set(event.active)
                switched = True
        if self._control.stops_line != self._stops_line:
            self._stop_line(self._control.stops_line)
        self._exchange.tell(reading, news)
        self._wait(self._clock() if switched else self._control.next_due_ns())

    def _wait(self, due_ns: int | None) -> None:
        """Take commands until shortly before `due_ns`, then watch the clock; or until the poll."""
        now_ns = self._clock()
        timeout_ns = POLL_NS
        if due_ns is not None:
            timeout_ns = max(0, min(POLL_NS, due_ns - SPIN_NS - now_ns))
        commands = self._exchange.receive(timeout_ns)
        for command in commands:
            self._control.take(command)
        if due_ns is None or commands or due_ns - self._clock() > SPIN_NS:
            return
        while self._clock() < due_ns:
            pass
