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
    now,
)
from edge.fleet.line_in_force import fleet_of, line_in_force, line_that_came
from edge.fleet.package import Software, bring_package, read_package
from edge.fleet.rollout import (
    EVERY_BOX,
    PACKAGE,
    ROLLOUT,
    BundleTarget,
    LineTarget,
    Package,
    Release,
    Ring,
    Rollout,
    digest_of,
)

__all__ = [
    "EVERY_BOX",
    "PACKAGE",
    "ROLLOUT",
    "BundleTarget",
    "FleetFolder",
    "FleetStatus",
    "LineAttempt",
    "LineDecision",
    "LineRequest",
    "LineStanding",
    "LineTarget",
    "Package",
    "Refusal",
    "Release",
    "Ring",
    "Rollout",
    "Software",
    "bring_package",
    "digest_of",
    "fleet_of",
    "is_answered",
    "line_in_force",
    "line_that_came",
    "now",
    "read_package",
]
