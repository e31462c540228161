"""Which rail has been seen, which lies in frames that wait, and which nobody will see any more.

No I/O, no clock, no thread. From the start of the run on, all rail is under a frame or given up as
lost, in order; no rail that is given up is under a frame that comes later.
"""

from __future__ import annotations

from edge.types import Stretch


class Coverage:
    """The account of one run.

    `overlap_um` is the most rail that two neighbouring frames share: a frame that would share more
    shows hardly anything new. `lost_after_um` is how far the rail may go beyond the last that was
    seen.
    """

    def __init__(self, start_um: int, *, overlap_um: int, lost_after_um: int) -> None:
        self._overlap_um = overlap_um
        self._lost_after_um = lost_after_um
        self._given_um = start_um  # rail before this was given, as a frame or as lost
        self.kept_um = start_um  # rail before this was given, or lies in frames that wait
        self._shared_um = overlap_um  # how much of it the next frame may show again, at most

    def wants(self, stretch: Stretch) -> bool:
        """Whether a frame of this stretch shows enough that is new."""
        return stretch.start_um >= self.kept_um - self._shared_um

    def keep(self, stretch: Stretch) -> None:
        """A frame that is wanted now waits to be given."""
        self.kept_um = stretch.end_um
        self._shared_um = self._overlap_um

    def give(self, stretch: Stretch) -> Stretch | None:
        """A frame that waited is given now; before it, this rail is lost."""
        before_um, self._given_um = self._given_um, stretch.end_um
        return Stretch(before_um, stretch.start_um) if stretch.start_um > before_um else None

    def give_up(self, position_um: int, next_um: int, length_um: int) -> Stretch | None:
        """What is lost, by now, if no frame waits: rail that went by, and left the view since.

        It is time when the limit will have been passed once what is given at the next look reaches
        the rejector: by then the rail is expected at `next_um`. What is still in view is kept back,
        for a frame that may come.
        """
        lost = Stretch(self._given_um, position_um - length_um)
        if next_um - self._given_um <= self._lost_after_um or lost.end_um <= lost.start_um:
            return None
        self._given_um = self.kept_um = lost.end_um
        self._shared_um = 0
        return lost
