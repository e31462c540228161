"""INT8 for OpenVINO by NNCF's post-training quantization."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nncf
import onnx
import openvino

from edge.types import Tensor


def quantize(graph: onnx.ModelProto, tensors: Sequence[Tensor]) -> tuple[bytes, bytes]:
    """The quantized network as OpenVINO's two files, .xml and .bin.

    PERFORMANCE is symmetric. MIXED, with asymmetric activations, is slower, answers farther from
    FP32, and let the paper's own MINet collapse. Weights keep to half the range in every layer,
    because a CPU without VNNI adds pairs of u8*s8 products in 16 bits, which full weights overflow:
    the file must decide the same on every box.
    """
    quantized = nncf.quantize(
        openvino.Core().read_model(graph.SerializeToString()),
        nncf.Dataset(tensors),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(tensors),
        fast_bias_correction=True,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            overflow_fix=nncf.OverflowFix.ENABLE
        ),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.xml")
        openvino.save_model(quantized, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()
