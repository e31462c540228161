"""The main loop: see a frame, judge its stretch, order what must leave, show life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from edge.cameras import Camera
from edge.inspect.inspector import Inspection, Inspector
from edge.inspect.verdict import reject_stretches


class Rejector(Protocol):
    """Takes stretches of rail that must leave the line."""

    def submit(self, start_um: int, end_um: int, tag: str) -> None: ...

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
) -> None:
    """Inspect until the camera ends. An exception leaves the loop and silences the heartbeat."""
    for seen in camera.frames():
        inspection = inspector.inspect(seen)
        for stretch in reject_stretches(inspection.verdict):
            rejector.submit(stretch.start_um, stretch.end_um, f"frame {seen.index}")
        record(inspection)
        rejector.check()
        heartbeat.beat()
