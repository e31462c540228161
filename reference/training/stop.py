"""A request to stop, by Ctrl-C or by a signal, heeded when the step in hand is done."""

from __future__ import annotations

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """While entered, the first signal asks; a second one ends the process as ever."""

    def __init__(self) -> None:
        self.made = False

    def __enter__(self) -> StopRequest:
        self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.made = True
        signal.signal(number, self._before[signal.Signals(number)])
