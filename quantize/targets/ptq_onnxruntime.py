"""INT8 for ONNX Runtime: static quantization, written as QuantizeLinear/DequantizeLinear pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from edge.bundle import Artefact
from edge.types import Tensor
from quantize.targets.layers import layers
from quantize.targets.target import Files, Layers, Material

BEFORE, AFTER = "_QuantizeLinear_Input", "_DequantizeLinear_Output"  # as onnxruntime names them


class Target:
    """u8 activations, s8 weights with a scale for each channel.

    Unsigned activations swallow every ReLU; signed ones run nearly three times slower on x86.
    Unless every box can, weights keep to 7 bits, because a CPU without VNNI adds pairs of u8*s8
    products in 16 bits, which 8-bit weights overflow. MINet misses the bit neither in accuracy nor
    in speed; u8 weights, the other way out, take 1.7 times as long. Ranges are plain minimum and
    maximum: percentiles and moving averages cut off what was seen rarely, and lose a little
    S-measure.
    """

    artefact = Artefact(engine="onnxruntime", precision="int8", path="int8.onnx", layout="NCHW")

    def __init__(self, material: Material) -> None:
        self._material = material
        with TemporaryDirectory() as folder:
            plain, prepared = Path(folder, "plain"), Path(folder, "prepared")
            onnx.save(material.graph, plain)  # the graph itself, preparing would empty of weights
            quant_pre_process(plain, prepared, skip_symbolic_shape=True)  # every shape is fixed
            self._fp32 = onnx.load(prepared)

    def quantize(self, keep: Collection[str]) -> Files:
        with TemporaryDirectory() as folder:
            prepared, quantized = Path(folder, "prepared"), Path(folder, "int8")
            onnx.save(self._fp32, prepared)
            quantize_static(
                prepared,
                quantized,
                _Reader(self._material.tensors, self._fp32.graph.input[0].name),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=not self._material.full_range,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_exclude=sorted(keep),
            )
            return {self.artefact.path: quantized.read_bytes()}

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        int8 = onnx.load_from_string(files[self.artefact.path])
        # A convolution that swallowed its ReLU bears the ReLU's output, and says what is above zero
        # only in what its scale made of it.
        bears = {n.name: n.output[0].removesuffix(BEFORE) for n in int8.graph.node}
        made = {name: bears[name] for name in layers(self._material.graph) if name in bears}
        there = {name for node in int8.graph.node for name in node.output}
        scaled = {
            layer: f"{name}{AFTER}" if f"{name}{AFTER}" in there else name
            for layer, name in made.items()
        }
        return _outputs(self._fp32, made, tensor), _outputs(int8, scaled, tensor)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, tensors: Iterable[Tensor], input_name: str) -> None:
        self._feeds = ({input_name: tensor} for tensor in tensors)

    def get_next(self) -> dict[str, Tensor] | None:
        return next(self._feeds, None)


def _outputs(model: onnx.ModelProto, made: dict[str, str], tensor: Tensor) -> Layers:
    """What each layer made, by the layer's name."""
    shown = onnx.ModelProto.FromString(model.SerializeToString())
    ends = {end.name for end in shown.graph.output}
    shown.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in made.values() if name not in ends
    )
    session = onnxruntime.InferenceSession(
        shown.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answers = session.run(list(made.values()), {shown.graph.input[0].name: tensor})
    return dict(zip(made, answers, strict=True))
