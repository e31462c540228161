"""Says of a running line where marks come again at one spacing: a roll has a scar."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.comparison import RollWatch, Spot
from edge.inspect import Inspection
from edge.types import Defect

log = logging.getLogger("trackside")


@dataclass
class _Watched:
    """One camera's strip."""

    rolls: RollWatch = field(default_factory=RollWatch)
    open: Mapping[int, Defect] = field(default_factory=dict)  # that may go on in the next frame


class RollLog:
    """A warning for each roll, within six marks; belongs to the main loop's thread."""

    def __init__(self) -> None:
        self._cameras: dict[str, _Watched] = {}

    def add(self, inspection: Inspection) -> None:
        camera, verdict = inspection.camera, inspection.verdict
        watched = self._cameras.setdefault(camera, _Watched())
        found = (*verdict.defects, *verdict.reported)
        here = {defect.number: defect for defect in found}
        over = {number for defect in found for number in defect.absorbed} | here.keys()
        ended = [defect for number, defect in watched.open.items() if number not in over]
        watched.open = here
        for defect in ended:
            middle_um = (defect.stretch.start_um + defect.stretch.end_um) // 2
            spot = Spot(middle_um, (defect.left_um + defect.right_um) // 2, defect.area_mm2)
            if (mark := watched.rolls.see(spot)) is not None:
                log.warning("%s: marks come %s", camera, mark)
