"""The Encoder protocol, the newest reading for any thread, and a simulation."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from firmware_bridge.types import SECOND_NS, Clock, Reading


class Encoder(Protocol):
    """Where the rail is. One thread at a time."""

    def read(self) -> Reading:
        """The position now, and the monotonic time at which it was taken; or EncoderError."""
        ...


class LastReading:
    """An encoder that one thread reads, and whose newest reading any other may have."""

    def __init__(self, encoder: Encoder) -> None:
        self.newest = encoder.read()
        self._encoder = encoder

    def read(self) -> Reading:
        self.newest = self._encoder.read()
        return self.newest


@dataclass(frozen=True, slots=True)
class Speed:
    """The rail's speed from `from_ns` after the start of the run; negative is backwards."""

    from_ns: int
    um_per_s: int


class SimulatedEncoder:
    """An encoder on a rail whose speed is known for all time.

    The run starts when it is made. The position is a pure function of the clock, so a camera or a
    test can ask where the rail was, or wait for a place, without going through `read`.
    """

    def __init__(self, clock: Clock, profile: Sequence[Speed]) -> None:
        times = [speed.from_ns for speed in profile]
        if times[:1] != [0] or any(a >= b for a, b in pairwise(times)):
            raise ValueError(f"speeds start at {times} ns: begin with 0 and go up")
        self._clock = clock
        self._started_ns = clock()
        self._profile = tuple(profile)
        self._times_ns = times
        self._places_um = [0]  # where each speed begins
        for a, b in pairwise(profile):
            travelled_um = a.um_per_s * (b.from_ns - a.from_ns) // SECOND_NS
            self._places_um.append(self._places_um[-1] + travelled_um)

    def read(self) -> Reading:
        now_ns = self._clock()
        return Reading(self.position_um(now_ns), now_ns)

    def position_um(self, at_ns: int) -> int:
        """Where the rail is at a time; at 0 before the run."""
        elapsed_ns = max(0, at_ns - self._started_ns)
        i = bisect_right(self._times_ns, elapsed_ns) - 1
        speed = self._profile[i]
        return self._places_um[i] + speed.um_per_s * (elapsed_ns - speed.from_ns) // SECOND_NS

    def when_ns(self, position_um: int) -> int | None:
        """The first time at which the rail has come this far; None if it never does."""
        if position_um <= 0:
            return self._started_ns
        ends_ns: list[int | None] = [*self._times_ns[1:], None]
        for speed, place_um, end_ns in zip(self._profile, self._places_um, ends_ns, strict=True):
            if speed.um_per_s <= 0:
                continue
            # the ceiling, because positions are rounded down
            takes_ns = -((place_um - position_um) * SECOND_NS // speed.um_per_s)
            if end_ns is None or speed.from_ns + takes_ns <= end_ns:
                return self._started_ns + speed.from_ns + takes_ns
        return None
