"""Running ahead of the machine's other work."""

from __future__ import annotations

import ctypes
import os

from firmware_bridge.errors import PriorityRefused


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


def lock_memory() -> None:
    """Have all memory of this process stay in place, so that no page of it is waited for."""
    current_and_future = 1 | 2
    if ctypes.CDLL(None, use_errno=True).mlockall(current_and_future) != 0:
        refused = os.strerror(ctypes.get_errno())
        raise PriorityRefused(
            f"memory cannot be locked ({refused}): "
            "give the service LimitMEMLOCK=infinity, or choose real-time priority 0"
        )
