"""The composition root: a whole line, opened from its line file."""

from edge.assembly.camera import (
    is_line_scan,
    live_settings,
    open_camera,
    pictures_of,
    simulated_line,
)
from edge.assembly.line import Line, open_line

__all__ = [
    "Line",
    "is_line_scan",
    "live_settings",
    "open_camera",
    "open_line",
    "pictures_of",
    "simulated_line",
]
