"""What the inputs say, as commands and confirmations: no I/O, no clock, no thread.

for command in panel.take(levels, at_ns): ...    keys, buttons, bin full, air low
check.pulse(at_ns), check.seen(at_ns)            an actuator was driven, its sensor saw it act
for each in check.advance(now_ns): ...           Confirmed, Unconfirmed or Unasked
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from firmware_bridge.core.control import Acknowledge, Command, Hold, Release
from firmware_bridge.types import Mode

PULSES_NS = 2_000_000_000  # an output may be slow: each pulse is heard of within this
SIGHTS_NS = 100_000_000  # each sight is heard of within this, once its sensor has settled


class SettledLevel:
    """An input's level, which changes when another has stood for `settle_ns`.

    The first one counts at once. `since_ns` is when a level was first seen, before it settled.
    """

    def __init__(self, settle_ns: int) -> None:
        self.active: bool | None = None
        self.since_ns = 0
        self._settle_ns = settle_ns
        self._other_since_ns: int | None = None

    def take(self, active: bool, at_ns: int) -> bool:
        """Whether the level is another one now."""
        if active is self.active:
            self._other_since_ns = None
            return False
        if self._other_since_ns is None:
            self._other_since_ns = at_ns
        if self.active is not None and at_ns - self._other_since_ns < self._settle_ns:
            return False
        self.active, self.since_ns, self._other_since_ns = active, self._other_since_ns, None
        return True


@dataclass(frozen=True, slots=True)
class Role:
    """What an input is called, and the mode it holds the outputs in while it is active.

    Where `mode` is None it acknowledges what is latched, each time it becomes active.
    """

    name: str
    mode: Mode | None
    settle_ns: int


class Panel:
    """The inputs that state something about the line."""

    def __init__(self, roles: Sequence[Role]) -> None:
        self._inputs = [(role, SettledLevel(role.settle_ns)) for role in roles]

    def is_active(self, name: str) -> bool:
        """The input's level as it last settled."""
        return any(level.active is True for role, level in self._inputs if role.name == name)

    def take(self, levels: Sequence[bool], at_ns: int) -> list[Command]:
        """What has changed, now that each input, in the order of the roles, has this level."""
        commands: list[Command] = []
        for (role, level), active in zip(self._inputs, levels, strict=True):
            is_first = level.active is None
            if not level.take(active, at_ns):
                continue
            if role.mode is None:
                if active and not is_first:  # one that is stuck from the start is not pressed
                    commands.append(Acknowledge(f"{role.name} was pressed"))
            elif active:
                commands.append(Hold(role.name, role.mode, f"{role.name} is on"))
            elif not is_first:
                commands.append(Release(role.name, f"{role.name} is off"))
        return commands


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The pulse that began at `pulse_ns` was seen to act `after_ns` later."""

    pulse_ns: int
    after_ns: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Nothing was seen within the window of the pulse that began at `pulse_ns`."""

    pulse_ns: int


@dataclass(frozen=True, slots=True)
class Unasked:
    """The sensor saw the actuator act at `seen_ns`, though no pulse had asked for it."""

    seen_ns: int


Confirmation = Confirmed | Unconfirmed | Unasked


class EjectCheck:
    """Holds what the sensor at an actuator sees against the pulses the actuator is given.

    A pulse is confirmed by the first sight within `within_ns` that confirms no other one. Both are
    told in their own order; each may come late, a sight by up to `settle_ns` more than SIGHTS_NS.
    """

    def __init__(self, within_ns: int, settle_ns: int = 0) -> None:
        self._within_ns = within_ns
        self._sight_late_ns = settle_ns + SIGHTS_NS
        self._pulses_ns: deque[int] = deque()
        self._sights_ns: deque[int] = deque()

    def pulse(self, at_ns: int) -> None:
        """The actuator was driven at this time."""
        self._pulses_ns.append(at_ns)

    def seen(self, at_ns: int) -> None:
        """The sensor became active at this time."""
        self._sights_ns.append(at_ns)

    def advance(self, now_ns: int) -> list[Confirmation]:
        """What has become certain."""
        found: list[Confirmation] = []
        while self._pulses_ns or self._sights_ns:
            # The earliest pulse and sight that are not told of yet. Where none has come, one that
            # is as old as this may still come.
            pulse_ns = self._pulses_ns[0] if self._pulses_ns else now_ns - PULSES_NS
            sight_ns = self._sights_ns[0] if self._sights_ns else now_ns - self._sight_late_ns
            if self._pulses_ns and sight_ns > pulse_ns + self._within_ns:
                found.append(Unconfirmed(self._pulses_ns.popleft()))
            elif self._sights_ns and sight_ns < pulse_ns:
                found.append(Unasked(self._sights_ns.popleft()))
            elif self._pulses_ns and self._sights_ns:
                self._pulses_ns.popleft()
                found.append(Confirmed(pulse_ns, self._sights_ns.popleft() - pulse_ns))
            else:
                break
        return found
