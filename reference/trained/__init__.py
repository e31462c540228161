"""What a training leaves behind: checkpoints, and networks that answer."""

from reference.trained.checkpoint import CheckpointError
from reference.trained.network import TrainedNetwork, open_network
from reference.trained.origin import Origin, origin_of, write_origin
from reference.trained.predictor import (
    laid_out,
    memory_format,
    network_input,
    resized,
)

__all__ = [
    "CheckpointError",
    "Origin",
    "TrainedNetwork",
    "laid_out",
    "memory_format",
    "network_input",
    "open_network",
    "origin_of",
    "resized",
    "write_origin",
]
