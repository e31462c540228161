"""The desk of a fleet: the depot that boxes take releases from, and how those fare on them.

What signs, `depot`, and what reads a broker, `mqtt_reports`, want vendors' libraries: take these
from their modules.
"""

from edge.depot.board import board
from edge.depot.standing import MIN_WELL, Report, Standing, standing_of

__all__ = ["MIN_WELL", "Report", "Standing", "board", "standing_of"]
