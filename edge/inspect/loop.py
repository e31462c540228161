"""The main loop: of each frame that was judged order what must leave, show life, let by the rest.

What is not let by is rejected: rail that no frame showed, and rail whose frame comes too late.
Letting by comes last: it can wait, and whatever ends the loop before it leaves the rail rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from edge.errors import LineStopped
from edge.inspect.inspector import Inspection
from edge.types import State, Verdict


class Rejector(Protocol):
    """Rejects all rail but what every camera that watches it lets by."""

    def submit(self, cameras: Sequence[str], start_um: int, end_um: int, tag: str) -> None:
        """Have this rail rejected, even if it is let by, by whatever these cameras order."""
        ...

    def let_by(self, camera: str, start_um: int, end_um: int, tag: str) -> None:
        """This rail was inspected by one camera."""
        ...

    def check(self) -> None:
        """Raise if orders are no longer being fired."""
        ...


class Heartbeat(Protocol):
    """Shows that the loop makes progress with every camera; its silence means reject."""

    def beat(self, camera: str) -> None: ...


def run(
    judged: Iterable[Inspection],
    rejector: Rejector,
    heartbeat: Heartbeat,
    record: Callable[[Inspection], None],
    *,
    stop_at_unknown: bool,
) -> None:
    """Until the cameras end. An exception leaves the loop and silences the heartbeat.

    LineStopped at the first frame that is UNKNOWN, where that is to stop the line.
    """
    for inspection in judged:
        camera, verdict = inspection.camera, inspection.verdict
        tag = f"{camera} frame {verdict.frame_index}"
        for stretch, cameras in inspection.orders().items():
            rejector.submit(cameras, stretch.start_um, stretch.end_um, tag)
        record(inspection)
        if stop_at_unknown:
            _expect_known(verdict, tag)
        rejector.check()
        heartbeat.beat(camera)
        if verdict.state is not State.UNKNOWN:
            rejector.let_by(camera, verdict.stretch.start_um, verdict.stretch.end_um, tag)


def _expect_known(verdict: Verdict, tag: str) -> None:
    if verdict.state is State.UNKNOWN:
        raise LineStopped(
            f"{tag} is UNKNOWN ({'; '.join(verdict.reasons)}): "
            "clear the cause and start again, or set reject.on_unknown: reject"
        )
