"""How a line is doing, and how far it has drifted from what it was commissioned as."""

from edge.health.camera_health import CameraHealth, Kind, add_appearance
from edge.health.drift import (
    ENOUGH,
    brightness_distribution,
    score_distribution,
    unfamiliar_distribution,
)
from edge.health.health import DeadlineNs, Health, deadline_of
from edge.health.line_health import (
    Cause,
    Facts,
    Keeping,
    LineHealth,
    Messages,
    Outputs,
    Rejects,
)
from edge.health.times import BOUNDS_NS, Counted

__all__ = [
    "BOUNDS_NS",
    "ENOUGH",
    "CameraHealth",
    "Cause",
    "Counted",
    "DeadlineNs",
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
    "unfamiliar_distribution",
]
