"""A line that runs and is recorded, and a recording that is run again."""

from edge.recordings.expectation import first_difference, read_expectation
from edge.recordings.recorder import record_line
from edge.recordings.recording import open_recording, read_recording
from edge.recordings.replay import accept

__all__ = [
    "accept",
    "first_difference",
    "open_recording",
    "read_expectation",
    "read_recording",
    "record_line",
]
