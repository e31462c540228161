"""INT8 for LiteRT: the deploy form as a flatbuffer, every tensor in it quantized."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import flatbuffers
import litert_torch
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.quantizer import Quantizer
from ai_edge_quantizer.recipe import static_wi8_ai8
from ai_edge_quantizer.recipe_manager import RecipeManager
from ai_edge_quantizer.utils.qsv_utils import min_max_update
from numpy.typing import NDArray
from torch import nn

from edge.bundle import Artefact
from edge.errors import TracksideError
from edge.types import Tensor
from quantize.deploy import listed
from quantize.targets.target import Files, Layers, Material

SIGNATURE, INPUT = "serving_default", "args_0"  # as litert_torch names them
CONVOLUTIONS = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D}


class StrayFloat(TracksideError, ValueError):
    """A quantized network that still computes in floating point somewhere."""


class Target:
    """N,H,W,C in and out, so that no transpose is left in it."""

    artefact = Artefact(engine="litert", precision="int8", path="int8.tflite", layout="NHWC")

    def __init__(self, material: Material) -> None:
        self._network = material.network
        self._samples = [_channel_last(tensor) for tensor in material.tensors]

    @cached_property
    def _fp32(self) -> bytes:
        sample = torch.from_numpy(self._samples[0])
        outputs = list(range(len(listed(self._network(sample.permute(0, 3, 1, 2))))))
        channel_last = litert_torch.to_channel_last_io(self._network, args=[0], outputs=outputs)
        converted = litert_torch.convert(channel_last.eval(), (sample,))
        with TemporaryDirectory() as folder:
            path = Path(folder, "float.tflite")
            converted.export(str(path))
            return _named(path.read_bytes(), self._network)

    @cached_property
    def _ranges(self) -> Any:
        recipes = RecipeManager()
        recipes.load_quantization_recipe(static_wi8_ai8())
        calibrator = Calibrator(
            self._fp32,
            num_threads=1,
            mode=CalibrationMode.CALIBRATION_PROFILER_BASED,  # seven times as fast, the same ranges
            # Whole ranges: the default, a moving average, forgets the bright images. It cost MINet
            # 0.02 of its S-measure and a third more MAE.
            qsv_update_func=min_max_update,
        )
        calibrator.calibrate({SIGNATURE: [{INPUT: s} for s in self._samples]}, recipes)
        return calibrator.get_model_qsvs()

    def quantize(self, keep: Collection[str]) -> Files:
        recipes = RecipeManager()
        recipes.load_quantization_recipe(static_wi8_ai8())
        for layer in sorted(keep):
            recipes.add_quantization_config(
                regex=f"^{re.escape(layer)};?$",
                operation_name=TFLOperationName.ALL_SUPPORTED,
                algorithm_key=AlgorithmName.NO_QUANTIZE,
            )
        quantizer = Quantizer(self._fp32, recipes.get_quantization_recipe())
        result = quantizer.quantize(self._ranges, enable_progress_report=False)
        quantized = bytes(result.quantized_model)
        if not keep:
            _refuse_float(quantized)
        return {self.artefact.path: quantized}

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        names = {name for name, _ in _layers(self._network)}
        sample = _channel_last(tensor)
        int8 = files[self.artefact.path]
        return _outputs(self._fp32, names, sample), _outputs(int8, names, sample)


def _channel_last(tensor: Tensor) -> Tensor:
    return np.ascontiguousarray(tensor.transpose(0, 2, 3, 1))


def _named(model: bytes, network: nn.Module) -> bytes:
    """The model with a convolution's output called as the deploy form calls the layer.

    The converter's own names join the classes of all modules round a tensor: they tell the branches
    of different stages not apart, and are a third of the file.
    """
    parsed = schema.ModelT.InitFromPackedBuf(model, 0)
    (graph,) = parsed.subgraphs
    name_of = {key: name for name, layer in _layers(network) for key in _constants(layer)}
    codes = [code.builtinCode for code in parsed.operatorCodes]
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"tensor{number}"
    for operator in graph.operators:
        if codes[operator.opcodeIndex] in CONVOLUTIONS:
            _, weights, *bias = (_constant(parsed, graph.tensors[i]) for i in operator.inputs)
            layer = name_of.get((weights, bias[0] if bias else b""))
            if layer is not None:
                graph.tensors[operator.outputs[0]].name = layer
    builder = flatbuffers.Builder(len(model))
    builder.Finish(parsed.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _layers(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def _constants(layer: nn.Conv2d) -> Iterator[tuple[bytes, bytes]]:
    """Weights and bias as the flatbuffer may have them: a depthwise filter's channels come last."""
    bias = b"" if layer.bias is None else layer.bias.numpy().tobytes()
    for order in ((0, 2, 3, 1), (1, 2, 3, 0)):
        yield layer.weight.permute(order).contiguous().numpy().tobytes(), bias


def _constant(model: Any, tensor: Any) -> bytes:
    data = model.buffers[tensor.buffer].data
    return b"" if data is None else bytes(np.asarray(data, np.uint8))


def _outputs(model: bytes, names: Collection[str], sample: Tensor) -> Layers:
    """Without XNNPACK, which shows nothing of what is between input and output."""
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    interpreter.set_tensor(source["index"], _stored(sample, source))
    interpreter.invoke()
    return {
        details["name"]: _real(interpreter.get_tensor(details["index"]), details)
        for details in interpreter.get_tensor_details()
        if details["name"] in names
    }


def _stored(values: Tensor, details: dict[str, Any]) -> NDArray[Any]:
    scale, zero = details["quantization"]
    if not scale:
        return values
    return np.asarray(np.clip(np.rint(values / scale) + zero, -128, 127), details["dtype"])


def _real(values: NDArray[Any], details: dict[str, Any]) -> NDArray[np.floating]:
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values


def _refuse_float(model: bytes) -> None:
    (graph,) = schema.ModelT.InitFromPackedBuf(model, 0).subgraphs
    integers = {schema.TensorType.INT8, schema.TensorType.INT32}
    if stray := [tensor.name.decode() for tensor in graph.tensors if tensor.type not in integers]:
        raise StrayFloat(
            f"{len(stray)} tensors are not integers, the first is {stray[0]}: an operator of the "
            "network is new to ai-edge-quantizer's static_wi8_ai8, write it with others, or leave "
            "litert out of --targets"
        )
