"""What overrides the orders: the causes that stand, and the mode they put the outputs in.

    guard.hold("bin full", Mode.STOP_LINE, "its sensor is covered")    until it is released
    guard.latch("missed", Mode.REJECT_ALL, "frame 7 arrived late")     until it is acknowledged

No I/O, no clock, no thread. Each of these says what it changed, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_bridge.types import Mode

_RANK = {mode: rank for rank, mode in enumerate(Mode)}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a cause puts the outputs in, and whether only an acknowledgement ends it."""

    mode: Mode
    latched: bool


@dataclass(frozen=True, slots=True)
class Change:
    """From now on the outputs are in `mode`; `cause` came, went, or became another."""

    mode: Mode
    cause: str
    reason: str
    standing: Standing | None = field(default=None, compare=False)  # of the cause, from now on


class Guard:
    """The causes that stand; the one that overrides most decides."""

    def __init__(self) -> None:
        self._standing: dict[str, Standing] = {}

    @property
    def mode(self) -> Mode:
        modes = (standing.mode for standing in self._standing.values())
        return max(modes, key=_RANK.__getitem__, default=Mode.ORDERED)

    def hold(self, cause: str, mode: Mode, reason: str) -> list[Change]:
        """A state of the line: it stands until `release`. ORDERED is only reported."""
        return self._stand(cause, Standing(mode, latched=False), reason)

    def latch(self, cause: str, mode: Mode, reason: str) -> list[Change]:
        """Something that happened: it stands until `acknowledge`. ORDERED is only reported."""
        return self._stand(cause, Standing(mode, latched=True), reason)

    def release(self, cause: str, reason: str) -> list[Change]:
        if self._standing.pop(cause, None) is None:
            return []
        return [Change(self.mode, cause, reason)]

    def acknowledge(self, reason: str) -> list[Change]:
        """All that is latched has been seen to. What is held stands as long as it lasts."""
        latched = [cause for cause, standing in self._standing.items() if standing.latched]
        return [change for cause in latched for change in self.release(cause, reason)]

    def _stand(self, cause: str, standing: Standing, reason: str) -> list[Change]:
        if standing.mode is Mode.ORDERED and standing.latched:  # nothing to acknowledge
            return [Change(self.mode, cause, reason)]
        if self._standing.get(cause) == standing:
            return []
        self._standing[cause] = standing
        return [Change(self.mode, cause, reason, standing)]
