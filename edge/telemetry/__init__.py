"""What leaves the box while a line runs: figures for Prometheus, messages for a broker.

Each adapter runs on threads of its own and reads what the loop left it; the loop waits for none.
"""

from edge.telemetry.messages import FleetMessage, fleet_message, message_schemas
from edge.telemetry.outbox import Outbox
from edge.telemetry.spool import Message, Spool

__all__ = [
    "FleetMessage",
    "Message",
    "Outbox",
    "Spool",
    "fleet_message",
    "message_schemas",
]
