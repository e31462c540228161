"""How a line is doing: stage times, missed deadlines, lost frames, drift. No clock, I/O or lock.

The main loop's thread alone calls `see`; any thread may ask how it is `at` any time, and never
holds the loop up by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge.box import Box, BoxState
from edge.cameras import CameraCounts
from edge.fleet import FleetStatus
from edge.health.camera_health import CameraAccount
from edge.health.line_health import Facts, Keeping, LineHealth, Messages, Outputs, Rejects
from edge.inspect import Baseline, Inspection
from edge.line_file import LineSettings, Lookout
from edge.swap import SwapStatus
from edge.types import Stretch

DeadlineNs = Callable[[str, Stretch], int]  # of a camera's frame

_BOX = Box()
_ASK_NS = 1_000_000_000  # between two questions to the rejector


class Health:
    """Counts every inspection, each camera's by itself; what others count, they are asked for."""

    def __init__(
        self,
        deadline_ns: DeadlineNs,
        rejects: Callable[[], Rejects],
        baselines: Mapping[str, Baseline | None],  # by camera
        *,
        facts: Callable[[], Facts] = Facts,
        outputs: Callable[[], Outputs] = lambda: Outputs("as ordered"),
        keeping: Callable[[], Keeping] = Keeping,
        swap: Callable[[], SwapStatus | None] = lambda: None,
        fleet: Callable[[], FleetStatus | None] = lambda: None,
        sources: Callable[[], Mapping[str, CameraCounts]] = dict,
        box: Callable[[], BoxState] = _BOX.state,
        messages: Callable[[], Messages | None] = lambda: None,
    ) -> None:
        self._deadline_ns = deadline_ns
        self._ask_rejects = rejects
        self._rejects = rejects()
        self._asked_ns: int | None = None
        self._cameras = {name: CameraAccount(each) for name, each in baselines.items()}
        self._facts, self._outputs, self._keeping = facts, outputs, keeping
        self._swap, self._fleet = swap, fleet
        self._sources, self._box, self._messages = sources, box, messages

    def see(self, inspection: Inspection, now_ns: int) -> None:
        """Count it, at the time when its orders have been given."""
        camera = inspection.camera
        deadline_ns = self._deadline_ns(camera, inspection.seen.stretch)
        self._cameras[camera].see(inspection, deadline_ns, now_ns)
        if self._asked_ns is None or now_ns - self._asked_ns >= _ASK_NS:
            # Only the loop asks: it shares a lock with the rejector anyhow, and whoever reads the
            # health must not hold the rejector up.
            self._rejects, self._asked_ns = self._ask_rejects(), now_ns

    def at(self, now_ns: int) -> LineHealth:
        """All of it at this moment."""
        sources = self._sources()
        return LineHealth(
            facts=self._facts(),
            cameras={
                name: each.at(now_ns, sources.get(name)) for name, each in self._cameras.items()
            },
            rejects=self._rejects,
            outputs=self._outputs(),
            keeping=self._keeping(),
            swap=self._swap(),
            fleet=self._fleet(),
            box=self._box(),
            messages=self._messages(),
        )


def deadline_of(config: LineSettings) -> DeadlineNs:
    """The greatest latency with which a frame's first row is still rejected, at full speed."""
    lookouts = {each.name: each for each in config.lookouts}

    def deadline_ns(camera: str, stretch: Stretch) -> int:
        return _deadline_ns(lookouts[camera], stretch)

    return deadline_ns


def _deadline_ns(lookout: Lookout, stretch: Stretch) -> int:
    rooms_mm = (lookout.room_mm(each, stretch.length_mm) for each in lookout.reached)
    return round(min(rooms_mm) / lookout.speed_mm_s * 1e9)
