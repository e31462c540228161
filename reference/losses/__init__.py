"""What a network is taught by."""

from reference.losses.supervision import Truth, boxes, distillation, supervise

__all__ = [
    "Truth",
    "boxes",
    "distillation",
    "supervise",
]
