"""What a run takes over from the one before it: no I/O, no clock, no thread.

Where a counter has told how far the rail has gone meanwhile, what the run before had looked at may
pass, and what it had ordered is fired. Where none has, the rail between camera and actuator is
nobody's: all of it is rejected, and no order need be kept for that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from firmware_bridge.core import Actuator
from firmware_bridge.ledger import Entry, Known, Piece, Place
from firmware_bridge.types import Order, Reading

SEEN_BEFORE = "seen by the run before"  # the tag of passes that the run before has given
PIECE_UM = 50_000  # passes are cut to such pieces: where one is too late, the next may be in time


@dataclass(frozen=True, slots=True)
class Carried:
    """What the next run makes of it, in its own places."""

    orders: tuple[tuple[Entry, Order], ...] = ()  # still to be fired, each by its actuator
    passes: tuple[Order, ...] = ()  # each by its actuator, in the order of the rail
    gone_by: tuple[Entry, ...] = ()  # ordered, and not known to have been rejected
    passed: tuple[Piece, ...] = ()
    went_um: int | None = None  # how far the rail went in between; None where nobody knows

    @property
    def where(self) -> str:
        """For people."""
        if self.went_um is None:
            return "places are counted anew: nobody knows how far the rail has gone"
        return f"the rail has gone on by {self.went_um / 1000:.3f} mm"


def carry(
    known: Known | None,
    orders: Sequence[Entry],
    place: Place | None,
    reading: Reading,
    actuators: Sequence[Actuator],
    *,
    coast_um: int = 0,
) -> Carried:
    """What of an earlier run's orders and passes holds for one that begins at this reading.

    Should it be killed with an output open, rail goes by for `coast_um` more: so far before the end
    of what was inspected, and the rail that nobody saw, nothing is let by any more.
    """
    if known is None or place is None or place.axis != known.place.axis:
        return Carried(gone_by=tuple(orders))
    by_um = known.place.origin_um - place.origin_um
    passed = tuple(piece.moved(by_um) for piece in known.passed)
    served = {actuator.name: actuator for actuator in actuators}
    # If the rail went back meanwhile, what had gone by an actuator already is not let by it again.
    furthest_um = max(reading.position_um, known.position_um + by_um)
    taken, gone_by = [], []
    for entry in orders:
        actuator = served.get(entry.actuator or "")
        assert entry.start_um is not None and entry.end_um is not None
        start_um, end_um = entry.start_um + by_um, entry.end_um + by_um
        if actuator is None or end_um <= reading.position_um - actuator.settings.offset_um:
            gone_by.append(entry)
        else:
            tag, rail = entry.tag or "", entry.rail or ""
            taken.append((entry, Order(start_um, end_um, tag, rail, actuator.name)))
    held = [replace(piece, end_um=piece.end_um - coast_um) for piece in passed]
    passes = [order for actuator in actuators for order in _passes(actuator, held, furthest_um)]
    went_um = reading.position_um - (known.position_um + by_um)
    return Carried(tuple(taken), tuple(passes), tuple(gone_by), passed, went_um)


def _passes(actuator: Actuator, passed: Sequence[Piece], furthest_um: int) -> Iterator[Order]:
    """What may still pass it. In short pieces, because the rail goes on while they are given."""
    settings = actuator.settings
    from_um = furthest_um - settings.offset_um + settings.margin_um
    for piece in sorted(passed, key=lambda each: each.start_um):
        if piece.rail != actuator.rail:
            continue
        start_um = max(piece.start_um, from_um)
        while start_um < piece.end_um:
            end_um = min(start_um + PIECE_UM, piece.end_um)
            yield Order(start_um, end_um, SEEN_BEFORE, piece.rail, actuator.name)
            start_um = end_um
