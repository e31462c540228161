"""Where peers are made: a network in each form, converted for each engine, at the size asked for.

It lives in a process of its own, with PyTorch and the converters in it, and is gone before anything
is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import onnx
import openvino
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.bench.accuracy import FIRST_SEED, simulated_frames
from benchmarks.bench.schema import Form
from benchmarks.bench.sources import TorchSource
from benchmarks.bench.torch_engine import network_of
from edge.bundle import (
    Artefact,
    Bundle,
    EngineName,
    Golden,
    GoldenNames,
    Manifest,
    Precision,
    write_bundle,
)
from edge.network import read_shares, to_tensor
from edge.network.golden import count_defects
from edge.types import Tensor, clipped, sigmoid
from quantize.deploy import listed
from reference.networks.catalogue import CATALOGUE, count_macs

Size = tuple[int, int]  # height, width
Made = tuple[Artefact, Mapping[str, bytes]]  # and its files

_OPSET = 18
_CALIBRATION_FRAMES = 32
_GOLDEN_FRAMES = 30
_CALIBRATION_SEED = FIRST_SEED + 50_000  # none of those that accuracy is measured on
_OTHERS = ("MINet", "NaDiNet-D", "CSEPNet", "LSA-Net", "BDMS")  # of each paper the lightest
_GOLDEN = Golden(input="golden/input.png", output="golden/output.png", min_iou=0.9, max_mae=0.01)
_GOLDEN_NAMES = GoldenNames(output="golden/names.png", min_same=0.9, max_mae=0.05)


class Workshop:
    """Makes the peers of one bundle from the checkpoint that it came from."""

    def __init__(self, like: Manifest, arguments: dict[str, Any], trained: Path) -> None:
        """`arguments` are what `reference.networks.build` takes."""
        self._like, self._arguments, self._trained = like, arguments, trained
        self._pieces: dict[tuple[Form, Size], _Piece] = {}

    def source(self, form: Form, size: Size) -> TorchSource:
        """The trained network as PyTorch runs it."""
        return self._piece(form, size).source()

    def bundle(self, form: Form, size: Size, engine: EngineName, precision: Precision) -> Bundle:
        """A bundle with one artefact in it."""
        return self._piece(form, size).bundle(engine, precision)

    def others(self) -> list[str]:
        """A network of each other paper, by its variant's name."""
        names = {entry.variant: entry.name for entry in CATALOGUE}
        return [variant for variant in _OTHERS if names[variant] != self._arguments["name"]]

    def other(self, variant: str) -> TorchSource:
        """Another paper's network at its own size, with random weights: for its speed alone."""
        entry = next(entry for entry in CATALOGUE if entry.variant == variant)
        arguments = {"name": entry.name, **entry.arguments}
        return _Piece(self._like, arguments, "official", (entry.size, entry.size), None).source()

    def yolo(self, variant: str, size: Size) -> Bundle:
        """What somebody would train instead, INT8 for OpenVINO, with random weights."""
        piece = _YoloPiece(self._like, {"name": variant}, "official", size, None)
        return piece.bundle("openvino", "int8")

    def _piece(self, form: Form, size: Size) -> _Piece:
        if (form, size) not in self._pieces:
            piece = _Piece(self._like, self._arguments, form, size, self._trained)
            self._pieces[form, size] = piece
        return self._pieces[form, size]


@dataclass(frozen=True, eq=False)
class _Piece:
    """One network in one form at one size. What conversions share is made once."""

    like: Manifest
    arguments: dict[str, Any]
    form: Form
    size: Size
    trained: Path | None

    def source(self) -> TorchSource:
        return TorchSource(
            manifest=self.manifest,
            network=self.arguments,
            form=self.form,
            weight_bytes=4 * sum(p.numel() for p in self.network.parameters()),
            checkpoint=self.trained,
        )

    def bundle(self, engine: EngineName, precision: Precision) -> Bundle:
        artefact, files = _FP32[engine](self) if precision == "fp32" else self._int8(engine)
        golden = _GOLDEN
        if self.manifest.names is not None:
            golden = golden.model_copy(update={"names": _GOLDEN_NAMES})
        manifest = self.manifest.model_copy(update={"artefacts": [artefact], "golden": golden})
        with TemporaryDirectory() as folder:
            path = Path(folder, f"{self.form}.bundle")
            return write_bundle(manifest, {**files, **self._golden_pair()}, path)

    def _int8(self, engine: EngineName) -> Made:
        """As `trackside quantize` makes it."""
        from quantize.targets import Material, open_target  # noqa: PLC0415 (takes long to import)

        material = Material(self.network, self.graph, self.tensors, self.manifest.input)
        target = open_target(engine, material)
        return target.artefact, target.quantize(())

    def _golden_pair(self) -> dict[str, bytes]:
        """A frame and what PyTorch answers: with a defect that counts, where there is one in so
        many, and any frame otherwise, since peers are measured and not refused.
        """
        for seen in simulated_frames(self.manifest, _GOLDEN_FRAMES):
            image = seen.frame.image
            with torch.inference_mode():
                tensor = torch.from_numpy(to_tensor(image, self.manifest.input))
                logits, *names = (each.numpy() for each in listed(self.network(tensor)))
            answer = clipped(sigmoid(logits[0, 0]), self.manifest.output.clip)
            if count_defects(answer > self.manifest.threshold, self.manifest):
                break
        files = {_GOLDEN.input: _png(image), _GOLDEN.output: _png(_levels(answer))}
        if names:
            files[_GOLDEN_NAMES.output] = _png(
                _levels(np.vstack([*read_shares(names[0], self.manifest)]))
            )
        return files

    @cached_property
    def network(self) -> nn.Module:
        return network_of(self.arguments, self.form, self.trained)

    @cached_property
    def manifest(self) -> Manifest:
        """As the bundle's; but published networks take three channels, and answer at full size."""
        spec, (height, width) = self.like.input, self.size
        repeat = 1 if self.form == "deploy" else 3 // spec.channels
        channels = spec.channels * repeat
        network = self.network
        if self.form == "released":  # its mixes are functions, which no counter sees
            network = network_of(self.arguments, "official", self.trained)
        macs, sizes = _counted(network, torch.zeros(1, channels, height, width))
        taken = {"height": height, "width": width, "channels": channels}
        scales = {"mean": spec.mean * repeat, "scale": spec.scale * repeat}
        given, *coarser = (dict(zip(("height", "width"), size, strict=True)) for size in sizes)
        update: dict[str, Any] = {
            "network": self.arguments["name"],
            "input": spec.model_copy(update=taken | scales),
            "output": self.like.output.model_copy(update=given),
            "macs": macs,
        }
        if coarser and self.like.names is not None:
            update["names"] = self.like.names.model_copy(update=coarser[0])
        else:  # another paper's network, which names nothing
            update |= {"names": None, "classes": ["defect"]}
        return self.like.model_copy(update=update)

    @cached_property
    def tensors(self) -> list[Tensor]:
        """To calibrate on: simulated, so that every box has them."""
        frames = simulated_frames(self.manifest, _CALIBRATION_FRAMES, _CALIBRATION_SEED)
        return [to_tensor(seen.frame.image, self.manifest.input) for seen in frames]

    @cached_property
    def graph(self) -> onnx.ModelProto:
        """FP32 ONNX, every shape fixed."""
        tensor = torch.from_numpy(self.tensors[0])
        program = torch.onnx.export(
            self.network,
            (tensor,),
            input_names=["image"],
            output_names=["logits", "names"][: len(listed(self.network(tensor)))],
            opset_version=_OPSET,
            dynamo=True,
            verbose=False,
        )
        assert program is not None  # only the legacy exporter returns nothing
        return program.model_proto


@dataclass(frozen=True, eq=False)
class _YoloPiece(_Piece):
    """One of YOLO's, which is no network of ours."""

    @cached_property
    def network(self) -> nn.Module:
        from benchmarks.bench.yolo import YoloMap  # noqa: PLC0415 (ultralytics, for this alone)

        return YoloMap(self.arguments["name"], len(self.like.classes))


def _counted(network: nn.Module, image: torch.Tensor) -> tuple[int, list[Size]]:
    """Multiply-adds, and the sizes of the answers, from one run: the largest takes seconds."""
    sizes: list[Size] = []

    def note(_: nn.Module, __: object, answer: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        sizes.extend((each.shape[-2], each.shape[-1]) for each in listed(answer))

    hook = network.register_forward_hook(note)
    with torch.inference_mode():
        macs = count_macs(network, image)
    hook.remove()
    return macs, sizes


def _onnx_fp32(piece: _Piece) -> Made:
    artefact = Artefact(engine="onnxruntime", precision="fp32", path="fp32.onnx", layout="NCHW")
    return artefact, {artefact.path: piece.graph.SerializeToString()}


def _openvino_fp32(piece: _Piece) -> Made:
    artefact = Artefact(engine="openvino", precision="fp32", path="fp32.xml", layout="NCHW")
    model = openvino.Core().read_model(piece.graph.SerializeToString())
    with TemporaryDirectory() as folder:
        path = Path(folder, artefact.path)
        openvino.save_model(model, path, compress_to_fp16=False)
        weights = path.with_suffix(".bin").read_bytes()
        return artefact, {artefact.path: path.read_bytes(), artefact.weights: weights}


def _litert_fp32(piece: _Piece) -> Made:
    import litert_torch  # noqa: PLC0415 (takes twenty seconds)

    artefact = Artefact(engine="litert", precision="fp32", path="fp32.tflite", layout="NHWC")
    outputs = list(range(1 if piece.manifest.names is None else 2))
    channel_last = litert_torch.to_channel_last_io(piece.network, args=[0], outputs=outputs).eval()
    sample = np.ascontiguousarray(piece.tensors[0].transpose(0, 2, 3, 1))
    with TemporaryDirectory() as folder:
        path = Path(folder, artefact.path)
        litert_torch.convert(channel_last, (torch.from_numpy(sample),)).export(str(path))
        return artefact, {artefact.path: path.read_bytes()}


_FP32: dict[EngineName, Callable[[_Piece], Made]] = {
    "onnxruntime": _onnx_fp32,
    "openvino": _openvino_fp32,
    "litert": _litert_fp32,
}


def _levels(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(255 * probability).astype(np.uint8)


def _png(image: np.ndarray[Any, Any]) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()
