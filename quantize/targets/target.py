"""What INT8 is made for: an engine of the box each, with its way to quantize and to be measured.

A target's module has one class `Target`; it alone imports its vendor's converter, and is itself
imported only when the target is asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from edge.bundle import Artefact, InputSpec
from edge.errors import UsageError
from edge.types import Tensor
from quantize.targets.accuracy import Accuracy

MODULES = {
    "openvino": "quantize.targets.ptq_openvino",
    "onnxruntime": "quantize.targets.ptq_onnxruntime",
    "litert": "quantize.targets.ptq_litert",
    "native": "quantize.targets.ptq_native",
}
Files = Mapping[str, bytes]  # by their names in the bundle
Layers = dict[str, NDArray[np.floating]]  # what each layer gave for one tensor


@dataclass(frozen=True, eq=False)
class Material:
    """What every target is made of."""

    network: nn.Module  # the deploy form
    graph: onnx.ModelProto  # the same, with named layers
    tensors: Sequence[Tensor]  # to calibrate on
    spec: InputSpec  # how they were made of images
    full_range: bool = False  # 8-bit weights, where every box has VNNI or another safe sum
    accuracy: Accuracy | None = None  # what OpenVINO's layers are given back to FP32 for


class Target(Protocol):
    """One engine's INT8."""

    artefact: Artefact

    def quantize(self, keep: Collection[str]) -> Files:
        """The artefact's files; the layers to keep stay in FP32."""
        ...

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        """What each layer gives in FP32 and in INT8, on this engine."""
        ...


class Fp32Onnx:
    """The graph itself, for whoever wants FP32 or a converter of their own."""

    artefact = Artefact(engine="onnxruntime", precision="fp32", path="fp32.onnx", layout="NCHW")

    def __init__(self, material: Material) -> None:
        self._graph = material.graph

    def quantize(self, keep: Collection[str]) -> Files:
        return {self.artefact.path: self._graph.SerializeToString()}

    def layer_pairs(self, files: Files, tensor: Tensor) -> tuple[Layers, Layers]:
        return {}, {}


def open_target(name: str, material: Material) -> Target:
    """The target of an engine's name."""
    target: Target = import_module(MODULES[name]).Target(material)
    return target


def parse_targets(text: str) -> list[str]:
    """`openvino,litert` as names, in the order of a bundle's artefacts."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in MODULES]:
        raise UsageError(f"--targets {unknown[0]}: choose from {','.join(MODULES)}")
    return [name for name in MODULES if name in names]
