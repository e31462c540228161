"""Small bundles for the tests: one 3x3 convolution of stride 2, written for each of the engines.

The convolution is linear smoothing, so a bright blob in the golden image is the golden mask, and
the expected logits come from NumPy and from no engine. Those that name classes have another
convolution beside it, of stride 8.
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
    GoldenNames,
    InputSpec,
    Limits,
    Manifest,
    NamesSpec,
    OutputSpec,
    write_bundle,
)
from edge.types import Image, Tensor

HEIGHT, WIDTH = 32, 48
SOURCE_STEP, LOGIT_STEP = 1 / 96, 1 / 32  # of the quantised artefact
CLASSES = ("dark", "bright", "dirt")
NAMES_STRIDE = 8


def make_bundle(
    path: Path, channels: int = 1, answering: float = 1, naming: float | None = None
) -> Bundle:
    """A bundle whose artefacts multiply the right logits by `answering`, and those of classes by
    `naming`, if they name any.
    """
    files = make_files(channels, answering, naming)
    return write_bundle(manifest(channels, named=naming is not None), files, path)


def some_bundles(home: Path, *names: str) -> dict[str, Bundle]:
    """One of each name, which are right and not the same; and `wrong`, which answers wrongly."""
    files = make_files()
    right = {
        name: write_bundle(
            manifest().model_copy(update={"name": name}), files, home / f"{name}.bundle"
        )
        for name in names
    }
    return {**right, "wrong": make_bundle(home / "wrong.bundle", answering=-1)}


def make_files(
    channels: int = 1, answering: float = 1, naming: float | None = None
) -> dict[str, bytes]:
    kernels = [kernel(channels) * np.float32(answering)]
    tensor = normalised(golden_image(), channels)
    probability = 1 / (1 + np.exp(-expected_logits(tensor)))
    files = {
        "golden/input.png": png(golden_image()),
        "golden/output.png": png(np.rint(probability[0, 0] * 255).astype(np.uint8)),
    }
    if naming is not None:
        kernels.append(names_kernel(channels) * np.float32(naming))
        shares = softmax(expected_names(tensor))[0]
        files["golden/names.png"] = png(np.rint(np.vstack([*shares]) * 255).astype(np.uint8))
    xml, binary = _openvino(kernels)
    return files | {
        "model.onnx": onnx_model(*kernels),
        "openvino/model.xml": xml,
        "openvino/model.bin": binary,
        "model.tflite": _tflite(kernels, quantised=False),
        "model_int8.tflite": _tflite(kernels, quantised=True),
    }


def manifest(channels: int = 1, *, named: bool = False) -> Manifest:
    names = GoldenNames(output="golden/names.png", min_same=0.9, max_mae=0.05)
    return Manifest(
        format=2,
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
        classes=list(CLASSES) if named else ["defect"],
        names=NamesSpec(
            height=HEIGHT // NAMES_STRIDE,
            width=WIDTH // NAMES_STRIDE,
            unsure_below=0.5,
            report_only=["dirt"],
        )
        if named
        else None,
        limits=Limits(min_area_mm2=1, min_extent_mm=1),
        artefacts=[
            Artefact(engine="openvino", precision="fp32", path="openvino/model.xml", layout="NCHW"),
            Artefact(engine="onnxruntime", precision="fp32", path="model.onnx", layout="NCHW"),
            Artefact(engine="litert", precision="fp32", path="model.tflite", layout="NHWC"),
            Artefact(engine="litert", precision="int8", path="model_int8.tflite", layout="NHWC"),
        ],
        golden=Golden(
            input="golden/input.png",
            output="golden/output.png",
            min_iou=0.9,
            max_mae=0.02,
            names=names if named else None,
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


def names_kernel(channels: int) -> NDArray[np.float32]:
    """3,C,3,3: what is bright, what is dark, and what is neither."""
    return np.concatenate([-kernel(channels), kernel(channels), 0.1 * kernel(channels)])


def expected_names(tensor: Tensor) -> Tensor:
    weights = names_kernel(tensor.shape[1])
    names = np.zeros((1, len(CLASSES), HEIGHT // NAMES_STRIDE, WIDTH // NAMES_STRIDE), np.float32)
    for name, channel, row, column in np.ndindex(weights.shape):
        tap = tensor[0, channel, row::NAMES_STRIDE, column::NAMES_STRIDE]
        names[0, name] += tap * weights[name, channel, row, column]
    return names


def softmax(logits: Tensor) -> Tensor:
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def expected_logits(tensor: Tensor) -> Tensor:
    padded = np.pad(tensor[0], ((0, 0), (0, 1), (0, 1)))
    logits = np.zeros((1, 1, HEIGHT // 2, WIDTH // 2), np.float32)
    for channel, row, column in np.ndindex(padded.shape[0], 3, 3):
        tap = padded[channel, row:, column:][:HEIGHT:2, :WIDTH:2]
        logits[0, 0] += tap * kernel(tensor.shape[1])[0, channel, row, column]
    return logits


def png(image: Image) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def onnx_model(*kernels: NDArray[np.float32]) -> bytes:
    """The map that decides, and the classes' where there are kernels for both."""
    channels = kernels[0].shape[1]
    outputs, nodes = [], []
    for name, weights, pads in zip(
        ("logits", "names"), kernels, ([0, 0, 1, 1], [0, 0, 0, 0]), strict=False
    ):
        _, classes, rows, columns = _answer_shape(weights, name)
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, classes, rows, columns])
        )
        stride = HEIGHT // rows
        nodes.append(
            helper.make_node(
                "Conv", ["tensor", f"{name}_weights"], [name], strides=[stride, stride], pads=pads
            )
        )
    graph = helper.make_graph(
        nodes,
        "smoother",
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [1, channels, HEIGHT, WIDTH])],
        outputs,
        [
            numpy_helper.from_array(weights, f"{name}_weights")
            for name, weights in zip(("logits", "names"), kernels, strict=False)
        ],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


def _answer_shape(weights: NDArray[np.float32], name: str) -> tuple[int, int, int, int]:
    """N,C,H,W"""
    stride = 2 if name == "logits" else NAMES_STRIDE
    return 1, len(weights), HEIGHT // stride, WIDTH // stride


def _openvino(kernels: list[NDArray[np.float32]]) -> tuple[bytes, bytes]:
    model = openvino.Core().read_model(onnx_model(*kernels))
    with TemporaryDirectory() as directory:
        path = Path(directory, "model.xml")
        openvino.save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _tflite(kernels: list[NDArray[np.float32]], quantised: bool) -> bytes:
    """The flatbuffer itself: converters take half a minute and three gigabytes for this."""
    channels = kernels[0].shape[1]
    source = _tensor(0, (1, HEIGHT, WIDTH, channels), *_kind(quantised, (SOURCE_STEP, 5)))
    tensors, constants = [source], list[NDArray[Any]]()
    for name, weights in zip(("logits", "names"), kernels, strict=False):
        filters = np.ascontiguousarray(weights.transpose(0, 2, 3, 1))
        _, classes, rows, columns = _answer_shape(weights, name)
        step = float(np.abs(filters).max()) / 127
        first, sink = len(constants) + 1, (1, rows, columns, classes)
        bias = (tflite.TensorType.INT32, (SOURCE_STEP * step, 0))
        tensors += [
            _tensor(first, filters.shape, *_kind(quantised, (step, 0))),
            _tensor(first + 1, (classes,), *(bias if quantised else _kind(False, (0, 0)))),
            _tensor(0, sink, *_kind(quantised, (LOGIT_STEP, -7))),
        ]
        if quantised:
            constants += [np.rint(filters / step).astype(np.int8), np.zeros(classes, np.int32)]
        else:
            constants += [filters, np.zeros(classes, np.float32)]
    return _tflite_file(tensors, constants)


def _kind(quantised: bool, quantisation: tuple[float, int]) -> tuple[int, Any]:
    """A tensor's type, and its scale and zero point where it has some."""
    return (
        (tflite.TensorType.INT8, quantisation) if quantised else (tflite.TensorType.FLOAT32, None)
    )


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
    """Tensors are the input, then filters, bias and output of each convolution; constants fill the
    buffers from 1 on.
    """
    graph = tflite.SubGraphT()
    graph.tensors, graph.inputs = tensors, [0]
    graph.outputs = list(range(3, len(tensors), 3))
    graph.operators = []
    for output in graph.outputs:
        convolution = tflite.OperatorT()
        convolution.inputs, convolution.outputs = [0, output - 2, output - 1], [output]
        convolution.builtinOptionsType = tflite.BuiltinOptions.Conv2DOptions
        options = convolution.builtinOptions = tflite.Conv2DOptionsT()
        options.padding = tflite.Padding.SAME
        options.strideH = options.strideW = HEIGHT // tensors[output].shape[1]
        graph.operators.append(convolution)

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
