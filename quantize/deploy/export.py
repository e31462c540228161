"""The deploy form as an FP32 ONNX graph: plain operators, named layers, and the same answers."""

from __future__ import annotations

import ast
from collections import Counter

import onnx
import onnxruntime
import torch
from torch import nn
from torch._dynamo.exc import UserError
from torch.export import Dim

from edge.bundle import STRIDE
from edge.errors import TracksideError
from quantize.deploy.deploy_form import apart, listed

OPSET = 18  # the newest that the exporter writes without converting, and old enough for every box
MOST_STRIDES = 128  # 4096 pixels, the most a dynamic side may have
TOLERANCE = 1e-4  # of the largest logit
SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter says which module a node is of


class ExportError(TracksideError, ValueError):
    """A network that cannot become a graph, or a graph that answers differently."""


def to_onnx(
    network: nn.Module, *, height: int, width: int, channels: int = 1, dynamic: bool = False
) -> onnx.ModelProto:
    """Export `image` 1,C,H,W to `logits`, and to `names` of classes, checked against the network.

    A `dynamic` graph takes every height and width that are multiples of 32; it is checked at the
    size given and at one that is taller and wider.
    """
    odd = dynamic or (height, width) not in getattr(network, "odd_sizes", ())
    for side, length in (("height", height), ("width", width)):
        if odd and length % STRIDE:
            better = -(-length // STRIDE) * STRIDE
            raise ExportError(f"{side} {length} is not a multiple of {STRIDE}: use {better}")
    image = _image(channels, height, width)
    program = _program(network, image, dynamic)
    graph = program.model_proto
    _name_layers(graph)
    _drop_traces(graph)
    onnx.checker.check_model(graph, full_check=True)
    _compare(graph, network, image)
    if dynamic:
        _compare(graph, network, _image(channels, height + STRIDE, width + 2 * STRIDE))
    return graph


def _image(*shape: int) -> torch.Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))


def _program(network: nn.Module, image: torch.Tensor, dynamic: bool) -> torch.onnx.ONNXProgram:
    sides = {2: "rows", 3: "columns"}
    shapes = {axis: STRIDE * Dim(name, min=1, max=MOST_STRIDES) for axis, name in sides.items()}
    try:
        program = torch.onnx.export(
            network,
            (image,),
            input_names=["image"],
            output_names=["logits", "names"][: len(listed(network(image)))],
            opset_version=OPSET,
            dynamic_shapes=(shapes,) if dynamic else None,
            dynamo=True,
            verbose=False,
        )
    except (torch.onnx.OnnxExporterError, UserError) as error:
        if not dynamic:
            raise
        raise ExportError(
            "the network's layers depend on its size: export it without --dynamic, at a fixed one"
        ) from error
    assert program is not None  # only the legacy exporter returns nothing
    return program


def _name_layers(graph: onnx.ModelProto) -> None:
    """Call a convolution what the deploy form calls it, anything else by the module it is in."""
    taken: Counter[str] = Counter()
    for node in graph.graph.node:
        described = {entry.key: entry.value for entry in node.metadata_props}
        scopes: list[str] = ast.literal_eval(described.get(SCOPES, f"['{node.name}']"))
        *_, module, leaf = ["", *scopes]
        name = module if node.op_type in {"Conv", "ConvTranspose"} else f"{module}/{leaf}"
        taken[name] += 1
        # A module that is called twice is two nodes.
        node.name = name if taken[name] == 1 else f"{name}#{taken[name]}"


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
    answers = session.run(None, {"image": image.numpy()})
    with torch.inference_mode():
        wanted = listed(network(image))
    error = max(apart(torch.from_numpy(a), w) for a, w in zip(answers, wanted, strict=True))
    if not error <= TOLERANCE:
        raise ExportError(
            f"the graph differs from the network by {error:.1e} of the largest logit, more than "
            f"{TOLERANCE:.0e}: the exporter or ONNX Runtime changed, try the pinned versions"
        )
