"""What decides: trackers, motion, modes, inputs and counts. No I/O, no clock, no thread."""

from firmware_bridge.core.control import (
    MISSED,
    UNINSPECTED,
    Acknowledge,
    Actuator,
    Command,
    Control,
    Hold,
    Latch,
    News,
    Override,
    Pass,
    Release,
    latch_missed,
    override,
)
from firmware_bridge.core.counting import CountedPosition, Edge, EdgeCounter, SpeedLimit
from firmware_bridge.core.guard import Change, Guard
from firmware_bridge.core.inputs import (
    Confirmation,
    Confirmed,
    EjectCheck,
    Panel,
    Role,
    SettledLevel,
    Unasked,
    Unconfirmed,
)
from firmware_bridge.core.tracked import ActuatorTraits
from firmware_bridge.core.tracker import NO_PASS, Tracker

__all__ = [
    "MISSED",
    "NO_PASS",
    "UNINSPECTED",
    "Acknowledge",
    "Actuator",
    "ActuatorTraits",
    "Change",
    "Command",
    "Confirmation",
    "Confirmed",
    "Control",
    "CountedPosition",
    "Edge",
    "EdgeCounter",
    "EjectCheck",
    "Guard",
    "Hold",
    "Latch",
    "News",
    "Override",
    "Panel",
    "Pass",
    "Release",
    "Role",
    "SettledLevel",
    "SpeedLimit",
    "Tracker",
    "Unasked",
    "Unconfirmed",
    "latch_missed",
    "override",
]
