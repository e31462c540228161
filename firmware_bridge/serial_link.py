"""Orders go to a co-processor that owns the encoder and the reject output (firmware/PROTOCOL.md).

    with SerialLink("/dev/ttyACM0", settings, clock, nm_per_count=25_000) as link:
        link.submit(start_um, end_um, tag)

It stands where a Rejector does, and its board is an encoder for the camera as well.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, islice
from types import TracebackType
from typing import NamedTuple

from firmware_bridge import framing
from firmware_bridge.desk import RejectorStopped
from firmware_bridge.encoder import EncoderError
from firmware_bridge.framing import (
    SETTINGS,
    STRETCHES_A_REQUEST,
    Answer,
    Board,
    BoardEvent,
    BoardStatistics,
    EventKind,
    Kind,
    Refusal,
    State,
)
from firmware_bridge.line import LineError
from firmware_bridge.record import LATEST, RejectReport
from firmware_bridge.serial_talk import Talk
from firmware_bridge.tracker import ActuatorSettings
from firmware_bridge.types import (
    SECOND_NS,
    Clock,
    Event,
    Fired,
    Missed,
    Mode,
    Order,
    Pulse,
    Reading,
    Reason,
)

BAUD = 921_600  # of the RP2040
POLL_NS = 10_000_000  # between two questions for news, which also keep the board from rejecting
BOOT_NS = 3 * SECOND_NS  # a board answers this long after its power comes, at the latest
STATISTICS_NS = SECOND_NS

_REMEDIES = {
    State.NO_SESSION: "it was reset; check its supply",
    State.SILENT: "it heard nothing for too long; check the cable and the load on this machine",
    State.ENCODER_FAILED: "its encoder lost counts or jumped; check the encoder and its cable",
    State.STALLED: "it stood still for more than a second; check its supply and firmware",
    State.CLOSED: "another program closed the session; let one alone use the board",
    State.RELEASED: "another program closed the session; let one alone use the board",
}

_OPEN = {State.RUNNING}
_CLOSED = {State.CLOSED, State.RELEASED}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How well the link does."""

    board: BoardStatistics
    resent: int  # requests whose answer did not come in time
    damaged: int  # frames from the board
    clock_error_ns: int  # at most, of the times of readings
    passed: int
    late_passes: int  # whose stretches were rejected for it


class SerialLink:
    """Has the board at the other end of `port` reject what is submitted.

    Opening it shakes hands and starts a session, in which positions count from 0; LineError where
    that fails. With `default_reject` all rail is rejected but that of the passes which came in
    time, and passes are submitted in the order of the rail.

    Fails safe: the board rejects all by itself when it has heard nothing for `silence_ns`, when it
    is reset, and when its encoder fails. Each of these ends the session for good, and `submit`,
    `check` and `close` raise RejectorStopped with the cause. After an orderly `close` the board
    rejects too, unless `release_on_close`.

    The port belongs to a thread of its own. `submit`, `submit_pass`, `check`, `report`, `read` and
    `statistics` may be called from any thread, and never wait for I/O.
    """

    def __init__(
        self,
        port: str,
        settings: ActuatorSettings,
        clock: Clock,
        *,
        nm_per_count: int,
        default_reject: bool = False,
        release_on_close: bool = False,
        silence_ns: int = SECOND_NS // 2,
        baud: int = BAUD,
    ) -> None:
        self._clock = clock
        self._release_on_close = release_on_close
        self._default_reject = default_reject
        self._silence_ns = silence_ns
        self._outbox: queue.SimpleQueue[_Outgoing] = queue.SimpleQueue()
        self._unsent: deque[_Outgoing] = deque()  # taken from the outbox
        self._lock = threading.Lock()  # guards the record, never held during I/O
        self._record = _Record()
        self._polled_ns = self._counted_ns = 0
        self._failure: BaseException | None = None
        self._stopping = threading.Event()
        self._session = secrets.randbelow(2**32 - 1) + 1
        self._talk = Talk(port, baud, clock)
        try:
            opening = framing.opening(
                settings,
                nm_per_count=nm_per_count,
                silence_ns=silence_ns,
                default_reject=default_reject,
            )
            self.board = self._shake_hands(port, opening)
            self._statistics = framing.parse_statistics(self._ask(Kind.STATISTICS).body)
        except BaseException:
            self._talk.close()
            raise
        log.info("%s: session %08x on %s", port, self._session, self.board.name)
        self._thread = threading.Thread(target=self._run, name="serial link", daemon=True)
        self._thread.start()

    def submit(self, start_um: int, end_um: int, tag: str) -> None:
        """Have the rail from `start_um` to `end_um` rejected."""
        self._submit(Kind.ORDER, Order(start_um, end_um, tag))

    def submit_pass(self, start_um: int, end_um: int, tag: str) -> None:
        """Let the rail from `start_um` to `end_um` by, where all is rejected by default."""
        if not self._default_reject:
            raise ValueError(f"pass {tag!r} lets nothing by: open the link with default_reject")
        self._submit(Kind.PASS, Order(start_um, end_um, tag))

    def check(self) -> None:
        """Raise RejectorStopped unless orders are being fired; call it before each heartbeat."""
        self._raise_failure()
        if self._stopping.is_set():
            raise RejectorStopped("the serial link is closed: open a new one")
        silent_ns = self._clock() - self._talk.heard_ns
        if silent_ns > self._silence_ns:
            raise RejectorStopped(
                f"no answer from the board for {silent_ns // 1_000_000} ms, and it rejects all "
                "by now: check its cable and supply, and the load on this machine"
            )

    def read(self) -> Reading:
        """The newest position that is known here, and when it was taken; makes this an Encoder."""
        try:
            self.check()
        except RejectorStopped as stopped:
            raise EncoderError(str(stopped)) from stopped
        return self._talk.reading

    def report(self) -> RejectReport:
        with self._lock:
            return self._record.report()

    def statistics(self) -> LinkStatistics:
        """At most a second old; that of the whole session once closed."""
        with self._lock:
            return LinkStatistics(
                self._statistics,
                resent=self._talk.resent,
                damaged=self._talk.damaged,
                clock_error_ns=self._talk.clock_error_ns,
                passed=self._record.passed,
                late_passes=self._record.late_passes,
            )

    def close(self) -> None:
        """Stop; orders still to come stay pending. Closing again does nothing."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._thread.join(timeout=2 * self._silence_ns / SECOND_NS + 1)
        if self._thread.is_alive():
            raise RejectorStopped("the serial port blocks: unplug the board, which then rejects")
        self._raise_failure()

    def __enter__(self) -> SerialLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _submit(self, kind: Kind, order: Order) -> None:
        if max(-order.start_um, order.end_um) > framing.PLACE_LIMIT_UM:
            raise ValueError(
                f"order {order.tag!r} from {order.start_um} to {order.end_um} um is further away "
                "than the firmware can reckon: give micrometres"
            )
        self.check()
        with self._lock:  # numbers go out in the order in which they are given
            self._outbox.put(_Outgoing(kind, self._record.enter(kind, order), order))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RejectorStopped(
                f"the serial link stopped: {self._failure}; mend the cause and start again"
            ) from self._failure

    def _shake_hands(self, port: str, opening: bytes) -> Board:
        answer = self._talk.ask(Kind.HELLO, 0, framing.hello(), patience_ns=BOOT_NS)
        board = framing.parse_board(answer.body)
        if board.version != framing.VERSION:
            raise LineError(
                f"{port}: {board.name} speaks version {board.version} of the protocol, this "
                f"program version {framing.VERSION}: flash the firmware of this release"
            )
        answer = self._talk.ask(Kind.OPEN, self._session, opening, patience_ns=BOOT_NS)
        if answer.refusal is Refusal.SETTING:
            raise LineError(
                f"{port}: {board.name} refuses {SETTINGS[answer.detail - 1]}: "
                "give a value in the range that PROTOCOL.md has for it"
            )
        self._expect(answer)
        return board

    def _ask(self, kind: Kind, body: bytes = b"") -> Answer:
        """Ask within the session; whatever ended it is raised."""
        answer = self._talk.ask(kind, self._session, body, patience_ns=self._silence_ns)
        self._expect(answer)
        return answer

    def _expect(self, answer: Answer) -> None:
        if answer.session not in {0, self._session}:
            raise RejectorStopped("another program opened the board: let one alone use it")
        meant = _CLOSED if answer.kind is Kind.CLOSE else _OPEN
        if answer.session != self._session or answer.state not in meant:
            raise RejectorStopped(f"the board rejects all: {_REMEDIES[answer.state]}")
        if answer.refusal not in {Refusal.NONE, Refusal.FULL}:
            raise LineError(
                f"the board refuses a {answer.kind.name} ({answer.refusal.name}): "
                "flash the firmware of this release"
            )

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._round()
            self._poll()
            self._count()
            self._ask(Kind.CLOSE, framing.closing(release=self._release_on_close))
        except BaseException as failure:
            log.exception("the serial link failed; the board goes to reject by itself")
            self._failure = failure
        finally:
            self._talk.close()

    def _round(self) -> None:
        """Send what is to be sent until news is due, then ask for it."""
        due_ns = self._polled_ns + POLL_NS
        wait_s = max(0, due_ns - self._clock()) / SECOND_NS
        if self._unsent:  # the news may be that there is room for them
            self._stopping.wait(wait_s)
        else:
            with suppress(queue.Empty):
                self._unsent.append(self._outbox.get(timeout=wait_s))
            self._send()
        if self._clock() >= due_ns:
            self._poll()
            self._send()
        if self._clock() - self._counted_ns >= STATISTICS_NS:
            self._count()

    def _send(self) -> None:
        """Send all there is, until the board is full. It takes each once, though it hears it twice.

        A request holds several, all of one kind.
        """
        refusal = Refusal.NONE
        while refusal is Refusal.NONE and self._take_outbox():
            kind, number, _ = self._unsent[0]
            stretches = []
            for outgoing in islice(self._unsent, STRETCHES_A_REQUEST):
                if outgoing.kind is not kind:
                    break
                stretches.append((outgoing.order.start_um, outgoing.order.end_um))
            answer = self._ask(kind, framing.stretches(number, stretches))
            for _ in range(answer.detail):
                self._unsent.popleft()
            refusal = answer.refusal

    def _take_outbox(self) -> bool:
        """Whether there is anything to send."""
        with suppress(queue.Empty):
            while True:
                self._unsent.append(self._outbox.get_nowait())
        return bool(self._unsent)

    def _poll(self) -> None:
        more = True
        while more:
            self._polled_ns = self._clock()
            answer = self._ask(Kind.POLL, framing.poll(self._record.next_event))
            first, events = framing.parse_events(answer.body)
            with self._lock:
                more = self._record.take(first, events)

    def _count(self) -> None:
        self._counted_ns = self._clock()
        self._statistics = framing.parse_statistics(self._ask(Kind.STATISTICS).body)


class _Outgoing(NamedTuple):
    """An order or a pass on its way to the board."""

    kind: Kind
    number: int
    order: Order


class _Record:
    """What was submitted, and what the board said became of it."""

    def __init__(self) -> None:
        self.next_event = 0
        self.passed = self.late_passes = 0
        self._numbers = count(1)
        self._orders: dict[int, Order] = {}  # and passes: those the board has not spoken of
        self._scheduled = self._fired = self._missed = self._error_um_max = 0
        self._outcomes: deque[Fired | Missed] = deque(maxlen=LATEST)
        self._pulses: deque[Pulse] = deque(maxlen=LATEST)

    def enter(self, kind: Kind, order: Order) -> int:
        number = next(self._numbers)
        self._orders[number] = order
        self._scheduled += kind is Kind.ORDER
        return number

    def take(self, first: int, events: list[BoardEvent]) -> bool:
        """Enter what became known; whether there was anything."""
        if first != self.next_event:
            raise LineError(
                f"the board's news begins with number {first}, not {self.next_event}: "
                "what became of some orders is not known; flash the firmware of this release"
            )
        for event in events:
            if event.kind is EventKind.PASS:
                self._take_pass(event)
            else:
                self._take_event(self._as_ours(event))
        self.next_event += len(events)
        return bool(events)

    def report(self) -> RejectReport:
        return RejectReport(
            mode=Mode.ORDERED,
            scheduled=self._scheduled,
            fired=self._fired,
            missed=self._missed,
            pending=self._scheduled - self._fired - self._missed,
            passed=self.passed,
            late_passes=self.late_passes,
            error_um_max=self._error_um_max,
            outcomes=tuple(self._outcomes),
            pulses=tuple(self._pulses),
        )

    def _take_pass(self, event: BoardEvent) -> None:
        order = self._orders.pop(event.order)
        if event.late:
            self.late_passes += 1
            log.warning("%s: %d um too late to pass; rejected", order.tag, event.first_um)
        else:
            self.passed += 1

    def _take_event(self, event: Event) -> None:
        if isinstance(event, Fired):
            self._fired += 1
            self._error_um_max = max(self._error_um_max, abs(event.error_um))
            self._outcomes.append(event)
        elif isinstance(event, Missed):
            self._missed += 1
            self._outcomes.append(event)
        elif isinstance(event, Pulse):
            self._pulses.append(event)

    def _as_ours(self, event: BoardEvent) -> Event:
        first_um, second_um = event.first_um, event.second_um
        if event.kind is EventKind.PULSE:
            return Pulse(first_um, second_um)
        if event.order == 0:  # rail that no pass came for, and that was not all rejected
            self._scheduled += 1
            order = Order(second_um, second_um + first_um, "no pass")
        else:
            order = self._orders.pop(event.order)
        if event.kind is EventKind.FIRED:
            return Fired(order, first_um, second_um)
        return Missed(order, first_um, Reason.ARRIVED_LATE if event.late else Reason.ACTED_LATE)
