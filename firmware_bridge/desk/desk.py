"""Where orders are handed in, whoever fires them: a thread, a process, or a co-processor.

with Rejector(...) as desk:                   or ProcessRejector, or SerialLink
    desk.submit(start_um, end_um, tag)        this rail must leave
    desk.submit_pass(start_um, end_um, tag)   this rail was inspected, and may pass
    desk.hold("bin full", Mode.STOP_LINE, "its sensor is covered")
    desk.check()                              before each heartbeat

One rule decides what an actuator does with rail: what is known to have been inspected passes, and
all else is rejected, from the moment its output is claimed. It is known from a pass, of this run or
of the one before it where the ledger and a counter that counts on tell where that rail is by now.
What was ordered is rejected all the same.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware_bridge.core import (
    MISSED,
    UNINSPECTED,
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
from firmware_bridge.desk.carried import Carried, carry
from firmware_bridge.desk.record import Record, RejectReport
from firmware_bridge.errors import EncoderError, LineError, RejectorStopped
from firmware_bridge.ledger import Ledger, Piece, Place
from firmware_bridge.types import SECOND_NS, Clock, Closing, Fired, Missed, Mode, Order, Reading


@dataclass(frozen=True, kw_only=True)
class DeskSettings:
    """What is rejected beside the orders, and for how long whoever fires may give no sign of life.

    `default_reject=False` is for trials, where nobody inspects and all may pass that no order is
    for. What is missed, and rail that nobody looked at, may bring about a mode besides. `coast_um`
    is how far the rail may go from the death of all that drives an output until it rejects.
    """

    default_reject: bool = True
    on_missed: Mode = Mode.ORDERED
    on_uninspected: Mode = Mode.ORDERED
    silence_ns: int = SECOND_NS // 2
    coast_um: int = 0


class OrderDesk(Closing, ABC):
    """Takes orders, hands them to whoever fires them, and keeps the record of what became of them.

    All but `close` may be called from any thread, and none waits for I/O. `watch` is told all news,
    on the thread that brings them; it must not wait either.
    """

    def __init__(
        self,
        actuators: Sequence[Actuator],
        clock: Clock,
        settings: DeskSettings,
        *,
        ledger: Ledger | None,
        watch: Callable[[News], None] | None,
    ) -> None:
        self._actuators = actuators
        self._clock = clock
        self._settings = settings
        self._ledger = ledger
        self._watch = watch
        self._record = Record(actuators, ledger)
        self._lock = threading.Lock()  # guards the record, never held during I/O
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._is_unkept = False  # whether no ledger keeps the orders now

    def submit(self, start_um: int, end_um: int, tag: str, rail: str = "") -> None:
        """Have the rail from `start_um` to `end_um` rejected; raises as `check` does."""
        self._hand_in(Order(start_um, end_um, tag, rail), is_pass=False)

    def submit_pass(self, start_um: int, end_um: int, tag: str, rail: str = "") -> None:
        """Let the rail from `start_um` to `end_um` by: it was inspected.

        Raises as `check` does; ValueError in a trial, where all passes anyway.
        """
        if not self._settings.default_reject:
            raise ValueError(f"pass {tag!r} lets nothing by: open it with default_reject")
        self._hand_in(Order(start_um, end_um, tag, rail), is_pass=True)
        if self._ledger is not None:  # only now, so that orders given before are on disk first
            self._ledger.know(Piece(rail, start_um, end_um), self._newest().position_um)

    def hold(self, cause: str, mode: Mode, reason: str) -> None:
        """A state of the line overrides the orders until it is released; raises as `check` does."""
        self._command(Hold(cause, mode, reason))

    def release(self, cause: str, reason: str) -> None:
        """What was held is over; raises as `check` does."""
        self._command(Release(cause, reason))

    def latch(self, cause: str, mode: Mode, reason: str) -> None:
        """Something that happened overrides the orders until it is acknowledged.

        Raises as `check` does.
        """
        self._command(Latch(cause, mode, reason))

    def acknowledge(self, reason: str) -> None:
        """Whoever looks after the line has seen to all that is latched.

        Raises as `check` does.
        """
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
        """What became of the orders so far."""
        with self._lock:
            return self._record.report()

    def check(self) -> None:
        """Raise RejectorStopped unless orders are being fired; call it before each heartbeat."""
        self._raise_failure()
        if self._stopping.is_set():
            raise RejectorStopped(f"the {self._name} is closed: open a new one")
        self._check_alive()
        self._mind_ledger()

    def close(self) -> None:
        """Stop; orders still to come stay pending. Closing again does nothing.

        RejectorStopped where orders were no longer fired, or where what fires them does not stop.
        """
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._settings.default_reject:
            with self._lock:
                self._record.end(self._newest())
        self._stop()
        self._raise_failure()

    @property
    @abstractmethod
    def _name(self) -> str:
        """What it is called in errors."""

    @abstractmethod
    def _newest(self) -> Reading:
        """The newest reading that is known here."""

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
            self._enter(order, is_pass=is_pass)

    def _enter(self, order: Order, *, is_pass: bool) -> None:
        numbered = self._record.enter(order, self._clock(), is_pass=is_pass)
        self._send(Pass(numbered) if is_pass else numbered)

    def _command(self, command: Command) -> None:
        self.check()
        self._send(command)

    def _tell(self, news: Sequence[News]) -> None:
        """Enter news in the record, and pass it on."""
        with self._lock:
            before_um = self._record.uninspected_um
            self._record.take(news)
            uninspected_um = self._record.uninspected_um - before_um
        if uninspected_um:
            self._latch_uninspected(f"nobody looked at {uninspected_um / 1000:.1f} mm of rail")
        if self._watch is not None:
            for each in news:
                self._watch(each)

    def _take_up(self, place: Place | None, reading: Reading) -> None:
        """Begin with what the run before left: its orders are given anew, and what it let by may
        pass, where it is known how far the rail has gone meanwhile. Call it at the first reading.
        """
        inherited = None if self._ledger is None else self._ledger.inherited
        carried = Carried()
        if inherited is not None:
            known, orders = inherited.known, inherited.orders
            carried = carry(
                known,
                orders,
                place,
                reading,
                self._actuators,
                coast_um=self._settings.coast_um,
            )
        if self._settings.default_reject:
            self._record.begin(reading, went_um=carried.went_um or 0)
        with self._lock:
            for _, order in carried.orders:
                self._enter(order, is_pass=False)
            for order in carried.passes if self._settings.default_reject else ():
                self._enter(order, is_pass=True)
        if self._ledger is not None:
            given_anew = [entry for entry, _ in carried.orders]
            self._ledger.begin(place, given_anew, carried.gone_by, carried.passed, carried.where)
            self._latch_missed(len(carried.gone_by) if inherited is not None else None)
        if self._settings.default_reject and not carried.passes:
            self._latch_uninspected("nobody looked at the rail up to the actuators")

    def _latch_missed(self, orders: int | None) -> None:
        """What was due while the program was down counts as missed."""
        if orders == 0 or self._settings.on_missed is Mode.ORDERED:
            return
        reason = "what was due while the program was down cannot be known, its disk refuses"
        if orders is not None:
            reason = f"{orders} orders were due while the program was down"
        self._send(Latch(MISSED, self._settings.on_missed, reason))

    def _latch_uninspected(self, reason: str) -> None:
        """Such rail is rejected; this is what it brings about besides."""
        if self._settings.on_uninspected is not Mode.ORDERED:
            self._send(Latch(UNINSPECTED, self._settings.on_uninspected, reason))

    def _mind_ledger(self) -> None:
        """Orders that no ledger keeps would be forgotten by the next run: all is rejected."""
        ledger = self._ledger
        if ledger is None or ledger.is_unkept is self._is_unkept:
            return
        self._is_unkept = ledger.is_unkept
        if self._is_unkept:
            reason = "its file was removed or replaced, and no other takes the orders"
            self._send(Hold("ledger", Mode.REJECT_ALL, reason))
        else:
            self._send(Release("ledger", "it is written again"))

    def _fail(self, failure: BaseException) -> None:
        """Whoever asks next is told. An encoder or a PLC that fails may have lost its place."""
        self._failure = failure
        if self._ledger is not None and isinstance(failure, (EncoderError, LineError)):
            self._ledger.forget()

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
