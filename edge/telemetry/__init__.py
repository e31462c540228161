"""What leaves the box while a line runs: figures for Prometheus, messages for a broker.

Each adapter runs on threads of its own and reads what the loop left it; the loop waits for none.
"""

from edge.telemetry.messages import message_schemas
from edge.telemetry.outbox import Outbox
from edge.telemetry.spool import Spool

__all__ = [
    "Outbox",
    "Spool",
    "message_schemas",
]
