"""Networks as they are deployed: the trained one's exact algebra in fewer, plainer layers."""

from quantize.deploy.deploy_form import (
    DeployFormError,
    DeployMINet,
    SignedSum,
    Trained,
    listed,
    read_trained,
)
from quantize.deploy.export import to_onnx

__all__ = [
    "DeployFormError",
    "DeployMINet",
    "SignedSum",
    "Trained",
    "listed",
    "read_trained",
    "to_onnx",
]
