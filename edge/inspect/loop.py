"""The main loop: see a frame, judge its stretch, order what must leave, show life, let by the rest.

What is not let by is rejected: rail that no frame showed, and rail whose frame comes too late.
Letting by comes last: it can wait, and whatever ends the loop before it leaves the rail rejected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge.cameras import Camera
from edge.errors import LineStopped
from edge.inspect.inspector import Inspection, Inspector
from edge.inspect.verdict import reject_stretches
from edge.types import State, Verdict


class Rejector(Protocol):
    """Rejects all rail but what it lets by."""

    def submit(self, start_um: int, end_um: int, tag: str) -> None:
        """Have this rail rejected, even if it is let by."""
        ...

    def let_by(self, start_um: int, end_um: int, tag: str) -> None:
        """This rail was inspected."""
        ...

    def check(self) -> None:
        """Raise if orders are no longer being fired."""
        ...


class Heartbeat(Protocol):
    """Shows that the loop makes progress; its silence means reject."""

    def beat(self) -> None: ...


def run(
    camera: Camera,
    inspector: Inspector,
    rejector: Rejector,
    heartbeat: Heartbeat,
    record: Callable[[Inspection], None],
    *,
    stop_at_unknown: bool,
) -> None:
    """Inspect until the camera ends. An exception leaves the loop and silences the heartbeat.

    LineStopped at the first frame that is UNKNOWN, where that is to stop the line.
    """
    for seen in camera.frames():
        inspection = inspector.inspect(seen)
        for stretch in reject_stretches(inspection.verdict):
            rejector.submit(stretch.start_um, stretch.end_um, f"frame {seen.index}")
        record(inspection)
        if stop_at_unknown:
            _expect_known(inspection.verdict)
        rejector.check()
        heartbeat.beat()
        if inspection.verdict.state is not State.UNKNOWN:
            stretch = inspection.verdict.stretch
            rejector.let_by(stretch.start_um, stretch.end_um, f"frame {seen.index}")


def _expect_known(verdict: Verdict) -> None:
    if verdict.state is State.UNKNOWN:
        raise LineStopped(
            f"frame {verdict.frame_index} is UNKNOWN ({'; '.join(verdict.reasons)}): "
            "clear the cause and start again, or set reject.on_unknown: reject"
        )
