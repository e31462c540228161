"""LiteRT, on CPU through XNNPACK; the older tflite-runtime where only that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Artefact, Bundle
from edge.engines.engine import Run
from edge.line_file import LiteRtSettings
from edge.types import Tensor

if find_spec("tflite_runtime") and not find_spec("ai_edge_litert"):
    from tflite_runtime.interpreter import Interpreter
else:
    from ai_edge_litert.interpreter import Interpreter


def load(settings: LiteRtSettings, artefact: Artefact, bundle: Bundle) -> Run:
    interpreter = Interpreter(
        model_content=bundle.read(artefact.path), num_threads=settings.threads
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    sinks = interpreter.get_output_details()

    def run(tensor: Tensor) -> list[NDArray[Any]]:
        interpreter.set_tensor(source["index"], _quantised(tensor, source))
        interpreter.invoke()
        return [_dequantised(interpreter.get_tensor(sink["index"]), sink) for sink in sinks]

    return run


def _quantised(tensor: Tensor, details: dict[str, Any]) -> NDArray[Any]:
    dtype = details["dtype"]
    if dtype == np.float32:
        return tensor
    scale, zero_point = details["quantization"]
    bounds = np.iinfo(dtype)
    levels = np.rint(tensor / np.float32(scale)) + zero_point
    return np.asarray(np.clip(levels, bounds.min, bounds.max), dtype)


def _dequantised(values: NDArray[Any], details: dict[str, Any]) -> NDArray[Any]:
    if details["dtype"] == np.float32:
        return values
    scale, zero_point = details["quantization"]
    return np.asarray((values.astype(np.float32) - zero_point) * np.float32(scale))
