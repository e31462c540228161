"""What a training leaves behind: checkpoints, and networks that answer."""

from reference.trained.checkpoint import CheckpointError
from reference.trained.network import TrainedNetwork, open_network
from reference.trained.predictor import (
    Predictor,
    laid_out,
    memory_format,
    network_input,
    network_predictor,
)

__all__ = [
    "CheckpointError",
    "Predictor",
    "TrainedNetwork",
    "laid_out",
    "memory_format",
    "network_input",
    "network_predictor",
    "open_network",
]
