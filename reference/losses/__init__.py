"""What a network is taught by."""

from reference.losses.supervision import Truth, distillation, supervise

__all__ = [
    "Truth",
    "distillation",
    "supervise",
]
