"""The orders and passes of a serial link: what is still to be sent, and what the board has.

No I/O, no clock. The nearest order is sent first, whatever came before it; passes go in the order
of the rail. What the board says of them is held against what it was told.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import islice

from firmware_bridge.board import requests
from firmware_bridge.board.answers import Answer, BoardEvent, EventKind, EventReason, Refusal
from firmware_bridge.board.requests import STRETCHES_A_REQUEST, Kind
from firmware_bridge.core import NO_PASS
from firmware_bridge.errors import LineError
from firmware_bridge.types import Event, Fired, Missed, Order, Passed, Pulse, Reason

EVENTS_OF_A_STRETCH = 3  # at most: its pulse, its outcome, and that of the rail before it
EVENTS_BESIDE = 8  # pulses that come of a session's beginning, of no order
EVENTS_OF_A_MODE = 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Of one kind, for one request; their numbers follow each other."""

    kind: Kind
    number: int
    orders: tuple[Order, ...]

    def bodies(self) -> Iterator[bytes]:
        """Of a request for all of them, and then of shorter ones, which noise spares more often."""
        count = len(self.orders)
        while count:
            stretches = [(order.start_um, order.end_um) for order in self.orders[:count]]
            yield requests.stretches(self.number, stretches)
            count //= 2


class Outgoing:
    """What is still to be sent."""

    def __init__(self) -> None:
        self._orders: list[tuple[int, int, Order]] = []  # heap: start_um, ties, the order
        self._passes: deque[Order] = deque()
        self._ties = 0
        self._full_from_um: int | None = None  # the board has no room for orders from here on
        self._passes_full = False
        self._most = STRETCHES_A_REQUEST

    def __len__(self) -> int:
        return len(self._orders) + len(self._passes)

    def add(self, order: Order) -> None:
        self._ties += 1
        heappush(self._orders, (order.start_um, self._ties, order))

    def add_pass(self, order: Order) -> None:
        self._passes.append(order)

    def next_orders(self, number: int) -> Batch | None:
        """The nearest of them that the board may have room for, out of the heap."""
        if not self.orders_can_go:
            return None
        count = min(self._most, len(self._orders))
        orders = tuple(heappop(self._orders)[2] for _ in range(count))
        return Batch(Kind.ORDER, number, orders)

    def next_passes(self, number: int) -> Batch | None:
        if not self.passes_can_go:
            return None
        return Batch(Kind.PASS, number, tuple(islice(self._passes, self._most)))

    @property
    def orders_can_go(self) -> bool:
        if not self._orders:
            return False
        return self._full_from_um is None or self._orders[0][0] < self._full_from_um

    @property
    def passes_can_go(self) -> bool:
        return bool(self._passes) and not self._passes_full

    def sent(self, batch: Batch, took: int, *, is_full: bool, was_resent: bool) -> None:
        """The board took the first of them; the others wait."""
        self._most = (
            max(1, self._most // 2) if was_resent else min(self._most + 1, STRETCHES_A_REQUEST)
        )
        if batch.kind is Kind.PASS:
            for _ in range(took):
                self._passes.popleft()
            self._passes_full = is_full
            return
        for order in batch.orders[took:]:
            self.add(order)
        self._full_from_um = batch.orders[took].start_um if is_full else None

    def may_have_room(self) -> None:
        """There was news, after which the board may have room again."""
        self._full_from_um = None
        self._passes_full = False


class Waits:
    """Since when each order waits that is not on board; any thread may ask."""

    def __init__(self, now_ns: int) -> None:
        self._lock = threading.Lock()
        self._since_ns: dict[Order, int] = {}  # the oldest first
        self._full_ns = now_ns  # when the board last had no room for the nearest of them

    def begin(self, order: Order, now_ns: int) -> None:
        with self._lock:
            self._since_ns[order] = now_ns

    def end(self, orders: Iterable[Order]) -> None:
        """They are on board."""
        with self._lock:
            for order in orders:
                self._since_ns.pop(order, None)

    def board_is_full(self, now_ns: int) -> None:
        """Orders wait for room by now, and not for the link."""
        self._full_ns = now_ns

    def longest_ns(self, now_ns: int) -> int:
        """How long the oldest has waited for the link, though the board has room for it."""
        with self._lock:
            oldest_ns = next(iter(self._since_ns.values()), now_ns)
        return now_ns - max(oldest_ns, self._full_ns)


class OnBoard:
    """What the board took, by its numbers there, and what it may say of it."""

    def __init__(self, margin_um: int) -> None:
        self.number = 0  # of the last order or pass that the board took
        self._margin_um = margin_um
        self._taken: dict[int, tuple[Kind, Order]] = {}
        self._crc = 0
        self._events_left = EVENTS_BESIDE
        self._let_by_until = -1  # orders up to this number may have been let by

    def take(self, batch: Batch, answer: Answer) -> int:
        """Enter what the board took of a batch, and how many; LineError if that makes no sense."""
        took, count = answer.order - self.number, len(batch.orders)
        is_full = answer.refusal is Refusal.FULL
        if not (0 if is_full else 1) <= took <= count - is_full:
            raise LineError(
                f"the board took {took} of {count} and is{'' if is_full else ' not'} full: "
                "flash the firmware of this release"
            )
        for order in batch.orders[:took]:
            self.number += 1
            self._taken[self.number] = batch.kind, order
            self._crc = requests.taken(
                self._crc, batch.kind, self.number, order.start_um, order.end_um
            )
        self._events_left += EVENTS_OF_A_STRETCH * took
        self.expect(answer)
        return took

    def expect(self, answer: Answer) -> None:
        """LineError unless the board has exactly what it was sent."""
        if (answer.order, answer.orders) != (self.number, self._crc):
            raise LineError(
                f"the board has {answer.order} orders of CRC {answer.orders:08x}, and was sent "
                f"{self.number} of {self._crc:08x}: something altered them on their way, or "
                "somebody else gave it orders; check adapter and cable, and flash it anew"
            )

    def change_mode(self, *, was_bypass: bool) -> None:
        """A mode may make pulses; under a bypass all that is on board may be let by."""
        self._events_left += EVENTS_OF_A_MODE
        if was_bypass:
            self._let_by_until = self.number

    def understand(self, said: BoardEvent, *, in_bypass: bool) -> Event | Order:
        """What the tracker would have said; an order that the board hands back is to be sent again.

        LineError where it is not what the board can say of what it was told.
        """
        self._events_left -= 1
        if self._events_left < 0:
            raise self._nonsense(said, "more news than can come of what it was sent")
        if said.kind is EventKind.PULSE:
            if said.first_um > said.second_um:
                raise self._nonsense(said, "a pulse that ends before it begins")
            return Pulse(said.first_um, said.second_um)
        if (
            said.reason is EventReason.BYPASSED
            and not in_bypass
            and said.order > self._let_by_until
        ):
            raise LineError(
                f"the board let rail by (order {said.order}) though nobody told it to: somebody "
                "else asks it, or the line carries old questions; let one program alone use it"
            )
        if said.order == 0:  # rail that no pass came for
            if said.kind is not EventKind.MISSED or said.second_um >= said.end_um:
                raise self._nonsense(said, "rail that no pass came for")
            return _missed(Order(said.second_um, said.end_um, NO_PASS), said)
        return self._outcome(said)

    def _outcome(self, said: BoardEvent) -> Event | Order:
        kind, order = self._taken.pop(said.order, (None, None))
        if order is None:
            raise self._nonsense(said, "an order that it does not have")
        start_um = said.second_um
        if said.kind is EventKind.FIRED:
            start_um = said.first_um + self._margin_um
        of_pass = said.kind is EventKind.PASS
        if (start_um, said.end_um, of_pass) != (order.start_um, order.end_um, kind is Kind.PASS):
            raise self._nonsense(said, f"an order from {order.start_um} to {order.end_um} um")
        if said.kind is EventKind.RETURNED:
            return order
        if of_pass:
            return Passed(order, said.first_um, late=said.reason is EventReason.ARRIVED_LATE)
        if said.kind is EventKind.FIRED:
            return Fired(order, said.first_um, said.second_um)
        return _missed(order, said)

    def _nonsense(self, said: BoardEvent, of_what: str) -> LineError:
        return LineError(
            f"the board says {said} of {of_what}: its memory is damaged, or its firmware is not of "
            "this release; flash it anew"
        )


def _missed(order: Order, said: BoardEvent) -> Missed:
    return Missed(order, said.first_um, Reason[said.reason.name])
