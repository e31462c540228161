"""ONNX Runtime, on CPU, CUDA or TensorRT."""

from __future__ import annotations

from typing import Any

import onnxruntime

from edge.bundle import Artefact, Bundle
from edge.engines.engine import Run
from edge.engines.onnx_file import refers_elsewhere
from edge.errors import BundleError, EngineUnavailable
from edge.line_file import OnnxRuntimeSettings
from edge.types import Tensor


def load(settings: OnnxRuntimeSettings, artefact: Artefact, bundle: Bundle) -> Run:
    _require(settings.provider, onnxruntime.get_available_providers(), "install onnxruntime-gpu")
    model = bundle.read(artefact.path)
    if refers_elsewhere(model):
        raise BundleError(
            f"{bundle.path}: {artefact.path} keeps weights in another file, which no hash of the "
            "bundle is of: export it with its weights inside, and pack the bundle again"
        )
    session = onnxruntime.InferenceSession(
        model,
        _options(settings),
        providers=[(settings.provider, _provider_options(settings, artefact))],
        enable_fallback=0,
    )
    # ONNX Runtime drops a provider whose libraries do not load, and says so in its log alone.
    _require(
        settings.provider, session.get_providers(), "install the device's driver and libraries"
    )
    (tensor_name,) = (node.name for node in session.get_inputs())

    def run(tensor: Tensor) -> Any:
        return session.run(None, {tensor_name: tensor})

    return run


def _require(provider: str, present: list[str], remedy: str) -> None:
    if provider not in present:
        raise EngineUnavailable(
            f"ONNX Runtime has no {provider} here, only {', '.join(present)}: "
            f"choose one of these as engine.provider, or {remedy}"
        )


def _options(settings: OnnxRuntimeSettings) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    # By default its threads spin between frames, on processors that camera and reject need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if settings.provider != "CPUExecutionProvider":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return options


def _provider_options(settings: OnnxRuntimeSettings, artefact: Artefact) -> dict[str, str]:
    if settings.provider == "CUDAExecutionProvider":
        return {"use_tf32": "0"}  # TF32 has fewer digits than FP32
    if settings.provider != "TensorrtExecutionProvider":
        return {}
    # TensorRT refuses a quantised graph unless it is told that there is one.
    options = {"trt_int8_enable": "1"} if artefact.precision == "int8" else {}
    if settings.cache_dir is not None:
        folder = str(settings.cache_dir)
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    return options
