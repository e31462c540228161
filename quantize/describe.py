"""The manifest of a bundle: what the network is, what it is good for, and where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Literal

import torch

from edge.box import Box
from edge.bundle import InputSpec, Limits, Manifest, NamesSpec, OutputSpec, Packed
from quantize.deploy import Trained, listed
from quantize.parity import Parity, Settled, golden_of, sha256
from quantize.targets import Calibration, Fp32Onnx
from reference.data import Pair
from reference.networks.catalogue import count_macs

DIVIDED = "each divided by its own maximum, as its paper does: one hot pixel darkens the rest"
UNSURE_BELOW = 0.5  # of the shares: a likelier class than all others together is told
TOOLS = ("torch", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch", "ai-edge-quantizer")


@dataclass(frozen=True)
class Purpose:
    """What the bundle is called and good for: the manifest's part that no checkpoint knows."""

    name: str
    um_per_px: float
    threshold: float
    limits: Limits
    follow: Literal["rail"] | None = None
    clip: float = 0.0  # of the probability
    origin: Mapping[str, str] = field(default_factory=dict)  # what else its provenance tells


def describe(
    trained: Trained,
    calibration: Calibration,
    validation: Sequence[Pair],
    purpose: Purpose,
    *,
    full_range: bool,
) -> Manifest:
    """The manifest, but for what is measured."""
    spec = input_spec(trained, purpose.um_per_px).model_copy(update={"follow": purpose.follow})
    image = torch.zeros(1, spec.channels, spec.height, spec.width)
    with torch.inference_mode():
        logits, *coarser = listed(trained.network(image))
    *_, height, width = logits.shape
    return Manifest(
        format=2,
        name=purpose.name,
        network=trained.recipe.network["name"],
        input=spec,
        output=OutputSpec(height=height, width=width, kind="logits", clip=purpose.clip),
        threshold=purpose.threshold,
        classes=list(trained.classes) or ["defect"],
        names=_names_spec(trained, coarser[0]) if coarser else None,
        limits=purpose.limits,
        artefacts=[Fp32Onnx.artefact],  # until there are others
        golden=golden_of(named=bool(coarser)),
        provenance=_provenance(trained, calibration, validation, full_range) | {**purpose.origin},
        macs=count_macs(trained.network, image),
    )


def _names_spec(trained: Trained, names: torch.Tensor) -> NamesSpec:
    *_, height, width = names.shape
    return NamesSpec(
        height=height,
        width=width,
        unsure_below=UNSURE_BELOW,
        report_only=list(trained.recipe.report_only),
        sound=trained.sound,
    )


def input_spec(trained: Trained, um_per_px: float) -> InputSpec:
    """How the box makes a tensor of an image, by the recipe that the network was trained with."""
    recipe, size = trained.recipe, trained.recipe.validation.size
    # A recipe says red first, as ImageNet's weights have it; the box's planes are blue first.
    means = [recipe.mean] if isinstance(recipe.mean, float) else list(reversed(recipe.mean))
    stds = [recipe.std] if isinstance(recipe.std, float) else list(reversed(recipe.std))
    if recipe.divide_by_maximum:  # which the graph does, and then what is asked here
        means, stds = [0.0] * len(means), [1.0] * len(stds)
    return InputSpec(
        height=size,
        width=size,
        channels=recipe.channels,
        mean=[255 * mean for mean in means * (recipe.channels // len(means))],
        scale=[1 / (255 * std) for std in stds * (recipe.channels // len(stds))],
        resize="linear",
        um_per_px=um_per_px,
    )


def _provenance(
    trained: Trained, calibration: Calibration, validation: Sequence[Pair], full_range: bool
) -> dict[str, str]:
    recipe = trained.recipe
    written = recipe.model_dump_json()
    return {
        "network": json.dumps(recipe.network, sort_keys=True),
        "checkpoint": f"sha256 {trained.sha256}",
        "iteration": str(trained.iteration),
        "recipe": f"sha256 {hashlib.sha256(written.encode()).hexdigest()}",
        "data": ", ".join(section.path for section in recipe.data),
        "calibration": f"{len(calibration.images)} images, sha256 {calibration.sha256}",
        "validation": f"{len(validation)} images, sha256 {sha256(validation)}",
        **({"pictures": DIVIDED} if recipe.divide_by_maximum else {}),
        "weights": "8 bits" if full_range else "7 bits on x86, for CPUs without VNNI",
        "tools": ", ".join(f"{tool} {version(tool)}" for tool in TOOLS),
    }


def measured(manifest: Manifest, wanted: Parity, settled: Sequence[Settled]) -> Manifest:
    """The manifest with its artefacts, what each reaches, and when and where that was seen."""
    kept = {one.name: list(one.kept) for one in settled if one.kept}
    provenance = manifest.provenance | ({"kept in fp32": json.dumps(kept)} if kept else {})
    times_ms = {p.engine: round(p.infer_ms, 2) for p in (wanted, *(s.parity for s in settled))}
    return manifest.model_copy(
        update={
            "artefacts": [
                one.artefact.model_copy(update={"accuracy": one.parity.accuracy}) for one in settled
            ],
            "provenance": provenance,
            "packed": Packed(
                at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                machine=Box().name(),
                infer_ms=times_ms,
            ),
        }
    )
