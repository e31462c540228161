"""What the tracker keeps in mind: an actuator's traits, its drive, its orders, the rail beyond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from firmware_bridge.types import Order, Pulse, Reason


@dataclass(frozen=True, slots=True)
class ActuatorTraits:
    """Where one actuator sits and how it moves."""

    offset_um: int  # downstream of the place where the encoder's position is the rail's
    delay_ns: int = 0  # from driving the line to the coil acting
    margin_um: int = 0  # rejected beyond both ends: what timing and speed may be wrong by
    dwell_ns: int = 0  # the coil acts at least this long
    min_gap_um: int = 0  # the coil is not let go for less

    def __post_init__(self) -> None:
        for name in ("delay_ns", "margin_um", "dwell_ns", "min_gap_um"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give 0 or more")


@dataclass(slots=True)
class Drive:
    """The actuator being driven."""

    until_um: int  # where the last of its orders ends
    acts_ns: int | None = None  # known from the first reading after the switch
    pulse: Pulse | None = None  # the rail rejected so far, once the coil acts


@dataclass(slots=True)
class Beyond:
    """The rail beyond the last pass, which nothing has been said of yet."""

    start_um: int
    begun: bool
    bypassed: bool = False  # the actuator was let go while it was under it


class Waiting(NamedTuple):
    """An order still to come, sorted by the place where it begins."""

    due_um: int
    number: int  # breaks ties, so that orders are never compared
    order: Order
    late: bool  # its start had gone by when it came
    by_default: bool  # no order of anybody's: no pass came for this rail


class Begun(NamedTuple):
    """An order under the actuator, sorted by the place where it ends."""

    end_um: int
    number: int
    order: Order
    reason: Reason  # if some of it should turn out to be missed
    by_default: bool
    opens: bool  # the actuator was driven for it; other orders found it driven
    begun_ns: int
