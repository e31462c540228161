"""What a look at a box or a line comes to, and the looks that any line shares."""

from edge.checks.box import (
    check_clock,
    check_device,
    check_disk,
    check_disks,
    check_governor,
    check_heat,
    check_memory,
    check_processor,
    check_realtime,
    check_time,
    check_writing,
    is_clock_kept,
)
from edge.checks.check import Check, tried

__all__ = [
    "Check",
    "check_clock",
    "check_device",
    "check_disk",
    "check_disks",
    "check_governor",
    "check_heat",
    "check_memory",
    "check_processor",
    "check_realtime",
    "check_time",
    "check_writing",
    "is_clock_kept",
    "tried",
]
