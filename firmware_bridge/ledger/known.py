"""The rail that a run of a line has let by, and where it lies when the run is over.

A run counts its places from where it began. Only a counter that counts on by itself while nobody
reads it, a PLC's or a co-processor's, can tell the next run where that was. No I/O, no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

_MOST_PIECES = 64  # the latest are kept; rail between two pieces did not pass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run's place 0 lies on an axis that goes on when the run ends.

    The axis is that of one counting that nothing has broken; another counting has another name.
    """

    axis: str
    origin_um: int


@dataclass(frozen=True, slots=True)
class Piece:
    """Rail of one name, from `start_um` up to and not including `end_um`."""

    rail: str
    start_um: int
    end_um: int

    def moved(self, by_um: int) -> Piece:
        return replace(self, start_um=self.start_um + by_um, end_um=self.end_um + by_um)


@dataclass(frozen=True, slots=True)
class Known:
    """What a run knew when it was last heard of, in its own places."""

    run: int
    place: Place
    position_um: int  # where the encoder was then
    boot: str  # the id of the machine's boot; its clock begins anew with each
    at_ns: int  # on the clock that counts from the boot
    passed: tuple[Piece, ...]


class PassedRail:
    """The rail that was let by, in pieces that do not touch."""

    def __init__(self, pieces: Sequence[Piece] = ()) -> None:
        self._pieces = deque(pieces, maxlen=_MOST_PIECES)

    def add(self, piece: Piece) -> None:
        """Pieces come in the order of their rail."""
        for i, before in enumerate(self._pieces):
            if before.rail == piece.rail and before.start_um <= piece.start_um <= before.end_um:
                end_um = max(before.end_um, piece.end_um)
                self._pieces[i] = replace(before, end_um=end_um)
                return
        self._pieces.append(piece)

    def pieces(self) -> tuple[Piece, ...]:
        return tuple(self._pieces)
