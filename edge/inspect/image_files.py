"""Inspect image files: a saliency map, an overlay and a verdict for each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any

import numpy as np

from edge.bundle import Manifest
from edge.errors import FrameError, UsageError
from edge.files.image_file import IMAGE_SUFFIXES, read_image, write_image
from edge.inspect.finder import find
from edge.inspect.naming import naming_of
from edge.inspect.overlay import draw_overlay
from edge.inspect.quality import faults
from edge.inspect.verdict import Judge, unknown
from edge.line_file import MinArea, Quality, Rules
from edge.network import Network
from edge.types import Frame, Image, Mask, State, Stretch, Verdict


@dataclass(frozen=True)
class Prediction:
    """One image's verdict; `error` where the file could not be inspected at all."""

    path: Path
    verdict: Verdict | None
    error: str | None = None

    @property
    def state(self) -> State:
        return State.UNKNOWN if self.verdict is None else self.verdict.state

    def record(self) -> dict[str, Any]:
        """The image's line in `results.jsonl`."""
        defects = self.verdict.defects if self.verdict else ()
        return {
            "image": str(self.path),
            "state": self.state.value,
            "reasons": list(self.verdict.reasons) if self.verdict else [],
            "error": self.error,
            "defects": [
                {"box_px": d.box_px, "area_mm2": d.area_mm2, "length_mm": d.length_mm}
                | {"width_mm": d.width_mm, "score": d.score, "class": d.class_name}
                for d in defects
            ],
        }


def collect_images(paths: list[Path]) -> list[Path]:
    """The image files named or found in the folders named; no two may share a stem."""
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise UsageError(f"{path} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))})")
            images += found
        elif path.is_file():
            images.append(path)
        else:
            raise UsageError(f"{path} is neither a file nor a folder")
    twice = [stem for stem, count in Counter(p.stem for p in images).items() if count > 1]
    if twice:
        raise UsageError(
            f"{len(twice)} names occur twice, so their results would overwrite each other: "
            f"{', '.join(twice[:5])}; predict the folders into different --out folders"
        )
    return images


def predict(images: list[Path], network: Network, out: Path) -> Iterator[Prediction]:
    """Inspect each image and write its results; a corrupt one does not stop the rest."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "results.jsonl").open("w") as results:
        for index, path in enumerate(images):
            try:
                prediction = _predict_one(index, path, network, out)
            except FrameError as error:
                prediction = Prediction(path, None, str(error))
            print(json.dumps(prediction.record()), file=results, flush=True)
            yield prediction


def _predict_one(index: int, path: Path, network: Network, out: Path) -> Prediction:
    manifest = network.bundle.manifest
    image = read_image(path, colour=manifest.input.channels == 3)
    frame = _as_frame(index, image, manifest)
    mask = network.see(frame.image)
    verdict = _judge(frame, mask, manifest)
    write_image(out / f"{path.stem}.png", np.round(mask.probability * 255).astype(np.uint8))
    write_image(out / f"{path.stem}_overlay.png", draw_overlay(frame.image, mask, verdict))
    return Prediction(path, verdict)


def _judge(frame: Frame, mask: Mask, manifest: Manifest) -> Verdict:
    """Without a line file, every defect that the bundle is good for counts."""
    if reasons := faults(frame, Quality(), frame.captured_ns):
        return unknown(frame, reasons)
    rules = Rules(reject_if=MinArea(min_area_mm2=manifest.limits.min_area_mm2))
    found = find(frame, mask, manifest.limits, naming_of(rules, manifest))
    return Judge(rules).judge(frame, *found)


def _as_frame(index: int, image: Image, manifest: Manifest) -> Frame:
    """A file knows no scale: take it to show as much surface as the network was trained for."""
    spec, width = manifest.input, image.shape[1]
    shown_um = round(spec.height * spec.um_per_px)
    return Frame(
        index, image, monotonic_ns(), Stretch(0, shown_um), spec.width * spec.um_per_px / width
    )
