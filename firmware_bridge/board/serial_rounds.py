"""What the thread of a serial link does, round after round: commands go out, news comes in.

    while not stopping:
        rounds.turn()      what was handed in, then what overrides the orders, then the news
    rounds.finish()        the last news there is

Time and bytes are the session's, and what becomes of the news is the desk's: nothing here waits for
anything but the board and the next command.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress

from firmware_bridge.board import requests
from firmware_bridge.board.answers import BoardEvent, Refusal, parse_events
from firmware_bridge.board.requests import Kind
from firmware_bridge.board.serial_orders import Batch, OnBoard, Outgoing, Waits
from firmware_bridge.board.serial_session import Session
from firmware_bridge.core import Change, Command, Guard, News, Pass, latch_missed, override
from firmware_bridge.errors import LineError
from firmware_bridge.lines import OutputLine
from firmware_bridge.types import SECOND_NS, Clock, Missed, Mode, Order

POLL_NS = 10_000_000  # between two questions for news, which also keep the board from rejecting

log = logging.getLogger(__name__)


class Rounds:
    """Belongs to one thread; `hand_in` and `unsent` alone are for any.

    What overrides the orders is decided here and done by the board; `stop_line`, where there is
    one, is active while the line has to stop. `tell` is given all news.
    """

    def __init__(
        self,
        session: Session,
        clock: Clock,
        *,
        actuator: str,
        margin_um: int,
        on_missed: Mode,
        stop_line: OutputLine | None,
        waits: Waits,
        tell: Callable[[Sequence[News]], None],
    ) -> None:
        self._session = session
        self._clock = clock
        self._actuator = actuator
        self._on_missed = on_missed
        self._stop_line = stop_line
        self._waits = waits
        self._tell = tell
        self._inbox: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._outgoing = Outgoing()
        self._on_board = OnBoard(margin_um)
        self._guard = Guard()
        self._changes: list[Change] = []  # of what overrides, not yet told
        self._next_event = 0
        self._more_news = False
        self._polled_ns = 0

    @property
    def unsent(self) -> int:
        """How many orders and passes are not on board."""
        return len(self._outgoing)

    def hand_in(self, command: Command) -> None:
        """Have the next round take it; never waits."""
        self._inbox.put(command)

    def turn(self) -> None:
        """One request of each sort that has something to say, so that none waits for another.

        LineError or RejectorStopped where the session is over, or is not as it should be.
        """
        self._take_inbox(self._wait_ns())
        self._override()
        self._hand_on(self._outgoing.next_orders(self._on_board.number + 1))
        self._hand_on(self._outgoing.next_passes(self._on_board.number + 1))
        if self._more_news or self._clock() >= self._polled_ns + POLL_NS:
            self._poll()

    def finish(self, patience_ns: int) -> None:
        """Hear what there is to hear, as long as it takes no longer than this."""
        give_up_ns = self._clock() + patience_ns
        self._poll()
        while self._more_news and self._clock() < give_up_ns:
            self._poll()
        if self._more_news:
            log.warning("the link was too slow to hear what became of the last orders")

    def _wait_ns(self) -> int:
        """How long there is nothing to do unless a command comes."""
        if self._more_news or self._outgoing.orders_can_go or self._outgoing.passes_can_go:
            return 0
        return max(0, self._polled_ns + POLL_NS - self._clock())

    def _take_inbox(self, wait_ns: int) -> None:
        with suppress(queue.Empty):
            self._take(self._inbox.get(timeout=wait_ns / SECOND_NS))
            while True:
                self._take(self._inbox.get_nowait())

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
        resent = self._session.resent
        answer = self._session.ask(batch.kind, *batch.bodies())
        took = self._on_board.take(batch, answer)
        is_full = answer.refusal is Refusal.FULL
        self._outgoing.sent(batch, took, is_full=is_full, was_resent=self._session.resent > resent)
        if is_full and batch.kind is Kind.ORDER:
            self._waits.board_is_full(self._clock())
        self._waits.end(batch.orders[:took])

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
            if isinstance(event, Order):  # handed back, for a nearer one: it waits again
                self._outgoing.add(event)
                self._waits.begin(event, self._clock())
                continue
            news.append(News(self._session.reading.at_ns, self._actuator, event))
            if isinstance(event, Missed):
                self._changes += latch_missed(self._guard, self._on_missed, self._actuator, event)
        self._tell(news)
