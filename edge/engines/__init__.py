"""The Engine protocol: one tensor in, one map of logits out."""

from __future__ import annotations

from typing import Protocol

from edge.types import Tensor


class Engine(Protocol):
    """A loaded network. One thread at a time; `close` gives its memory back."""

    name: str

    def infer(self, tensor: Tensor) -> Tensor:
        """N,C,H,W normalised pixels to N,1,h,w logits, whatever layout the vendor prefers."""
        ...

    def close(self) -> None: ...
