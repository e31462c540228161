"""Running ahead of the machine's other work."""

from __future__ import annotations

import os

from firmware_bridge.types import BridgeError


class PriorityRefused(BridgeError, PermissionError):
    """The system does not let this program run ahead of others."""


def take_priority(priority: int) -> None:
    """Have this thread run ahead of every ordinary one; 0 leaves it an ordinary one."""
    if priority == 0:
        return
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except OSError as refused:
        raise PriorityRefused(
            f"real-time priority {priority} is refused ({refused.strerror}): "
            f"choose 1 to 99 and give the service LimitRTPRIO={priority}, or choose 0"
        ) from refused
