"""Small bundles for the tests: one 3x3 convolution of stride 2, written for each of the engines.

The convolution is linear smoothing, so a bright blob in the golden image is the golden mask, and
the expected logits come from NumPy and from no engine.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import flatbuffers
import numpy as np
import openvino
from ai_edge_litert import schema_py_generated as tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.bundle import (
    Artefact,
    Bundle,
    Golden,
    InputSpec,
    Limits,
    Manifest,
    OutputSpec,
    write_bundle,
)
from edge.types import Image, Tensor

HEIGHT, WIDTH = 32, 48
SOURCE_STEP, LOGIT_STEP = 1 / 96, 1 / 32  # of the quantised artefact


def make_bundle(path: Path, channels: int = 1, answering: float = 1) -> Bundle:
    """A bundle whose artefacts multiply the right logits by `answering`."""
    return write_bundle(manifest(channels), make_files(channels, answering), path)


def make_files(channels: int = 1, answering: float = 1) -> dict[str, bytes]:
    weights = kernel(channels) * np.float32(answering)
    xml, binary = _openvino(weights)
    image = golden_image()
    probability = 1 / (1 + np.exp(-expected_logits(normalised(image, channels))))
    return {
        "model.onnx": onnx_model(weights),
        "openvino/model.xml": xml,
        "openvino/model.bin": binary,
        "model.tflite": _tflite(weights, quantised=False),
        "model_int8.tflite": _tflite(weights, quantised=True),
        "golden/input.png": png(image),
        "golden/output.png": png(np.rint(probability[0, 0] * 255).astype(np.uint8)),
    }


def manifest(channels: int = 1) -> Manifest:
    return Manifest(
        format=1,
        name="smoother",
        network="one convolution",
        version=1,
        input=InputSpec(
            height=HEIGHT,
            width=WIDTH,
            channels=1 if channels == 1 else 3,
            mean=[128.0] * channels,
            scale=[1 / 64] * channels,
            resize="linear",
            um_per_px=250,
        ),
        output=OutputSpec(height=HEIGHT // 2, width=WIDTH // 2, kind="logits"),
        threshold=0.6,
        classes=["defect"],
        limits=Limits(min_area_mm2=1, min_extent_mm=1),
        artefacts=[
            Artefact(engine="openvino", precision="fp32", path="openvino/model.xml", layout="NCHW"),
            Artefact(engine="onnxruntime", precision="fp32", path="model.onnx", layout="NCHW"),
            Artefact(engine="litert", precision="fp32", path="model.tflite", layout="NHWC"),
            Artefact(engine="litert", precision="int8", path="model_int8.tflite", layout="NHWC"),
        ],
        golden=Golden(
            input="golden/input.png", output="golden/output.png", min_iou=0.9, max_mae=0.02
        ),
        provenance={"made by": "the tests"},
    )


def golden_image() -> Image:
    """A bright blob on a dark, textured ground."""
    image = np.random.default_rng(0).integers(60, 90, (HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(image, (20, 14), (12, 7), 0, 0, 360, (200,), -1)
    return image


def normalised(image: Image, channels: int = 1) -> Tensor:
    plane = (image.astype(np.float32) - 128) / 64
    return np.repeat(plane[None, None], channels, axis=1)


def kernel(channels: int) -> NDArray[np.float32]:
    """1,C,3,3 of unequal weights with sum 3, so that a swapped axis shows."""
    weights = np.random.default_rng(1).uniform(0.1, 1, (1, channels, 3, 3))
    return np.asarray(3 * weights / weights.sum(), np.float32)


def expected_logits(tensor: Tensor) -> Tensor:
    padded = np.pad(tensor[0], ((0, 0), (0, 1), (0, 1)))
    logits = np.zeros((1, 1, HEIGHT // 2, WIDTH // 2), np.float32)
    for channel, row, column in np.ndindex(padded.shape[0], 3, 3):
        tap = padded[channel, row:, column:][:HEIGHT:2, :WIDTH:2]
        logits[0, 0] += tap * kernel(tensor.shape[1])[0, channel, row, column]
    return logits


def png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def onnx_model(weights: NDArray[np.float32]) -> bytes:
    channels = weights.shape[1]
    convolution = helper.make_node(
        "Conv", ["tensor", "weights"], ["logits"], strides=[2, 2], pads=[0, 0, 1, 1]
    )
    graph = helper.make_graph(
        [convolution],
        "smoother",
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [1, channels, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, [1, 1, HEIGHT // 2, WIDTH // 2]
            )
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def _openvino(weights: NDArray[np.float32]) -> tuple[bytes, bytes]:
    model = openvino.Core().read_model(onnx_model(weights))
    with TemporaryDirectory() as directory:
        path = Path(directory, "model.xml")
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _tflite(weights: NDArray[np.float32], quantised: bool) -> bytes:
    """The flatbuffer itself: converters take half a minute and three gigabytes for this."""
    filters = np.ascontiguousarray(weights.transpose(0, 2, 3, 1))
    source, sink = (1, HEIGHT, WIDTH, weights.shape[1]), (1, HEIGHT // 2, WIDTH // 2, 1)
    if quantised:
        step = float(np.abs(filters).max()) / 127
        tensors = [
            _tensor(0, source, tflite.TensorType.INT8, (SOURCE_STEP, 5)),
            _tensor(1, filters.shape, tflite.TensorType.INT8, (step, 0)),
            _tensor(2, (1,), tflite.TensorType.INT32, (SOURCE_STEP * step, 0)),
            _tensor(0, sink, tflite.TensorType.INT8, (LOGIT_STEP, -7)),
        ]
        constants = [np.rint(filters / step).astype(np.int8), np.zeros(1, np.int32)]
    else:
        shapes = [(0, source), (1, filters.shape), (2, (1,)), (0, sink)]
        tensors = [_tensor(at, shape, tflite.TensorType.FLOAT32) for at, shape in shapes]
        constants = [filters, np.zeros(1, np.float32)]
    return _tflite_file(tensors, constants)


def _tensor(
    buffer: int, shape: tuple[int, ...], kind: int, quantisation: tuple[float, int] | None = None
) -> Any:
    tensor = tflite.TensorT()
    tensor.name, tensor.buffer, tensor.shape, tensor.type = b"tensor", buffer, list(shape), kind
    if quantisation:
        tensor.quantization = tflite.QuantizationParametersT()
        tensor.quantization.scale = [quantisation[0]]
        tensor.quantization.zeroPoint = [quantisation[1]]
    return tensor


def _tflite_file(tensors: list[Any], constants: list[NDArray[Any]]) -> bytes:
    """Tensors are input, filters, bias and output; constants fill buffers 1 and 2."""
    convolution = tflite.OperatorT()
    convolution.inputs, convolution.outputs = [0, 1, 2], [3]
    convolution.builtinOptionsType = tflite.BuiltinOptions.Conv2DOptions
    convolution.builtinOptions = tflite.Conv2DOptionsT()
    convolution.builtinOptions.padding = tflite.Padding.SAME
    convolution.builtinOptions.strideH = convolution.builtinOptions.strideW = 2

    graph = tflite.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [convolution], [0], [3]

    code = tflite.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tflite.BuiltinOperator.CONV_2D
    code.version = 3

    model = tflite.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [tflite.BufferT()]  # the empty one, of tensors that are computed
    for constant in constants:
        buffer = tflite.BufferT()
        buffer.data = np.frombuffer(constant.tobytes(), np.uint8)
        model.buffers.append(buffer)

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
