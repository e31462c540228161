"""The bridge of one line, opened from its line file: only this room imports `firmware_bridge`."""

from edge.bridge.bench import HELD_S, open_bench
from edge.bridge.bridge import Beating, Bridge, Rehearsal, bridge_errors_as_ours, open_bridge
from edge.bridge.ledger import (
    changes_in,
    find_gaps,
    last_entry,
    latest_entries,
    ledger_sums,
)
from edge.bridge.recorded_rail import STEP_NS, RecordedRail
from edge.bridge.rounds import Rounds
from edge.bridge.wires import open_input, open_register
from firmware_bridge.desk import RejectReport
from firmware_bridge.ledger import Entry, EntryKind, Span, Sum
from firmware_bridge.lines import Encoder, SimulatedEncoder
from firmware_bridge.types import SECOND_NS, Fired, Missed, Mode, Reading

__all__ = [
    "HELD_S",
    "SECOND_NS",
    "STEP_NS",
    "Beating",
    "Bridge",
    "Encoder",
    "Entry",
    "EntryKind",
    "Fired",
    "Missed",
    "Mode",
    "Reading",
    "RecordedRail",
    "Rehearsal",
    "RejectReport",
    "Rounds",
    "SimulatedEncoder",
    "Span",
    "Sum",
    "bridge_errors_as_ours",
    "changes_in",
    "find_gaps",
    "last_entry",
    "latest_entries",
    "ledger_sums",
    "open_bench",
    "open_bridge",
    "open_input",
    "open_register",
]
