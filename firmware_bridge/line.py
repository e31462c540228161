"""The OutputLine protocol: one digital output that knows its safe state."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, TypeVar

from firmware_bridge.types import BridgeError

Line = TypeVar("Line", bound="OutputLine")


class LineError(BridgeError, OSError):
    """An output that cannot be claimed or driven."""


class OutputLine(Protocol):
    """A claimed output, in its safe state from the moment it is claimed until the first `set`.

    `active` is what the output means ("reject", "alive"), never a voltage: polarity belongs to the
    adapter. Adapters subclass this protocol and so inherit `with`.

    Threads: one thread at a time calls `set`, and it need not be the one that claimed the line.
    `close` comes when that thread has stopped.
    """

    def set(self, active: bool) -> None:
        """Return once the hardware has been told, or raise LineError."""
        ...

    def close(self) -> None:
        """Leave the safe state behind and let go. Closing again does nothing."""
        ...

    def __enter__(self: Line) -> Line:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
