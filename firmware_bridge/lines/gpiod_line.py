"""Outputs, inputs and an encoder on a Linux GPIO chip; the only place that knows libgpiod."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from errno import EBUSY, ENOENT

import gpiod
from gpiod.edge_event import EdgeEvent
from gpiod.line import Bias, Direction, Value
from gpiod.line import Drive as GpiodDrive
from gpiod.line import Edge as Detection

from firmware_bridge.core import Edge, EdgeCounter
from firmware_bridge.errors import EncoderError, LineError
from firmware_bridge.lines.line import Drive, InputLine, OutputLine, Pull
from firmware_bridge.types import Clock, Closing, Reading

CONSUMER = "trackside"  # what `gpioinfo` shows beside the line
EVENTS_KEPT = 1024  # by the kernel, which takes no more; at 10,000 edges a second for 100 ms

_DRIVES = {
    "push_pull": GpiodDrive.PUSH_PULL,
    "open_drain": GpiodDrive.OPEN_DRAIN,
    "open_source": GpiodDrive.OPEN_SOURCE,
}
_PULLS = {
    "as_is": Bias.AS_IS,
    "none": Bias.DISABLED,
    "up": Bias.PULL_UP,
    "down": Bias.PULL_DOWN,
}
_CLOSED = "is closed: claim it anew"
_GONE = "see that its chip is still there, with `gpiodetect`"
_VALUES = {False: Value.INACTIVE, True: Value.ACTIVE}


class GpiodOutput(OutputLine):
    """A line of `chip` ("/dev/gpiochip0") by its number or its name ("GPIO17"), held exclusively.

    Once it is closed the kernel promises nothing of its level: the pull in hardware decides.
    """

    def __init__(
        self,
        chip: str,
        line: int | str,
        *,
        safe_active: bool | None,
        active_low: bool = False,
        drive: Drive = "push_pull",
        pull: Pull = "as_is",
    ) -> None:
        self._safe_active = safe_active
        if safe_active is None:
            as_it_is = gpiod.LineSettings(direction=Direction.AS_IS, active_low=active_low)
            with _request(chip, [line], as_it_is) as held:
                self._active = bool(held.get_value(line))
        else:
            self._active = safe_active
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT,
            drive=_DRIVES[drive],
            bias=_PULLS[pull],
            active_low=active_low,
            output_value=_VALUES[self._active],
        )
        self._name = f"{chip} line {line}"
        self._line = line
        self._request = _request(chip, [line], settings)

    @property
    def active(self) -> bool:
        return self._active

    def set(self, active: bool) -> None:
        if not self._request:
            raise LineError(f"{self._name}: {_CLOSED}")
        try:
            self._request.set_value(self._line, _VALUES[active])
        except OSError as error:
            raise LineError(f"{self._name}: {error}: {_GONE}") from error
        self._active = active

    def close(self) -> None:
        if self._request:
            try:
                if self._safe_active is not None:
                    self.set(self._safe_active)
            finally:
                self._request.release()


class GpiodInput(InputLine):
    """A line of `chip`, by its number or its name, held exclusively."""

    def __init__(
        self, chip: str, line: int | str, *, active_low: bool = False, pull: Pull = "as_is"
    ) -> None:
        settings = gpiod.LineSettings(
            direction=Direction.INPUT, bias=_PULLS[pull], active_low=active_low
        )
        self._name = f"{chip} line {line}"
        self._line = line
        self._request = _request(chip, [line], settings)

    def read(self) -> bool:
        if not self._request:
            raise LineError(f"{self._name}: {_CLOSED}")
        try:
            return bool(self._request.get_value(self._line))
        except OSError as error:
            raise LineError(f"{self._name}: {error}: {_GONE}") from error

    def close(self) -> None:
        if self._request:  # gpiod before 2.4 raises where a request is released twice
            self._request.release()


class GpiodEncoder(Closing):
    """An encoder's channels on lines of `chip`, counted by the edges that the kernel timestamps.

    Two channels count four for each of their periods and know the direction; `a` leads `b` where
    the rail goes forward, or make `nm_per_count` negative. One channel counts two, and always
    forward: it takes a rail that backs up or shakes for one that goes on.

    The kernel numbers the edges. Where it had to drop some, or two were too near to each other to
    be told apart, nobody knows where the rail is, and `read` says so from then on.
    """

    def __init__(
        self,
        chip: str,
        a: int | str,
        b: int | str | None = None,
        *,
        clock: Clock,
        nm_per_count: int,
        pull: Pull = "as_is",
        debounce_us: int = 0,
        events_kept: int = EVENTS_KEPT,
    ) -> None:
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Detection.BOTH,
            bias=_PULLS[pull],
            debounce_period=timedelta(microseconds=debounce_us),
        )
        channels = [a] if b is None else [a, b]
        self._name = f"{chip} lines {', '.join(map(str, channels))}"
        self._clock = clock
        self._nm_per_count = nm_per_count
        self._events_kept = events_kept
        self._request = _request(chip, channels, settings, events_kept)
        self._a_offset = self._request.offsets[0]
        self._counter = EdgeCounter(self._levels_at_rest())
        self._edge_ns = clock()

    def read(self) -> Reading:
        # The time is taken before the events: whatever happened until then is among them.
        now_ns = self._clock()
        events = self._events()
        self._counter.take([self._edge(event) for event in events])
        self._edge_ns = max([self._edge_ns, *(event.timestamp_ns for event in events)])
        position_um = self._counter.count * self._nm_per_count // 1000
        return Reading(position_um, max(now_ns, self._edge_ns))

    def close(self) -> None:
        if self._request:  # gpiod before 2.4 raises where a request is released twice
            self._request.release()

    def _edge(self, event: EdgeEvent) -> Edge:
        channel = int(event.line_offset != self._a_offset)
        rising = event.event_type is EdgeEvent.Type.RISING_EDGE
        return Edge(channel, rising, event.global_seqno)

    def _levels_at_rest(self) -> list[bool]:
        """The channels' levels with no edge still on its way from the kernel."""
        while True:
            levels = [bool(value) for value in self._request.get_values()]
            if not self._events():
                return levels

    def _events(self) -> list[EdgeEvent]:
        if not self._request:
            raise EncoderError(f"{self._name}: {_CLOSED}")
        try:
            waiting = self._request.wait_edge_events(0)
            return self._request.read_edge_events(self._events_kept) if waiting else []
        except OSError as error:
            raise EncoderError(f"{self._name}: {error}: {_GONE}") from error


def _request(
    chip: str,
    lines: Sequence[int | str],
    settings: gpiod.LineSettings,
    events_kept: int = EVENTS_KEPT,
) -> gpiod.LineRequest:
    name = f"{chip} line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines))}"
    try:
        with gpiod.Chip(chip) as opened:
            return opened.request_lines(
                {tuple(lines): settings}, consumer=CONSUMER, event_buffer_size=events_kept
            )
    except PermissionError as error:
        raise LineError(f"{name}: not allowed: add the user to the group of {chip}") from error
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None)
        if number == EBUSY:
            remedy = "another program holds it: find it with `gpioinfo` and stop it"
        elif number == ENOENT or isinstance(error, ValueError):
            remedy = "there is none: see `gpiodetect` and `gpioinfo` for chips and lines"
        else:
            remedy = f"{error}: see that the chip can drive and pull it as configured"
        raise LineError(f"{name}: {remedy}") from error
