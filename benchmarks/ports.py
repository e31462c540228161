"""A TCP port of this machine that nobody listens at."""

from __future__ import annotations

import random
import socket
from contextlib import closing, suppress

_LOWEST, _BEYOND = 20_000, 32_000  # below those that the system gives to whoever asks for any
_claims: list[socket.socket] = []  # held until this process ends


def free_port() -> int:
    """Nobody's when it was looked for, and no other process's that looks in this way."""
    for port in random.sample(range(_LOWEST, _BEYOND), 1000):
        claim = socket.socket(socket.AF_UNIX)
        with suppress(OSError), closing(socket.socket()) as probe:
            claim.bind(f"\0trackside port {port}")
            probe.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()
    raise OSError(f"no port from {_LOWEST} to {_BEYOND} is free: end what holds so many")
