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
    present = core.available_devices  # several devices of a kind are GPU.0, GPU.1
    if settings.device not in {"AUTO", *(name.partition(".")[0] for name in present)}:
        raise EngineUnavailable(
            f"OpenVINO sees no {settings.device} here, only {', '.join(present)}: "
            "choose one of these as engine.device, or install the device's driver"
        )
    xml = bundle.read(artefact.path)
    # It also reads ONNX, TensorFlow and others, and with them files that lie beside none of ours.
    if not xml.startswith((b"<?xml ", b"<net ")):
        raise ValueError("it is not OpenVINO's XML")
    model = core.read_model(xml, bundle.read(artefact.weights))
    model.reshape(_tensor_shape(artefact, bundle))  # to the manifest's size, if it has another
    compiled = core.compile_model(model, settings.device, _properties(settings))
    outputs = range(len(compiled.outputs))
    mine = threading.local()  # a request is one thread's

    def run(tensor: Tensor) -> Any:  # through tensors: a call with arrays costs 50 us more
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
    f32 = {"INFERENCE_PRECISION_HINT": "f32"}  # left alone, CPUs that have bf16 use it
    properties: dict[str, dict[str, Any]] = {
        "CPU": {
            **f32,
            "NUM_STREAMS": settings.streams,
            "INFERENCE_NUM_THREADS": settings.threads,
        },
        "GPU": {**f32, "NUM_STREAMS": settings.streams},
        "NPU": {},  # computes in fp16 and int8 only, and refuses the hint
    }
    # The device that answered the golden pair is the one that goes on answering.
    properties["AUTO"] = {
        "DEVICE_PROPERTIES": dict(properties),
        "ENABLE_STARTUP_FALLBACK": False,
        "ENABLE_RUNTIME_FALLBACK": False,
    }
    cache = {} if settings.cache_dir is None else {"CACHE_DIR": str(settings.cache_dir)}
    return {"PERFORMANCE_HINT": "LATENCY", **properties[settings.device], **cache}
