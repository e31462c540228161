"""How a line is doing, and how far it has drifted from what it was commissioned as."""

from edge.health.drift import (
    ENOUGH,
    brightness_distribution,
    score_distribution,
)
from edge.health.health import (
    BOUNDS_NS,
    Counted,
    Health,
    Keeping,
    Rejects,
    Snapshot,
    add_appearance,
    deadline_of,
)

__all__ = [
    "BOUNDS_NS",
    "ENOUGH",
    "Counted",
    "Health",
    "Keeping",
    "Rejects",
    "Snapshot",
    "add_appearance",
    "brightness_distribution",
    "deadline_of",
    "score_distribution",
]
