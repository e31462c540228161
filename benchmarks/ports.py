"""A TCP port of this machine that nobody listens at."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Free when it was looked for; whoever wants it is to be quick."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
