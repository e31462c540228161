"""A box in a fleet: what it is to run comes by itself, and is tried here before it runs."""

from edge.fleet.folder import (
    FleetFolder,
    FleetStatus,
    LineAttempt,
    LineDecision,
    LineRequest,
    LineStanding,
    Refusal,
    is_answered,
)
from edge.fleet.line_in_force import fleet_of, line_in_force, line_that_came
from edge.fleet.rollout import (
    EVERY_BOX,
    ROLLOUT,
    BundleTarget,
    LineTarget,
    Release,
    Ring,
    Rollout,
    digest_of,
)

__all__ = [
    "EVERY_BOX",
    "ROLLOUT",
    "BundleTarget",
    "FleetFolder",
    "FleetStatus",
    "LineAttempt",
    "LineDecision",
    "LineRequest",
    "LineStanding",
    "LineTarget",
    "Refusal",
    "Release",
    "Ring",
    "Rollout",
    "digest_of",
    "fleet_of",
    "is_answered",
    "line_in_force",
    "line_that_came",
]
