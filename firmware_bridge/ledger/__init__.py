"""Every order, pulse, confirmation, miss and change of mode, kept for good."""

from firmware_bridge.ledger.ledger import Ledger
from firmware_bridge.ledger.ledger_file import OUTCOMES, Entry, EntryKind, describe, read_ledger

__all__ = [
    "OUTCOMES",
    "Entry",
    "EntryKind",
    "Ledger",
    "describe",
    "read_ledger",
]
