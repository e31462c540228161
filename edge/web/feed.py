"""From the loop to the page: the loop leaves what it has seen, and waits for no reader."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeVar

from edge.inspect import Inspection
from edge.types import State, Verdict

MOST_PASSED = 4096  # frames that wait for a server that is held up; a minute and more
MOST_REJECTED = 8  # frames whose images are held as well

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Passed:
    """A frame that was dealt with, without its image."""

    camera: str
    verdict: Verdict
    latency_ns: int
    decided_ns: int


class Feed:
    """Written by the loop's thread, read by the server's. There is no lock, and no end to wait for:
    what nobody takes gives way to what comes after it.
    """

    def __init__(self) -> None:
        self.newest: dict[str, Inspection] = {}  # by camera
        self._last_states: dict[str, State] = {}
        self._passed: deque[Passed] = deque(maxlen=MOST_PASSED)
        self._rejected: deque[Inspection] = deque(maxlen=MOST_REJECTED)

    def publish(self, inspection: Inspection) -> None:
        """Show it to whoever looks."""
        camera, verdict = inspection.camera, inspection.verdict
        # Of frames that are UNKNOWN on end the first shows what is wrong with all of them.
        repeats = verdict.state is State.UNKNOWN is self._last_states.get(camera)
        if verdict.state is not State.OK and not repeats:
            self._rejected.append(inspection)
        self._last_states[camera] = verdict.state
        self._passed.append(Passed(camera, verdict, inspection.latency_ns, inspection.decided_ns))
        self.newest[camera] = inspection

    def take_passed(self) -> list[Passed]:
        """What has come since, in order."""
        return _taken(self._passed)

    def take_rejected(self) -> list[Inspection]:
        """The latest of those whose image is to be shown as a reject, in order."""
        return _taken(self._rejected)


def _taken(waiting: deque[_Item]) -> list[_Item]:
    """A deque's two ends are safe to be worked at by two threads, and so is each turn of this."""
    items = []
    for _ in range(len(waiting)):  # no more than there were, or a quick loop would keep it here
        items.append(waiting.popleft())
    return items
