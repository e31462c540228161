"""The composition root: a whole line, opened from its line file."""

from edge.assembly.camera import is_line_scan, live_settings, open_camera, simulated_line
from edge.assembly.line import Line, open_line

__all__ = [
    "Line",
    "is_line_scan",
    "live_settings",
    "open_camera",
    "open_line",
    "simulated_line",
]
