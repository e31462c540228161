"""`trackside run`: a line that inspects until it is told to stop, and what it tells meanwhile."""

from edge.run.service import run_line, stop_on_signals
from edge.run.tally import Tally

__all__ = [
    "Tally",
    "run_line",
    "stop_on_signals",
]
