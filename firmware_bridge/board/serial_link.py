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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from firmware_bridge.board import framing
from firmware_bridge.board.framing import (
    SETTINGS,
    STRETCHES_A_REQUEST,
    Answer,
    Board,
    BoardEvent,
    BoardStatistics,
    EventKind,
    EventReason,
    Kind,
    Refusal,
    State,
)
from firmware_bridge.board.serial_talk import Talk
from firmware_bridge.core import (
    NO_PASS,
    Actuator,
    ActuatorSettings,
    Change,
    Command,
    Guard,
    News,
    Override,
    Pass,
    latch_missed,
    override,
)
from firmware_bridge.desk import MeasuringDesk
from firmware_bridge.errors import LineError, RejectorStopped
from firmware_bridge.ledger import Ledger
from firmware_bridge.lines import OutputLine
from firmware_bridge.types import (
    SECOND_NS,
    Clock,
    Event,
    Fired,
    Missed,
    Mode,
    Order,
    Passed,
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


class SerialLink(MeasuringDesk):
    """Has the board at the other end of `port` reject what is submitted.

    Opening it shakes hands and starts a session, in which positions count from 0; LineError where
    that fails. With `default_reject` all rail is rejected but that of the passes which came in
    time, and passes are submitted in the order of the rail.

    Fails safe: the board rejects all by itself when it has heard nothing for `silence_ns`, when it
    is reset, and when its encoder fails. Each of these ends the session for good, and `submit`,
    `check` and `close` raise RejectorStopped with the cause. After an orderly `close` the board
    rejects too, unless `release_on_close`.

    What overrides the orders is decided here and done by the board; `stop_line`, where there is
    one, is an output of this machine, and active while the line has to stop.

    The port belongs to a thread of its own. `read` and `statistics` may be called from any thread,
    and never wait for I/O.
    """

    _name = "serial link"

    def __init__(
        self,
        port: str,
        settings: ActuatorSettings,
        clock: Clock,
        *,
        nm_per_count: int,
        name: str = "reject",
        rail: str = "",
        stop_line: OutputLine | None = None,
        default_reject: bool = False,
        on_missed: Mode = Mode.ORDERED,
        release_on_close: bool = False,
        silence_ns: int = SECOND_NS // 2,
        baud: int = BAUD,
        ledger: Ledger | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        super().__init__(
            [Actuator(name, settings, rail)],
            clock,
            default_reject=default_reject,
            on_missed=on_missed,
            ledger=ledger,
            watch=watch,
        )
        self._actuator = name
        self._stop_line = stop_line
        self._release_on_close = release_on_close
        self._silence_ns = silence_ns
        self._outbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._unsent: deque[Order | Pass] = deque()  # taken from the outbox
        self._guard = Guard()
        self._changes: list[Change] = []  # not yet told to the desk
        self._board_mode = Mode.ORDERED
        self._next_event = 0
        self._polled_ns = self._counted_ns = 0
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
        self._take_up()

    def statistics(self) -> LinkStatistics:
        """At most a second old; that of the whole session once closed."""
        with self._lock:
            return LinkStatistics(
                self._statistics,
                resent=self._talk.resent,
                damaged=self._talk.damaged,
                clock_error_ns=self._talk.clock_error_ns,
            )

    def _newest(self) -> Reading:
        return self._talk.reading

    def _send(self, command: Command) -> None:
        self._outbox.put(command)

    def _check_alive(self) -> None:
        silent_ns = self._clock() - self._talk.heard_ns
        if silent_ns > self._silence_ns:
            raise RejectorStopped(
                f"no answer from the board for {silent_ns // 1_000_000} ms, and it rejects all "
                "by now: check its cable and supply, and the load on this machine"
            )

    def _stop(self) -> None:
        self._thread.join(timeout=2 * self._silence_ns / SECOND_NS + 1)
        if self._thread.is_alive():
            raise RejectorStopped("the serial port blocks: unplug the board, which then rejects")

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
            if self._stop_line is not None:
                self._stop_line.set(False)
            while not self._stopping.is_set():
                self._round()
            self._poll()
            self._count()
            self._ask(Kind.CLOSE, framing.closing(release=self._release_on_close))
        except BaseException as failure:
            log.exception("the serial link failed; the board goes to reject by itself")
            self._failure = failure
            if self._stop_line is not None:
                self._stop_line.set(True)
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
                self._take(self._outbox.get(timeout=wait_s))
            self._send_all()
        if self._clock() >= due_ns:
            self._poll()
            self._send_all()
        if self._clock() - self._counted_ns >= STATISTICS_NS:
            self._count()

    def _send_all(self) -> None:
        """Send what there is, several of one kind in a request, until the board is full.

        It takes each once, though it hears it twice.
        """
        refusal = Refusal.NONE
        while refusal is Refusal.NONE and self._take_outbox():
            is_pass = isinstance(self._unsent[0], Pass)
            orders: list[Order] = []
            for each in islice(self._unsent, STRETCHES_A_REQUEST):
                if isinstance(each, Pass) is not is_pass:
                    break
                orders.append(each.order if isinstance(each, Pass) else each)
            stretches = [(order.start_um, order.end_um) for order in orders]
            kind = Kind.PASS if is_pass else Kind.ORDER
            answer = self._ask(kind, framing.stretches(int(orders[0].tag), stretches))
            for _ in range(answer.detail):
                self._unsent.popleft()
            refusal = answer.refusal

    def _take_outbox(self) -> bool:
        """Do what overrides the orders; whether there are any to send."""
        with suppress(queue.Empty):
            while True:
                self._take(self._outbox.get_nowait())
        self._override()
        return bool(self._unsent)

    def _take(self, command: Command) -> None:
        if isinstance(command, Override):
            self._changes += override(self._guard, command)
        else:
            self._unsent.append(command)

    def _override(self) -> None:
        """Have the board do what overrides the orders; it is news once the board does."""
        mode = self._guard.mode
        if mode is not self._board_mode:
            if self._ask(Kind.MODE, framing.mode(mode)).refusal is Refusal.FULL:
                return  # until the next round
            self._board_mode = mode
            if self._stop_line is not None:
                self._stop_line.set(mode is Mode.STOP_LINE)
        if self._changes:
            now_ns = self._clock()
            self._tell(News(now_ns, "", change) for change in self._changes)
            self._changes.clear()

    def _poll(self) -> None:
        more = True
        while more:
            self._polled_ns = self._clock()
            answer = self._ask(Kind.POLL, framing.poll(self._next_event))
            first, events = framing.parse_events(answer.body)
            self._take_news(first, events)
            more = bool(events)

    def _take_news(self, first: int, events: list[BoardEvent]) -> None:
        if first != self._next_event:
            raise LineError(
                f"the board's news begins with number {first}, not {self._next_event}: "
                "what became of some orders is not known; flash the firmware of this release"
            )
        self._next_event += len(events)
        news = [News(self._talk.reading.at_ns, self._actuator, self._ours(e)) for e in events]
        for each in news:
            if isinstance(each.event, Missed):
                self._changes += latch_missed(
                    self._guard, self._on_missed, self._actuator, each.event
                )
        self._tell(news)

    def _ours(self, event: BoardEvent) -> Event:
        """What the tracker would have said."""
        first_um, second_um = event.first_um, event.second_um
        if event.kind is EventKind.PULSE:
            return Pulse(first_um, second_um)
        if event.order == 0:  # rail that no pass came for
            order = Order(second_um, second_um + first_um, NO_PASS)
        else:
            with self._lock:
                order = self._record.numbered(event.order)
        if event.kind is EventKind.PASS:
            return Passed(order, first_um, late=event.reason is EventReason.ARRIVED_LATE)
        if event.kind is EventKind.FIRED:
            return Fired(order, first_um, second_um)
        return Missed(order, first_um, Reason[event.reason.name])

    def _count(self) -> None:
        self._counted_ns = self._clock()
        self._statistics = framing.parse_statistics(self._ask(Kind.STATISTICS).body)
