"""What decides: trackers, motion, modes, inputs and counts. No I/O, no clock, no thread."""

from firmware_bridge.core.control import (
    MISSED,
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
    Confirmed,
    EjectCheck,
    Outcome,
    Panel,
    Role,
    Settled,
    Unasked,
    Unconfirmed,
)
from firmware_bridge.core.tracker import NO_PASS, ActuatorSettings, Tracker

__all__ = [
    "MISSED",
    "NO_PASS",
    "Acknowledge",
    "Actuator",
    "ActuatorSettings",
    "Change",
    "Command",
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
    "Outcome",
    "Override",
    "Panel",
    "Pass",
    "Release",
    "Role",
    "Settled",
    "SpeedLimit",
    "Tracker",
    "Unasked",
    "Unconfirmed",
    "latch_missed",
    "override",
]
