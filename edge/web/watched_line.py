"""What the page may see and do of a line: nothing of it waits, and any thread may ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.checks import Check
from edge.health import DeadlineNs, LineHealth
from edge.types import Stretch


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of one order."""

    stretch: Stretch
    missed: str | None  # why it was missed, if it was


@dataclass(frozen=True)
class WatchedLine:
    """A running line, as its page watches it."""

    health: Callable[[int], LineHealth]  # at a time of the clock
    place_um: Callable[[], int | None]  # of the rail at the line's origin; None: it is not known
    called: Callable[[int], str | None]  # what people call a place
    outcomes: Callable[[], tuple[OrderOutcome, ...]]  # the latest
    actuators: Sequence[tuple[str, float]]  # name, and millimetres downstream of the origin
    across_mm: Mapping[str, float | None]  # where each camera looks; None: at a surface of its own
    deadline_ns: DeadlineNs
    refusal: Callable[[], str | None]  # why the buttons do not work now
    acknowledge: Callable[[str], None]
    self_check: Callable[[], list[Check]]  # the only one that may take its time
    guarded: bool  # whether a token is asked for
    clock_ns: Callable[[], int]
    keeps_events: bool = False  # which may be reviewed
