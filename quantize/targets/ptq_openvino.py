"""INT8 for OpenVINO by NNCF's post-training quantization."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nncf
import openvino

from edge.bundle import Artefact
from edge.types import Tensor
from quantize.targets.accuracy import Item, s_measure
from quantize.targets.layers import layers
from quantize.targets.target import Files, Layers, Material

CONVOLUTIONS = {"Convolution", "GroupConvolution", "ConvolutionBackpropData"}


class Target:
    """PERFORMANCE is symmetric. MIXED, with asymmetric activations, is slower, answers farther from
    FP32, and let the paper's own MINet collapse. Unless every box can, weights keep to half the
    range in every layer, because a CPU without VNNI adds pairs of u8*s8 products in 16 bits, which
    full weights overflow: the file must decide the same on every box.
    """

    artefact = Artefact(
        engine="openvino", precision="int8", path="openvino/model.xml", layout="NCHW"
    )

    def __init__(self, material: Material) -> None:
        self._material = material
        self._fp32 = openvino.Core().read_model(material.graph.SerializeToString())

    def quantize(self, keep: Collection[str]) -> Files:
        """.xml and .bin."""
        quantized = self._quantized(self._ignored(keep))
        _rename(quantized)
        with TemporaryDirectory() as folder:
            path = Path(folder, "model.xml")
            openvino.save_model(quantized, path, compress_to_fp16=False)
            return {
                self.artefact.path: path.read_bytes(),
                self.artefact.weights: path.with_suffix(".bin").read_bytes(),
            }

    def _quantized(self, ignored: nncf.IgnoredScope) -> openvino.Model:
        tensors, accuracy = self._material.tensors, self._material.accuracy
        full = nncf.OverflowFix.DISABLE, nncf.OverflowFix.ENABLE
        advanced = nncf.AdvancedQuantizationParameters(
            overflow_fix=full[0] if self._material.full_range else full[1]
        )
        settings: dict[str, Any] = {
            "preset": nncf.QuantizationPreset.PERFORMANCE,
            "target_device": nncf.TargetDevice.CPU,
            "subset_size": len(tensors),
            "fast_bias_correction": True,
            "ignored_scope": ignored,
        }
        model, dataset = self._fp32.clone(), nncf.Dataset(tensors)
        if accuracy is None:
            return nncf.quantize(model, dataset, advanced_parameters=advanced, **settings)
        return nncf.quantize_with_accuracy_control(
            model,
            dataset,
            nncf.Dataset(accuracy.items),
            _validate,
            max_drop=accuracy.max_drop,
            advanced_quantization_parameters=advanced,
            **settings,
        )

    def _ignored(self, keep: Collection[str]) -> nncf.IgnoredScope:
        # A convolution with a bias is two operations, of which the second bears its name.
        names = {name for layer in keep for name in (layer, f"{layer}/WithoutBiases")}
        operations = self._fp32.get_ordered_ops()
        return nncf.IgnoredScope(
            names=[
                operation.get_friendly_name()
                for operation in operations
                if operation.get_type_name() in CONVOLUTIONS
                and operation.get_friendly_name() in names
            ]
        )

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        int8 = openvino.Core().read_model(files[self.artefact.path], files[self.artefact.weights])
        names = layers(self._material.graph)
        return _outputs(self._fp32.clone(), names, tensor), _outputs(int8, names, tensor)


def _rename(model: openvino.Model) -> None:
    """Number what OpenVINO names itself, which it does by counting all that the process made."""
    for number, operation in enumerate(model.get_ordered_ops()):
        kind, _, count = operation.get_friendly_name().rpartition("_")
        if kind == operation.get_type_name() and count.isdigit():
            operation.set_friendly_name(f"{kind}_{number}")


def _validate(model: Any, items: Iterable[Item]) -> tuple[float, list[float]]:
    return s_measure(lambda tensor: model({0: tensor})[0], items)


def _outputs(model: openvino.Model, names: Collection[str], tensor: Tensor) -> Layers:
    operations = {op.get_friendly_name(): op for op in model.get_ordered_ops()}
    shown = [name for name in names if name in operations]
    first = len(model.outputs)
    model.add_outputs([operations[name].output(0) for name in shown])
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    answer = openvino.Core().compile_model(model, "CPU", exact)({0: tensor})
    return {name: answer[first + n].copy() for n, name in enumerate(shown)}
