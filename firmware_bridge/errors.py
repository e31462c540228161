"""What can go wrong between an order and its pulse.

BridgeError
├── LineError            (OSError)          an output or input that nobody can claim, drive or read
├── EncoderError         (OSError)          an encoder that cannot be read
├── LedgerError          (OSError)          a ledger that cannot be opened, written or read
├── LedgerGone           (OSError)          a ledger that was removed or replaced while it was open
├── RejectorStopped      (RuntimeError)     orders are no longer fired
├── InputsStopped        (RuntimeError)     the inputs are no longer read
├── PriorityRefused      (PermissionError)  the system lets nobody run ahead of others
└── DeskGone             (ConnectionError)  the inspection's process ended
"""

from __future__ import annotations


class BridgeError(Exception):
    """Parent of every error this package raises on purpose."""


class LineError(BridgeError, OSError):
    """A line that cannot be claimed, driven or read."""


class EncoderError(BridgeError, OSError):
    """An encoder that cannot be read."""


class RejectorStopped(BridgeError, RuntimeError):
    """Orders are no longer fired; the cause, where there is one, is chained."""


class PriorityRefused(BridgeError, PermissionError):
    """The system does not let this program run ahead of others."""


class LedgerError(BridgeError, OSError):
    """A ledger that cannot be opened, read or written."""


class LedgerGone(BridgeError, OSError):
    """What is open is no longer what lies there by its name."""


class DeskGone(BridgeError, ConnectionError):
    """The process that hands in orders has died, or hangs."""


class InputsStopped(BridgeError, RuntimeError):
    """The inputs are no longer read; the cause, where there is one, is chained."""
