"""Orders go to a co-processor that owns the encoder and the reject output (firmware/PROTOCOL.md).

    with SerialLink(port, actuator, clock, settings, nm_per_count=25_000, ...) as link:
        link.submit(start_um, end_um, tag)

It stands where a Rejector does, and its board is an encoder for the camera as well.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from firmware_bridge.board import requests
from firmware_bridge.board.answers import (
    Board,
    BoardEvent,
    BoardPlace,
    BoardStatistics,
    Refusal,
    parse_events,
    parse_statistics,
)
from firmware_bridge.board.requests import Kind
from firmware_bridge.board.serial_orders import Batch, OnBoard, Outgoing
from firmware_bridge.board.serial_session import Session
from firmware_bridge.board.serial_talk import WRITE_NS, Talk
from firmware_bridge.core import (
    Actuator,
    ActuatorTraits,
    Change,
    Command,
    Guard,
    News,
    Pass,
    latch_missed,
    override,
)
from firmware_bridge.desk import DeskSettings, MeasuringDesk
from firmware_bridge.errors import LineError, RejectorStopped
from firmware_bridge.ledger import Ledger, Place
from firmware_bridge.lines import OutputLine
from firmware_bridge.types import SECOND_NS, Clock, Missed, Mode, Order, Reading

BAUD = 921_600  # of the RP2040
POLL_NS = 10_000_000  # between two questions for news, which also keep the board from rejecting

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How well the link does."""

    board: BoardStatistics
    resent: int  # requests whose answer did not come in time
    damaged: int  # packets from the board
    unasked: int  # answers to nobody's question
    unsent: int  # orders and passes that are not on board
    clock_error_ns: int  # at most, of the times of readings


class SerialLink(MeasuringDesk):
    """Has the board at the other end of `port` reject what is submitted.

    Opening it shakes hands and starts a session, in which positions count from 0; LineError where
    that fails. All rail is rejected but that of the passes which came in time, and passes are
    submitted in the order of the rail; `default_reject=False` is for trials.

    Fails safe: the board rejects all by itself at the latest `silence_ns` after the last answer
    that was heard here, when it is reset, when its encoder fails, and when it finds a fault in
    itself. Each of these ends the session for good, and `submit`, `check` and `close` raise
    RejectorStopped with the cause; so they do when an order waits for the link for longer than
    `silence_ns` though the board has room for it, and when the board's mode, settings, orders or
    places are not those that it was given. After an orderly `close` the board rejects too, unless
    `release_on_close`.

    `fastest_um_s` is beyond what the rail can do. Where `serial_number` or `firmware` is given, no
    other board and no other program in it will do.

    What overrides the orders is decided here and done by the board; `stop_line`, where there is
    one, is an output of this machine, and active while the line has to stop.

    The port belongs to a thread of its own. `read` and `statistics` may be called from any thread,
    and never wait for I/O.
    """

    _name = "serial link"

    def __init__(
        self,
        port: str,
        actuator: ActuatorTraits,
        clock: Clock,
        settings: DeskSettings,
        *,
        nm_per_count: int,
        fastest_um_s: int,
        serial_number: str | None = None,
        firmware: str | None = None,
        name: str = "reject",
        rail: str = "",
        stop_line: OutputLine | None = None,
        release_on_close: bool = False,
        baud: int = BAUD,
        ledger: Ledger | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        served = [Actuator(name, actuator, rail)]
        super().__init__(served, clock, settings, ledger=ledger, watch=watch)
        self._actuator = name
        self._stop_line = stop_line
        self._release_on_close = release_on_close
        self._outbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._unsent_ns: dict[Order, int] = {}  # orders not on board, the oldest first; by the lock
        self._full_ns = clock()  # when the board last had no room for the nearest of them
        self._outgoing = Outgoing()
        self._on_board = OnBoard(actuator.margin_um)
        self._guard = Guard()
        self._changes: list[Change] = []  # not yet told to the desk
        self._next_event = 0
        self._more_news = False
        self._polled_ns = 0
        self._talk = Talk(port, baud, clock)
        try:
            self._session = Session(
                self._talk,
                actuator,
                nm_per_count=nm_per_count,
                fastest_um_s=fastest_um_s,
                silence_ns=settings.silence_ns,
                default_reject=settings.default_reject,
                serial_number=serial_number,
                firmware=firmware,
            )
            self._count()
        except BaseException:
            self._talk.close()
            raise
        self.board = board = self._session.board
        self.place = _lasting(board, self._session.place)  # None where its counting was broken
        log.info(
            "%s: session %08x on %s, serial number %s, firmware %s, last reset %s",
            port,
            self._session.number,
            board.name,
            board.serial_number,
            board.firmware,
            board.reset_cause.name.lower(),
        )
        self._thread = threading.Thread(target=self._run, name="serial link", daemon=True)
        self._take_up(self.place, self._session.reading)
        self._thread.start()

    def statistics(self) -> LinkStatistics:
        """The board's part is of the opening, and of the whole session once it is closed."""
        with self._lock:
            return LinkStatistics(
                self._statistics,
                resent=self._talk.resent,
                damaged=self._talk.damaged,
                unasked=self._talk.unasked,
                unsent=len(self._outgoing),
                clock_error_ns=self._talk.clock_error_ns,
            )

    def _newest(self) -> Reading:
        return self._session.reading

    def _send(self, command: Command) -> None:
        if isinstance(command, Order):  # handed in under the lock
            self._unsent_ns[command] = self._clock()
        self._outbox.put(command)

    def _check_alive(self) -> None:
        now_ns = self._clock()
        silent_ns = now_ns - self._talk.heard_ns
        if silent_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"no answer from the board for {silent_ns // 1_000_000} ms, and it rejects all "
                "by now: check its cable and supply, and the load on this machine"
            )
        with self._lock:
            oldest_ns = next(iter(self._unsent_ns.values()), now_ns)
        waited_ns = now_ns - max(oldest_ns, self._full_ns)
        if waited_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"an order has waited for {waited_ns // 1_000_000} ms to be sent to the board: the "
                "link is too slow or too much disturbed; check its cable, shield and baud rate, "
                "and the load on this machine"
            )

    def _stop(self) -> None:
        asks = 4  # for news, twice, for statistics, and to close
        self._thread.join(timeout=(asks * self._settings.silence_ns + 2 * WRITE_NS) / SECOND_NS)
        if self._thread.is_alive():
            raise RejectorStopped("the serial port blocks: unplug the board, which then rejects")

    # --- the thread ---

    def _run(self) -> None:
        try:
            if self._stop_line is not None:
                self._stop_line.set(False)
            while not self._stopping.is_set():
                self._round()
            self._end()
        except BaseException as failure:
            log.exception("the serial link failed; the board goes to reject by itself")
            self._fail(failure)
            if self._stop_line is not None:
                self._stop_line.set(True)
        finally:
            self._talk.close()

    def _round(self) -> None:
        """One request of each sort that has something to say, so that none waits for another."""
        self._take_outbox(self._wait_ns())
        self._override()
        self._hand_on(self._outgoing.next_orders(self._on_board.number + 1))
        self._hand_on(self._outgoing.next_passes(self._on_board.number + 1))
        if self._more_news or self._clock() >= self._polled_ns + POLL_NS:
            self._poll()

    def _wait_ns(self) -> int:
        """How long there is nothing to do unless a command comes."""
        if self._more_news or self._outgoing.orders_can_go or self._outgoing.passes_can_go:
            return 0
        return max(0, self._polled_ns + POLL_NS - self._clock())

    def _end(self) -> None:
        """Hear what there is to hear, as long as it takes no longer than silence may."""
        give_up_ns = self._clock() + self._settings.silence_ns
        self._poll()
        while self._more_news and self._clock() < give_up_ns:
            self._poll()
        if self._more_news:
            log.warning("the link was too slow to hear what became of the last orders")
        self._count()
        log.info("session %08x is over: %s", self._session.number, self.statistics())
        self._session.ask(Kind.CLOSE, requests.closing(release=self._release_on_close))

    def _take_outbox(self, wait_ns: int) -> None:
        with suppress(queue.Empty):
            self._take(self._outbox.get(timeout=wait_ns / SECOND_NS))
            while True:
                self._take(self._outbox.get_nowait())

    def _take(self, command: Command) -> None:
        match command:
            case Order():
                self._outgoing.add(command)
            case Pass(order):
                self._outgoing.add_pass(order)
            case _:
                self._changes += override(self._guard, command)

    def _hand_on(self, batch: Batch | None) -> None:
        """Give the board a batch. It takes each once, though it hears it twice."""
        if batch is None:
            return
        resent = self._talk.resent
        answer = self._session.ask(batch.kind, *batch.bodies())
        took = self._on_board.take(batch, answer)
        is_full = answer.refusal is Refusal.FULL
        self._outgoing.sent(batch, took, is_full=is_full, was_resent=self._talk.resent > resent)
        if is_full and batch.kind is Kind.ORDER:
            self._full_ns = self._clock()
        with self._lock:
            for order in batch.orders[:took]:
                self._unsent_ns.pop(order, None)

    def _override(self) -> None:
        """Have the board do what overrides the orders; it is news once the board does."""
        mode, was = self._guard.mode, self._session.mode
        if mode is not was:
            if not self._session.set_mode(mode):
                return  # until the next round
            self._on_board.change_mode(was_bypass=was is Mode.BYPASS)
            if self._stop_line is not None:
                self._stop_line.set(mode is Mode.STOP_LINE)
        if self._changes:
            now_ns = self._clock()
            self._tell([News(now_ns, "", change) for change in self._changes])
            self._changes.clear()

    def _poll(self) -> None:
        self._polled_ns = self._clock()
        answer = self._session.ask(Kind.POLL, requests.poll(self._next_event))
        self._on_board.expect(answer)
        first, events = parse_events(answer.body)
        if first != self._next_event:
            raise LineError(
                f"the board's news begins with number {first}, not {self._next_event}: "
                "what became of some orders is not known; flash the firmware of this release"
            )
        self._next_event += len(events)
        self._more_news = bool(events)
        self._outgoing.may_have_room()
        self._take_news(events)

    def _take_news(self, events: list[BoardEvent]) -> None:
        in_bypass = self._session.mode is Mode.BYPASS
        news = []
        for said in events:
            event = self._on_board.understand(said, in_bypass=in_bypass)
            if isinstance(event, Order):
                self._take_back(event)
                continue
            news.append(News(self._session.reading.at_ns, self._actuator, event))
            if isinstance(event, Missed):
                on_missed = self._settings.on_missed
                self._changes += latch_missed(self._guard, on_missed, self._actuator, event)
        self._tell(news)

    def _take_back(self, order: Order) -> None:
        """The board needed its place for a nearer one: it waits again."""
        self._outgoing.add(order)
        with self._lock:
            self._unsent_ns[order] = self._clock()

    def _count(self) -> None:
        self._statistics = parse_statistics(self._session.ask(Kind.STATISTICS).body)


def _lasting(board: Board, place: BoardPlace) -> Place | None:
    """For the run that comes next, if it finds this board, which has counted on."""
    if not place.axis:
        return None
    return Place(f"board {board.serial_number}-{place.axis:08x}", place.origin_um)
