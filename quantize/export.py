"""The deploy form as an FP32 ONNX graph: fixed shapes, plain operators, and the same answers."""

from __future__ import annotations

import onnx
import onnxruntime
import torch
from torch import nn

from edge.errors import TracksideError

OPSET = 18  # the newest that the exporter writes without converting, and old enough for every box
STRIDE = 32  # of the coarsest features; at its multiples every x2 is exact
OPERATORS = {"Add", "Conv", "Mul", "Relu", "Resize"}
TOLERANCE = 1e-4  # of the largest logit


class ExportError(TracksideError, ValueError):
    """A network that cannot become a graph, or a graph that answers differently."""


def to_onnx(network: nn.Module, *, height: int, width: int) -> onnx.ModelProto:
    """Export `image` 1,1,H,W to `logits` 1,1,H/2,W/2, and check it against the network."""
    for side, length in (("height", height), ("width", width)):
        if length % STRIDE:
            better = -(-length // STRIDE) * STRIDE
            raise ExportError(f"{side} {length} is not a multiple of {STRIDE}: use {better}")
    image = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    program = torch.onnx.export(
        network,
        (image,),
        input_names=["image"],
        output_names=["logits"],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # only the legacy exporter returns nothing
    graph = program.model_proto
    _drop_traces(graph)
    onnx.checker.check_model(graph, full_check=True)
    if stray := {node.op_type for node in graph.graph.node} - OPERATORS:
        raise ExportError(f"the graph has operators beside the network's own: {sorted(stray)}")
    _compare(graph, network, image)
    return graph


def _drop_traces(graph: onnx.ModelProto) -> None:
    """Remove the exporter's stack traces: a third of the file, and paths of this machine."""
    del graph.graph.metadata_props[:]
    for described in (*graph.graph.node, *graph.graph.value_info, *graph.graph.initializer):
        del described.metadata_props[:]
    for end in (*graph.graph.input, *graph.graph.output):
        del end.metadata_props[:]


def _compare(graph: onnx.ModelProto, network: nn.Module, image: torch.Tensor) -> None:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answer = torch.from_numpy(session.run(None, {"image": image.numpy()})[0])
    with torch.inference_mode():
        wanted = network(image)
    error = float((answer - wanted).abs().max() / wanted.abs().max().clamp(min=1))
    if not error <= TOLERANCE:
        raise ExportError(
            f"the graph differs from the network by {error:.1e} of the largest logit, more than "
            f"{TOLERANCE:.0e}: the exporter or ONNX Runtime changed, try the pinned versions"
        )
