"""OpenVINO, on CPU, integrated graphics or NPU."""

from __future__ import annotations

import threading
from typing import Any

import openvino

from edge.bundle import Artefact, Bundle
from edge.engines.engine import Run
from edge.errors import EngineUnavailable
from edge.line_file import OpenVinoSettings
from edge.types import Tensor


def load(settings: OpenVinoSettings, artefact: Artefact, bundle: Bundle) -> Run:
    core = openvino.Core()
    present = core.available_devices  # several of one kind are called GPU.0, GPU.1
    if settings.device not in {"AUTO", *(name.partition(".")[0] for name in present)}:
        raise EngineUnavailable(
            f"OpenVINO sees no {settings.device} here, only {', '.join(present)}: "
            "choose one of these as engine.device, or install the device's driver"
        )
    xml = bundle.read(artefact.path)
    # OpenVINO reads ONNX, TensorFlow and others too, and with those whatever other files they name,
    # of which the bundle's hashes say nothing. So nothing but its own format is let through.
    if not xml.startswith((b"<?xml ", b"<net ")):
        raise ValueError("it is not OpenVINO's XML")
    model = core.read_model(xml, bundle.read(artefact.weights))
    model.reshape(_tensor_shape(artefact, bundle))  # to the manifest's size, if it has another
    compiled = core.compile_model(model, settings.device, _properties(settings))
    outputs = range(len(compiled.outputs))
    mine = threading.local()  # each thread has a request of its own: none may be used by two

    def run(tensor: Tensor) -> Any:  # by OpenVINO's tensors: called with arrays it takes 50 us more
        request = getattr(mine, "request", None)
        if request is None:
            request = mine.request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(tensor, shared_memory=True))
        request.infer()
        return [request.get_output_tensor(output).data for output in outputs]

    return run


def _tensor_shape(artefact: Artefact, bundle: Bundle) -> list[int]:
    spec = bundle.manifest.input
    if artefact.layout == "NHWC":
        return [1, spec.height, spec.width, spec.channels]
    return [1, spec.channels, spec.height, spec.width]


def _properties(settings: OpenVinoSettings) -> dict[str, Any]:
    f32 = {"INFERENCE_PRECISION_HINT": "f32"}  # else a CPU that has bf16 would use that
    properties: dict[str, dict[str, Any]] = {
        "CPU": {
            **f32,
            "NUM_STREAMS": settings.streams,
            "INFERENCE_NUM_THREADS": settings.threads,
        },
        "GPU": {**f32, "NUM_STREAMS": settings.streams},
        "NPU": {},  # has fp16 and int8 only, and refuses a hint for f32
    }
    # AUTO may change the device while it runs. Only the one that has answered the golden pair may
    # answer for the line, so that is switched off.
    properties["AUTO"] = {
        "DEVICE_PROPERTIES": dict(properties),
        "ENABLE_STARTUP_FALLBACK": False,
        "ENABLE_RUNTIME_FALLBACK": False,
    }
    cache = {} if settings.cache_dir is None else {"CACHE_DIR": str(settings.cache_dir)}
    return {"PERFORMANCE_HINT": "LATENCY", **properties[settings.device], **cache}
