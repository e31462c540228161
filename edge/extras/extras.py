"""Which extra brings what is not installed, and the one sentence that says so.

Near the ground, because engines, cameras, telemetry and command line all say it. The bridge,
which stands below `edge`, names its extras itself.
"""

from __future__ import annotations

from importlib.util import find_spec

from edge.errors import ConfigurationError

EXTRA_OF_MODULE = {
    "py_sod_metrics": "evaluate",
    "pycocotools": "evaluate",
    "scipy": "evaluate",
    "fsspec": "backtest",
    "isal": "backtest",
    "securesystemslib": "fleet",
    "tuf": "fleet",
    "fpdf": "report",
    "harvesters": "genicam",
    "gpiod": "gpio",
    "gpiozero": "gpiozero",
    "h5py": "h5",
    "Jetson": "jetson",
    "ai_edge_litert": "litert",
    "prometheus_client": "metrics",
    "pymodbus": "modbus",
    "paho": "mqtt",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "ai_edge_quantizer": "quantize",
    "litert_torch": "quantize",
    "nncf": "quantize",
    "onnx": "quantize",
    "onnxscript": "quantize",
    "ray": "ray",
    "serial": "serial",
    "cryptography": "sign",
    "tensorboard": "tensorboard",
    "kornia": "train",
    "lightning_fabric": "train",
    "ninja": "train",
    "safetensors": "train",
    "torch": "train",
    "starlette": "web",
    "uvicorn": "web",
}


class NotInstalled(ConfigurationError, ImportError):
    """A package that an extra brings is not there; the message names the extra."""


def install(extra: str) -> str:
    """The remedy, as it is typed."""
    return f"pip install 'trackside[{extra}]'"


def not_installed(module: str) -> str | None:
    """What to say of a module that is missing; None if no extra brings it: a fault of ours."""
    top = module.partition(".")[0]
    if top not in EXTRA_OF_MODULE:
        return None
    return f"{top} is not installed: {install(EXTRA_OF_MODULE[top])}"


def require(*modules: str) -> None:
    """NotInstalled for the first module of an extra that is not there. None is imported."""
    for module in modules:
        if find_spec(module.partition(".")[0]) is None:
            raise NotInstalled(not_installed(module))
