"""The frozen things of the bridge: orders and readings in, switches and outcomes out.

A place is an integer number of micrometres along the rail, a time an integer number of nanoseconds
on one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

Clock = Callable[[], int]  # monotonic nanoseconds
SECOND_NS = 1_000_000_000
PLACE_LIMIT_UM = 10**16  # either way; what the firmware reckons with, and the ledger holds


@dataclass(frozen=True, slots=True)
class Reading:
    """How far the rail has come, and when it had come that far."""

    position_um: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Order:
    """Reject the rail from `start_um` up to and not including `end_um`, on the word of `tag`.

    As a pass it says the opposite: this rail was inspected, let it by. Where two rails run past one
    encoder, `rail` names the one that is meant; `actuator`, where it is for one of them alone.

    `tag` is text for people. The `number` is the record's, and what is told of an order is known by
    it; rail that nobody ordered has none.
    """

    start_um: int
    end_um: int
    tag: str
    rail: str = ""
    actuator: str = ""
    number: int | None = None

    def __post_init__(self) -> None:
        if self.end_um <= self.start_um:
            raise ValueError(
                f"order {self.tag!r} ends at {self.end_um} um, not after its start at "
                f"{self.start_um} um: give it a length"
            )
        if self.start_um < -PLACE_LIMIT_UM or self.end_um > PLACE_LIMIT_UM:
            raise ValueError(
                f"order {self.tag!r} from {self.start_um} to {self.end_um} um is further away than "
                "any rail is long: give micrometres"
            )

    @property
    def length_um(self) -> int:
        return self.end_um - self.start_um


@dataclass(frozen=True, slots=True)
class Switch:
    """Drive the line to `active` now; `place_um` is the rail under the actuator."""

    active: bool
    place_um: int


class Reason(str, Enum):
    """Why some of an order's rail went by without being rejected."""

    ARRIVED_LATE = "arrived late"  # its start had gone by when it came: inspection was too slow
    ACTED_LATE = "acted late"  # it came in time: margin too small for this speed and machine
    BYPASSED = "bypassed"  # somebody turned the key that lets all rail by
    WENT_DOWN = "was due while down"  # the program ended before it was known to have been rejected


class Mode(str, Enum):
    """What the outputs do, from the least to the most that overrides the orders."""

    ORDERED = "as ordered"
    REJECT_ALL = "reject all"
    STOP_LINE = "stop line"  # and rejects all until it stands
    BYPASS = "bypass"  # lets all rail by: somebody else answers for it now


@dataclass(frozen=True, slots=True)
class Fired:
    """All of the order's rail was rejected, from `actual_um`, where `due_um` was meant."""

    order: Order
    due_um: int
    actual_um: int
    begun_ns: int | None = field(default=None, compare=False)  # a board does not tell

    @property
    def error_um(self) -> int:
        """Positive where the actuator acted too far along."""
        return self.actual_um - self.due_um


@dataclass(frozen=True, slots=True)
class Missed:
    """The first `missed_um` of the order's rail went by; what was left of it was rejected."""

    order: Order
    missed_um: int
    reason: Reason
    begun_ns: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """A pass was heard. One that came late lets nothing by."""

    order: Order
    over_um: int  # how far the rail was beyond where it is too late: below 0 in time
    late: bool


@dataclass(frozen=True, slots=True)
class Pulse:
    """One finished pulse: the rail that was under the actuator while it acted."""

    from_um: int
    until_um: int


Event = Switch | Fired | Missed | Passed | Pulse


Closed = TypeVar("Closed", bound="Closing")


class Closing(Protocol):
    """Subclass it to inherit `with`."""

    def close(self) -> None:
        """Let go. Closing again does nothing."""
        ...

    def __enter__(self: Closed) -> Closed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
