"""When pictures were taken, told by a clock of the camera's own. No I/O, no clock of its own."""

from __future__ import annotations

_WINDOW_NS = 15_000_000_000  # two clocks drift apart by less than a millisecond in it
_LEAP_NS = 1_000_000_000


class StreamClock:
    """Turns a camera's times into ours by the pictures that came with the least delay.

    A picture that the network between held back has the same time in the stream as if it had come
    at once. The least delay of the last windows is taken for none.
    """

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None  # the times of one picture: told, arrived
        self._keeps_pace = False
        self._since_ns = 0
        # the least delay, arrived less told, of this window and of the one before
        self._least_ns: list[int] = []

    def taken_ns(self, told_ns: int, arrived_ns: int) -> int | None:
        """When it was taken; None as long as a stream that begins has to catch up with its camera.

        Pictures come in their order.
        """
        if self._last is None or not self._follows(told_ns, arrived_ns):
            self._last, self._keeps_pace, self._least_ns = (told_ns, arrived_ns), False, []
            return None
        told_before_ns, arrived_before_ns = self._last
        self._last = told_ns, arrived_ns
        took_ns = arrived_ns - arrived_before_ns
        self._keeps_pace = self._keeps_pace or 2 * took_ns > told_ns - told_before_ns
        if not self._keeps_pace:
            return None
        self._learn(arrived_ns - told_ns, arrived_ns)
        return told_ns + min(self._least_ns)

    def _follows(self, told_ns: int, arrived_ns: int) -> bool:
        """Whether the camera's clock went on, and was not set."""
        assert self._last is not None
        told_before_ns, arrived_before_ns = self._last
        ahead_ns = (told_ns - told_before_ns) - (arrived_ns - arrived_before_ns)
        return told_ns > told_before_ns and ahead_ns < _LEAP_NS

    def _learn(self, delay_ns: int, arrived_ns: int) -> None:
        windows = (arrived_ns - self._since_ns) // _WINDOW_NS
        if not self._least_ns or windows > 0:
            # Of a camera that was silent for long the clock has gone its own way meanwhile.
            self._least_ns = [delay_ns, *self._least_ns[: 1 if windows == 1 else 0]]
            self._since_ns = arrived_ns
        else:
            self._least_ns[0] = min(self._least_ns[0], delay_ns)
