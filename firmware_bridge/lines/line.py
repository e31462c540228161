"""The ports to one digital line: an output that knows its safe state, an input that is read."""

from __future__ import annotations

from typing import Literal, Protocol

from firmware_bridge.types import Closing

Drive = Literal["push_pull", "open_drain", "open_source"]
Pull = Literal["as_is", "none", "up", "down"]


class OutputLine(Closing, Protocol):
    """A claimed output, in its safe state from the moment it is claimed until the first `set`.

    `active` is what the output means ("reject", "alive"), never a voltage: polarity belongs to the
    adapter. `close` leaves the safe state behind; what the hardware does with it after that is the
    pull's affair (see WIRING.md).

    An output that speaks by its changes alone, a heartbeat, has no safe level: it is claimed with
    `safe_active=None`, which finds its level and leaves it, and `close` leaves it too. No edge
    comes of either.

    Threads: one thread at a time calls `set`, and it need not be the one that claimed the line.
    `close` comes when that thread has stopped.
    """

    @property
    def active(self) -> bool:
        """As it was found or last set."""
        ...

    def set(self, active: bool) -> None:
        """Return once the hardware has been told, or raise LineError."""
        ...


class InputLine(Closing, Protocol):
    """A claimed input. `active` is what the input means, as with an output.

    Threads: one thread at a time calls `read`; `close` comes when that thread has stopped.
    """

    def read(self) -> bool:
        """Whether it is active now, or LineError."""
        ...
