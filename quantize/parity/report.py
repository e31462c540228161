"""The parity report: `parity.json`, and the same for people as one HTML file."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from edge.bundle import Artefact, Manifest
from edge.inspect import draw_overlay
from edge.network import GoldenResult
from edge.types import Image
from quantize.parity.gate import drops
from quantize.parity.naming import NamesParity
from quantize.parity.parity import Flip, Parity
from quantize.targets import LayerNoise

MOST_PICTURES = 24  # of flips, for each engine


@dataclass(frozen=True, eq=False)
class Settled:
    """One artefact as it goes into the bundle, and what is known of it."""

    artefact: Artefact
    files: Mapping[str, bytes]
    parity: Parity
    kept: tuple[str, ...]  # layers in FP32
    noises: Sequence[LayerNoise]  # empty: nobody asked
    over: Sequence[str] = ()  # what it lost beyond its limits
    golden: GoldenResult | None = None  # what it makes of the golden pair, where it reproduces it

    @property
    def name(self) -> str:
        return f"{self.artefact.engine} {self.artefact.precision}"


def report(
    manifest: Manifest, wanted: Parity, settled: Sequence[Settled], limits: Mapping[str, float]
) -> dict[str, Any]:
    """`parity.json`. No time is in it: the same bundle packed again has the same."""
    return {
        "format": 1,
        "bundle": manifest.name,
        "threshold": manifest.threshold,
        "limits": manifest.limits.model_dump(),
        "max_drop": dict(limits),
        "asked": wanted.asked,
        "provenance": manifest.provenance,
        "engines": [
            _figures(wanted),
            *(_figures(one.parity) | _of_artefact(one, wanted) for one in settled),
        ],
    }


def _figures(parity: Parity) -> dict[str, Any]:
    figures = {
        "engine": parity.engine,
        "all": parity.all,
        "classes": parity.classes,
        "sizes": parity.sizes,
    }
    return figures if parity.names is None else figures | {"names": _names(parity.names)}


def _names(names: NamesParity) -> dict[str, Any]:
    return {
        "found": names.found,
        "right": round(names.right_share, 5),
        "found_simulated": names.found_simulated,
        "right_with_simulated": round(names.right_share_of_all, 5),
        "found_by_fp32_too": names.matched,
        "as_fp32": round(names.same_share, 5),
        "flips": [
            {
                "image": flip.subject.pair.name,
                "origin": flip.subject.origin,
                "box_px": list(flip.box_px),
                "fp32": flip.wanted,
                "int8": flip.got,
            }
            for flip in names.flips
        ],
    }


def _of_artefact(one: Settled, wanted: Parity) -> dict[str, Any]:
    parity = one.parity
    simulated = parity.mask_iou_simulated
    return {
        "bytes": {name: len(content) for name, content in one.files.items()},
        "mask_iou": round(parity.mask_iou, 5),
        "mask_iou_simulated": None if simulated is None else round(simulated, 5),
        "drops": drops(parity, wanted),
        "over": list(one.over),
        "flips": [_flip(flip) for flip in parity.flips],
        "kept": list(one.kept),
        "layers": [asdict(noise) for noise in one.noises],
    }


def _flip(flip: Flip) -> dict[str, Any]:
    def said(verdict: Any) -> dict[str, Any]:
        areas = [round(defect.area_mm2, 1) for defect in verdict.defects]
        return {"state": verdict.state.value, "areas_mm2": areas}

    subject = flip.subject
    return {
        "image": subject.pair.name,
        "origin": subject.origin,
        "fp32": said(flip.wanted[1]),
        "int8": said(flip.got[1]),
    }


def as_json(content: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode()


def as_html(
    content: Mapping[str, Any],
    settled: Sequence[Settled],
    *,
    all_pictures: bool,
    times_ms: Mapping[str, float] | None = None,
) -> bytes:
    """The page. Without `all_pictures` it shows the simulated line's alone, nobody's data.

    Times are left out where they are not given, so that a page in a bundle stays the same.
    """
    pictures = {
        one.name: [
            _pictures(flip)
            for flip in one.parity.flips
            if all_pictures or flip.subject.origin == "simulated"
        ][:MOST_PICTURES]
        for one in settled
    }
    page = _template().render(report=content, pictures=pictures, times_ms=times_ms or {})
    return page.encode()


@cache
def _template() -> Template:
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html.j2")


def _pictures(flip: Flip) -> dict[str, Any]:
    image = flip.subject.pair.image
    return {
        **_flip(flip),
        "seen": [
            _url(image),
            *(_url(draw_overlay(image, *one)) for one in (flip.wanted, flip.got)),
        ],
    }


def _url(image: Image) -> str:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f"data:image/jpeg;base64,{b64encode(encoded.tobytes()).decode()}"
