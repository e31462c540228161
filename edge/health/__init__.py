"""How a line is doing, and how far it has drifted from what it was commissioned as."""

from edge.health.drift import (
    ENOUGH,
    brightness_distribution,
    score_distribution,
)
from edge.health.health import Health, add_appearance, deadline_of
from edge.health.line_health import (
    BOUNDS_NS,
    Cause,
    Counted,
    Facts,
    Keeping,
    Kind,
    LineHealth,
    Messages,
    Outputs,
    Rejects,
)

__all__ = [
    "BOUNDS_NS",
    "ENOUGH",
    "Cause",
    "Counted",
    "Facts",
    "Health",
    "Keeping",
    "Kind",
    "LineHealth",
    "Messages",
    "Outputs",
    "Rejects",
    "add_appearance",
    "brightness_distribution",
    "deadline_of",
    "score_distribution",
]
