"""Waiting for what another thread or process does, as long as a busy machine may take."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 90


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    """Return as soon as it holds; fail if it never does."""
    give_up_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < give_up_s, "it never came about"
        time.sleep(0.01)
