"""What is closed at the end of a `with` block."""

from __future__ import annotations

from typing import Protocol, TypeVar

Closed = TypeVar("Closed", bound="Closing")


class Closing(Protocol):
    """Subclass it to inherit `with`."""

    def close(self) -> None:
        """Let go. Closing again does nothing."""
        ...

    def __enter__(self: Closed) -> Closed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
