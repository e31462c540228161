"""Every order, pulse, confirmation, miss and change of mode, kept for good."""

from firmware_bridge.ledger.known import Known, PassedRail, Piece, Place
from firmware_bridge.ledger.known_file import boot, since_boot_ns
from firmware_bridge.ledger.ledger import Ledger
from firmware_bridge.ledger.ledger_file import (
    OUTCOMES,
    Entry,
    EntryKind,
    describe,
    read_ledger,
    try_ledger,
)
from firmware_bridge.ledger.ledger_sums import Span, Sum, entries_of, sum_ledger

__all__ = [
    "OUTCOMES",
    "Entry",
    "EntryKind",
    "Known",
    "Ledger",
    "PassedRail",
    "Piece",
    "Place",
    "Span",
    "Sum",
    "boot",
    "describe",
    "entries_of",
    "read_ledger",
    "since_boot_ns",
    "sum_ledger",
    "try_ledger",
]
