"""The bundle: artefacts for every engine, a golden pair, and where all of it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from edge.bundle import write_bundle
from edge.manifest import Artefact, InputSpec, Limits, Manifest, OutputSpec
from edge.preprocess import to_tensor
from edge.types import Tensor
from quantize import ptq_litert, ptq_onnxruntime, ptq_openvino
from quantize.calibrate import Calibration
from quantize.deploy_form import Trained
from quantize.export import to_onnx
from quantize.golden import GOLDEN, golden_pair
from quantize.parity import Parity, TorchEngine, ask, compare, open_artefact, require
from reference.data import Pair
from reference.networks.catalogue import count_macs

Step = Callable[[str], AbstractContextManager[None]]  # shows what is being done, and for how long

# The first of an engine is the one a box takes unless its line file names a precision.
OPENVINO = Artefact(engine="openvino", precision="int8", path="openvino/model.xml", layout="NCHW")
ONNXRUNTIME = Artefact(engine="onnxruntime", precision="int8", path="int8.onnx", layout="NCHW")
LITERT = Artefact(engine="litert", precision="int8", path="int8.tflite", layout="NHWC")
ONNXRUNTIME_FP32 = Artefact(engine="onnxruntime", precision="fp32", path="fp32.onnx", layout="NCHW")

TOOLS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch", "ai-edge-quantizer")


@dataclass(frozen=True)
class Purpose:
    """What the bundle is called and good for: the manifest's part that no checkpoint knows."""

    name: str
    um_per_px: float
    threshold: float
    limits: Limits


def build(
    trained: Trained,
    calibration: Calibration,
    pairs: Sequence[Pair],
    purpose: Purpose,
    *,
    out: Path,
    step: Step,
) -> list[Parity]:
    """Write the bundle of a trained network; FP32's figures come first, then each artefact's."""
    manifest = describe(trained, calibration, purpose)
    tensors = [to_tensor(image, manifest.input) for image in calibration.images]
    files = make_artefacts(trained, tensors, step)
    with step("Ask torch fp32"), closing(TorchEngine(trained.network)) as fp32:
        files |= golden_pair(fp32, manifest)
        wanted = ask(fp32, pairs, manifest)
    parities, artefacts = [compare(wanted, wanted, pairs)], []
    with TemporaryDirectory() as folder:
        draft = write_bundle(manifest, files, Path(folder, out.name))
        for artefact in manifest.artefacts:
            named = f"Ask {artefact.engine} {artefact.precision}"
            with step(named), closing(open_artefact(artefact, draft)) as engine:
                parity = compare(ask(engine, pairs, manifest), wanted, pairs)
            require(parity, parities[0])
            parities.append(parity)
            artefacts.append(artefact.model_copy(update={"accuracy": parity.accuracy}))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(manifest.model_copy(update={"artefacts": artefacts}), files, out)
    return parities


def make_artefacts(trained: Trained, tensors: Sequence[Tensor], step: Step) -> dict[str, bytes]:
    """Every network file of the bundle."""
    size = trained.recipe.validation.size
    with step("Export to ONNX"):
        graph = to_onnx(trained.network, height=size, width=size)
    with step("Quantize for OpenVINO"):
        xml, weights = ptq_openvino.quantize(graph, tensors)
    with step("Quantize for ONNX Runtime"):
        onnx_int8 = ptq_onnxruntime.quantize(graph, tensors)
    with step("Quantize for LiteRT"):
        tflite = ptq_litert.quantize(trained.network, tensors)
    return {
        OPENVINO.path: xml,
        OPENVINO.weights: weights,
        ONNXRUNTIME.path: onnx_int8,
        ONNXRUNTIME_FP32.path: graph.SerializeToString(),
        LITERT.path: tflite,
    }


def describe(trained: Trained, calibration: Calibration, purpose: Purpose) -> Manifest:
    """The manifest, but for each artefact's accuracy."""
    recipe = trained.recipe
    size = recipe.validation.size
    return Manifest(
        format=1,
        name=purpose.name,
        network=recipe.network["name"],
        input=InputSpec(
            height=size,
            width=size,
            channels=1,
            mean=[255 * recipe.mean],
            scale=[1 / (255 * recipe.std)],
            resize="linear",
            um_per_px=purpose.um_per_px,
        ),
        output=OutputSpec(height=size // 2, width=size // 2, kind="logits"),
        threshold=purpose.threshold,
        classes=["defect"],
        limits=purpose.limits,
        macs=count_macs(trained.network, torch.zeros(1, 1, size, size)),
        artefacts=[OPENVINO, ONNXRUNTIME, LITERT, ONNXRUNTIME_FP32],
        golden=GOLDEN,
        provenance=_provenance(trained, calibration),
    )


def _provenance(trained: Trained, calibration: Calibration) -> dict[str, str]:
    recipe = trained.recipe
    written = recipe.model_dump_json()
    return {
        "network": json.dumps(recipe.network, sort_keys=True),
        "checkpoint": f"sha256 {trained.sha256}",
        "iteration": str(trained.iteration),
        "recipe": f"sha256 {hashlib.sha256(written.encode()).hexdigest()}",
        "data": ", ".join(section.path for section in recipe.data),
        "calibration": f"{len(calibration.images)} images, sha256 {calibration.sha256}",
        "tools": ", ".join(f"{tool} {version(tool)}" for tool in TOOLS),
    }
