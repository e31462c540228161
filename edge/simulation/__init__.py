"""The simulated line: rail and strip surfaces rendered from a seed, with the exact truth."""

from edge.simulation.line import SimulatedLine, TrueDefect, surfaces_of
from edge.simulation.surface import SURFACES, SurfaceKind

__all__ = ["SURFACES", "SimulatedLine", "SurfaceKind", "TrueDefect", "surfaces_of"]
