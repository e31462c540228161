"""Inspect image files: a saliency map, an overlay and a verdict for each.

Each is looked at by itself, by the inspector that runs on a line. One that is larger than the
network is cut to tiles at its own scale, or followed along the rail in it, and never shrunk to it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import FrameError, UsageError
from edge.files.image_file import IMAGE_SUFFIXES, read_image, write_image
from edge.inspect.finder import Found, find
from edge.inspect.inspector import Inspection, Inspector, view_of
from edge.inspect.naming import naming_of
from edge.inspect.overlay import draw_overlay
from edge.inspect.region import Region, region_of
from edge.inspect.tiling import View, WholeView
from edge.inspect.verdict import Judge
from edge.line_file import OVERLAP_PX, Lookout, MinArea, Quality, Rules, TileSettings
from edge.network import Network
from edge.types import Defect, Frame, Image, State, Stretch, Verdict

ANY_LIGHT = Quality(
    min_sharpness=0, min_texture_share=0, dark_below=0, bright_above=255, max_saturated_share=1
)
_KINDS = ("", "_overlay")  # what is written for an image, by the end of its name
_NOW_NS = 0  # a file does not grow stale


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
        verdict = self.verdict
        return {
            "image": str(self.path),
            "state": self.state.value,
            "reasons": list(verdict.reasons) if verdict else [],
            "error": self.error,
            "defects": [_record(each) for each in verdict.defects] if verdict else [],
            "reported": [_record(each) for each in verdict.reported] if verdict else [],
            "let_by": [_record(each) for each in verdict.let_by] if verdict else [],
        }


def _record(found: Defect) -> dict[str, Any]:
    return {
        "box_px": found.box_px,
        "class": found.class_name,
        "class_score": found.class_score,
        "code": found.code,
        "score": found.score,
        "area_mm2": found.area_mm2,
        "length_mm": found.length_mm,
        "width_mm": found.width_mm,
    }


@dataclass(frozen=True)
class PictureInspector:
    """Inspects pictures that nothing joins: a defect never goes on from one in the next."""

    network: Network
    rules: Rules
    quality: Quality
    region: Region
    tiles: TileSettings | None  # None: each is stretched to the network's size
    scale_um: tuple[float, float] | None  # of a row, of a column; None where nobody says
    prepare: Callable[[Image], Image]  # as a line's camera does

    def inspect(self, image: Image, index: int = 0) -> Inspection:
        """The verdict on a picture, and the mask it was reached by."""
        frame, view = self._shown(self.prepare(image), index)
        inspector = Inspector(
            self.network, self.rules, self.quality, lambda: _NOW_NS, view=view, region=self.region
        )
        return inspector.inspect(frame)

    def judged(self, inspection: Inspection, rules: Sequence[Rules]) -> Iterator[Verdict]:
        """What each of these rules makes of a picture that was inspected and is not UNKNOWN.

        The network is not asked again: the rules may differ in all but what they only report and
        what they put aside, which is decided before.
        """
        frame, mask = inspection.seen, inspection.mask
        assert isinstance(frame, Frame)
        assert mask is not None
        manifest = self.network.bundle.manifest
        found_at: dict[float, Found] = {}
        for each in rules:
            threshold = manifest.threshold if each.threshold is None else each.threshold
            if threshold not in found_at:
                cut = replace(mask, threshold=threshold)
                naming = naming_of(self.rules, manifest)
                found_at[threshold] = find(frame, cut, manifest.limits, naming)
            yield Judge(each).judge(frame, *found_at[threshold])

    def _shown(self, image: Image, index: int) -> tuple[Frame, View]:
        spec, (rows, columns) = self.network.bundle.manifest.input, image.shape[:2]
        view = view_of(self.tiles, follows_rail=self.region.follows_rail)
        along_um, across_um = self.scale_um or (spec.um_per_px, spec.um_per_px)
        small = rows <= spec.height and columns <= spec.width
        if self.scale_um is None and small and not self.region.follows_rail:
            # It shows, then, as much surface as the network was trained for.
            view, along_um = WholeView(), spec.height * spec.um_per_px / rows
            across_um = spec.width * spec.um_per_px / columns
        least_mm = self.network.bundle.manifest.limits.min_extent_mm
        shown_mm = rows * along_um / 1000, columns * across_um / 1000
        if min(shown_mm) < least_mm:
            raise FrameError(
                f"it shows {shown_mm[0]:g} x {shown_mm[1]:g} mm, and a defect counts from "
                f"{least_mm:g} mm on: give a picture that shows more"
            )
        return Frame(index, image, _NOW_NS, Stretch(0, round(rows * along_um)), across_um), view


def by_bundle(network: Network, um_per_px: float | None = None) -> PictureInspector:
    """Without a line file, every defect that the bundle is good for counts."""
    manifest = network.bundle.manifest
    overlap_px = min(OVERLAP_PX, min(manifest.input.height, manifest.input.width) // 2)
    return PictureInspector(
        network,
        Rules(reject_if=MinArea(min_area_mm2=manifest.limits.min_area_mm2)),
        Quality(),
        Region(follows_rail=manifest.input.follow == "rail"),
        TileSettings(overlap_px=overlap_px),
        None if um_per_px is None else (um_per_px, um_per_px),
        _as_it_is,
    )


def _as_it_is(image: Image) -> Image:
    return image


def by_line(
    lookout: Lookout,
    network: Network,
    scale_um: tuple[float, float],
    prepare: Callable[[Image], Image],
) -> PictureInspector:
    """As a line judges the frames of one of its cameras."""
    camera, region = lookout.camera, region_of(lookout.camera.region)
    return PictureInspector(
        network, lookout.rules, camera.quality, region, camera.cut_to, scale_um, prepare
    )


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
            raise UsageError(
                f"{path} is neither a file nor a folder: name an image, or a folder of them"
            )
    twice = [stem for stem, count in Counter(p.stem for p in images).items() if count > 1]
    if twice:
        raise UsageError(
            f"{len(twice)} names occur twice, so their results would overwrite each other: "
            f"{', '.join(twice[:5])}; predict the folders into different --out folders"
        )
    return images


def predict(images: list[Path], inspector: PictureInspector, out: Path) -> Iterator[Prediction]:
    """Inspect each image and write its results; a corrupt one does not stop the rest."""
    refuse_overwriting(images, [path for image in images for path in _written_for(image, out)])
    out.mkdir(parents=True, exist_ok=True)
    with (out / "results.jsonl").open("w") as results:
        for index, path in enumerate(images):
            try:
                prediction = _predict_one(index, path, inspector, out)
            except FrameError as error:
                prediction = Prediction(path, None, str(error))
            print(json.dumps(prediction.record()), file=results, flush=True)
            yield prediction


def refuse_overwriting(images: Sequence[Path], maps: Sequence[Path]) -> None:
    """UsageError where a map would take the place of an image that is looked at."""
    taken = {path.resolve() for path in maps}
    if lost := [path for path in images if path.resolve() in taken]:
        raise UsageError(f"the maps would overwrite {lost[0]}: give another folder as --out")


def _written_for(image: Path, out: Path) -> tuple[Path, ...]:
    """The map of an image, and its overlay."""
    return tuple(out / f"{image.stem}{kind}.png" for kind in _KINDS)


def _predict_one(index: int, path: Path, inspector: PictureInspector, out: Path) -> Prediction:
    image = read_image(path, colour=inspector.network.bundle.manifest.input.channels == 3)
    inspection = inspector.inspect(image, index)
    frame, mask = inspection.seen, inspection.mask
    assert isinstance(frame, Frame)
    if mask is None:  # where light or sharpness made it UNKNOWN, what the network says is shown
        mask = replace(inspector, quality=ANY_LIGHT).inspect(image, index).mask
    for_map, for_overlay = _written_for(path, out)
    if mask is not None:
        write_image(for_map, np.round(mask.probability * 255).astype(np.uint8))
    overlay = draw_overlay(frame.image, mask, inspection.verdict)
    write_image(for_overlay, overlay)
    return Prediction(path, inspection.verdict)
