"""Where orders are handed in, whoever fires them: a thread, a process, or a co-processor.

with Rejector(...) as desk:                   or ProcessRejector, or SerialLink
    desk.submit(start_um, end_um, tag)
    desk.hold("bin full", Mode.STOP_LINE, "its sensor is covered")
    desk.check()                              before each heartbeat
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from firmware_bridge.core import (
    MISSED,
    Acknowledge,
    Actuator,
    Change,
    Command,
    Hold,
    Latch,
    News,
    Pass,
    Release,
)
from firmware_bridge.desk.record import Record, RejectReport
from firmware_bridge.errors import EncoderError, RejectorStopped
from firmware_bridge.ledger import Ledger
from firmware_bridge.types import Clock, Closing, Fired, Missed, Mode, Order, Reading


class OrderDesk(Closing, ABC):
    """Takes orders, hands them to whoever fires them, and keeps the record of what became of them.

    All but `close` may be called from any thread, and none waits for I/O. `watch` is told all news,
    with the orders as they were submitted, on the thread that brings them; it must not wait either.
    """

    def __init__(
        self,
        actuators: Sequence[Actuator],
        clock: Clock,
        *,
        default_reject: bool,
        on_missed: Mode,
        ledger: Ledger | None,
        watch: Callable[[News], None] | None,
    ) -> None:
        self._clock = clock
        self._default_reject = default_reject
        self._on_missed = on_missed
        self._ledger = ledger
        self._watch = watch
        self._record = Record(actuators, ledger)
        self._lock = threading.Lock()  # guards the record, never held during I/O
        self._failure: BaseException | None = None
        self._stopping = threading.Event()

    def submit(self, start_um: int, end_um: int, tag: str, rail: str = "") -> None:
        """Have the rail from `start_um` to `end_um` rejected."""
        self._hand_in(Order(start_um, end_um, tag, rail), is_pass=False)

    def submit_pass(self, start_um: int, end_um: int, tag: str, rail: str = "") -> None:
        """Let the rail from `start_um` to `end_um` by, where all is rejected by default."""
        if not self._default_reject:
            raise ValueError(f"pass {tag!r} lets nothing by: open it with default_reject")
        self._hand_in(Order(start_um, end_um, tag, rail), is_pass=True)

    def hold(self, cause: str, mode: Mode, reason: str) -> None:
        """A state of the line overrides the orders until it is released."""
        self._command(Hold(cause, mode, reason))

    def release(self, cause: str, reason: str) -> None:
        self._command(Release(cause, reason))

    def latch(self, cause: str, mode: Mode, reason: str) -> None:
        """Something that happened overrides the orders until it is acknowledged."""
        self._command(Latch(cause, mode, reason))

    def acknowledge(self, reason: str) -> None:
        """Whoever looks after the line has seen to all that is latched."""
        self._command(Acknowledge(reason))

    def confirm(self, actuator: str, *, seen: bool, reason: str) -> None:
        """Enter in the ledger whether what an actuator rejected was seen to leave."""
        with self._lock:
            self._record.confirm(self._clock(), actuator, seen=seen, reason=reason)

    @property
    def mode(self) -> Mode:
        """What the outputs do, by the latest news."""
        return self._record.mode

    @property
    def standing(self) -> tuple[Change, ...]:
        """The causes that override the orders, or are only reported, each as it came; likewise."""
        return self._record.standing

    @property
    def newest(self) -> tuple[Fired | Missed, ...]:
        """A few of the latest outcomes; likewise. The report has more of them."""
        return self._record.newest

    def report(self) -> RejectReport:
        with self._lock:
            return self._record.report()

    def check(self) -> None:
        """Raise RejectorStopped unless orders are being fired; call it before each heartbeat."""
        self._raise_failure()
        if self._stopping.is_set():
            raise RejectorStopped(f"the {self._name} is closed: open a new one")
        self._check_alive()

    def close(self) -> None:
        """Stop; orders still to come stay pending. Closing again does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._stop()
        self._raise_failure()

    @property
    @abstractmethod
    def _name(self) -> str:
        """What it is called in errors."""

    @abstractmethod
    def _send(self, command: Command) -> None:
        """Hand a command on, without waiting."""

    @abstractmethod
    def _check_alive(self) -> None:
        """Raise RejectorStopped if whoever fires has shown no sign of life for too long."""

    @abstractmethod
    def _stop(self) -> None:
        """Have whoever fires stop, and wait for it; RejectorStopped if it does not."""

    def _hand_in(self, order: Order, *, is_pass: bool) -> None:
        self.check()
        with self._lock:  # they go out in the order of their numbers
            numbered = self._record.enter(order, self._clock(), is_pass=is_pass)
            self._send(Pass(numbered) if is_pass else numbered)

    def _command(self, command: Command) -> None:
        self.check()
        self._send(command)

    def _tell(self, news: Iterable[News]) -> None:
        """Enter news in the record, and pass it on."""
        with self._lock:
            entered = self._record.take(news)
        if self._watch is not None:
            for each in entered:
                self._watch(each)

    def _take_up(self) -> None:
        """What was due while the program was down counts as missed; call it once it runs."""
        reconciled = self._ledger.reconciled if self._ledger is not None else ()
        if reconciled == () or self._on_missed is Mode.ORDERED:
            return
        reason = "what was due while the program was down cannot be known, its disk refuses"
        if reconciled is not None:
            reason = f"{len(reconciled)} orders were due while the program was down"
        self._send(Latch(MISSED, self._on_missed, reason))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RejectorStopped(
                f"the {self._name} stopped: {self._failure!r}; mend the cause and start again"
            ) from self._failure


class MeasuringDesk(OrderDesk):
    """A desk whose other side has the encoder; for this side it is an encoder too."""

    def read(self) -> Reading:
        """The newest position that is known here, and when it was taken; or EncoderError."""
        try:
            self.check()
        except RejectorStopped as stopped:
            raise EncoderError(str(stopped)) from stopped
        return self._newest()

    @abstractmethod
    def _newest(self) -> Reading:
        """The newest reading that is known here."""
