"""What must not become worse: sizes that are found, class by class, and false calls.

The specimens are those of `trackside qualify`: of the simulated line, where the network is at
home on it, and held-out pictures of what the old network was taught by. Old and new look at the
same. Usual defects of each surface are counted by themselves: what is lost of a class there must
not hide behind small ones, or another surface's, that are found besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.adapt.others import things_of
from benchmarks.adapt.written import Picture, resized, write_pictures
from benchmarks.qualify.labelled import study_of_folder
from benchmarks.qualify.plan import Plan
from benchmarks.qualify.simulated import study_of_simulation
from benchmarks.qualify.study import Study, certify
from edge.bundle import Bundle
from edge.certificate import Certificate
from edge.files import write_whole
from edge.inspect import ANY_LIGHT
from edge.line_file import EngineChoice, LineSettings, read_line
from edge.simulation import SurfaceKind, surfaces_of
from reference.data import Pair
from reference.data.pairs import tiles

MEASURE = "extent_mm"
_SMALLEST = 0.15  # of the usual size
_SEED = 810_000  # of rail that nothing is taught by


@dataclass(frozen=True)
class Source:
    """One part of the guard set: line files without a bundle, and pictures where it has some."""

    name: str
    lines: tuple[dict[str, Any], ...]
    smallest: float = 1.0  # of the usual size
    pictures: Path | None = None


def simulated_sources(bundle: Bundle, names: Sequence[str]) -> list[Source]:
    """Of the surfaces that the network is at home on: small defects on all of them together, where
    it shows at which size finding ends, and usual ones on each.
    """
    surfaces = surfaces_of(names)
    small = tuple(_simulated(bundle, surfaces, _SEED))
    usual = _simulated(bundle, surfaces, _SEED + 10_000 * len(surfaces))
    return [
        Source("small defects of the simulated line", small, _SMALLEST),
        *(
            Source(f"usual defects on simulated {surface}", (line,))
            for surface, line in zip(surfaces, usual, strict=True)
        ),
    ]


def _simulated(
    bundle: Bundle, surfaces: Sequence[SurfaceKind], seed: int
) -> Iterator[dict[str, Any]]:
    """A line file for each surface, on rail of its own."""
    spec = bundle.manifest.input
    for number, surface in enumerate(surfaces):
        camera: dict[str, Any] = {
            "type": "synthetic",
            "seed": seed + 10_000 * number,
            "surface": surface,
            "height_px": spec.height,
            "width_px": spec.width,
            "um_per_px": round(spec.um_per_px),
        }
        if spec.follow == "rail":
            camera |= {"width_px": 2 * spec.width, "region": {"follow": "rail"}}
        yield _line(bundle, camera)


def labelled_source(bundle: Bundle, held_out: Sequence[Pair], out: Path) -> Source | None:
    """Held-out pictures of real rail, at the network's scale; None where there are none."""
    spec = bundle.manifest.input
    size = max(spec.height, spec.width)
    if not held_out:
        return None
    parts = [part for pair in held_out for part in tiles(pair, size)]
    write_pictures((_picture(number, part) for number, part in enumerate(parts)), out)
    camera = {
        "type": "folder",
        "path": str((out / "images").resolve()),
        "along_um": spec.um_per_px,
        "across_um": spec.um_per_px,
        "quality": ANY_LIGHT.model_dump(exclude_unset=True),
    }
    return Source("held-out pictures", (_line(bundle, camera),), pictures=out)


def _line(bundle: Bundle, camera: dict[str, Any]) -> dict[str, Any]:
    least = bundle.manifest.limits.min_area_mm2
    output = {"type": "memory"}
    return {
        "name": "guard",
        "cameras": {"guard": camera},
        "encoder": {"type": "simulated", "speed_mm_s": 500},
        "reject": {
            "output": output,
            "offset_mm": 5000,
            "delay_ms": 20,
            "margin_mm": 20,
            "min_pulse_ms": 20,
            "tolerance_mm": 20,
        },
        "heartbeat": {"output": output, "timeout_ms": 500},
        "rules": {"reject_if": {"min_area_mm2": least}},
    }


def _picture(number: int, pair: Pair) -> Picture:
    return Picture(f"{number:06d}", pair.image, tuple(things_of(pair)), "val")


def guarded(
    source: Source, bundle: Bundle, engine: EngineChoice, work: Path, *, defects: int, at_once: int
) -> Certificate:
    """What a bundle finds of one part; what was looked at once is not looked at again."""
    stem = f"{source.name.replace(' ', '-')}-{bundle.digest[:12]}"
    kept = work / f"{stem}.json"
    if kept.exists():
        return Certificate.model_validate_json(kept.read_bytes())
    work.mkdir(parents=True, exist_ok=True)
    studies = []
    for number, line in enumerate(source.lines):
        path = work / f"{stem}-{number}.yaml"
        whole = line | {
            "bundle": str(bundle.path.resolve()),
            "engine": engine.model_dump(mode="json", exclude_none=True),
        }
        write_whole(path, yaml.safe_dump(whole, sort_keys=False))
        plan = Plan(max(10, defects // len(source.lines)), source.smallest, 1, at_once)
        studies.append(_study(source, read_line(path), path, plan))
    found = certify(_together(studies))
    write_whole(kept, found.model_dump_json(indent=1))
    return found


def _study(source: Source, config: LineSettings, path: Path, plan: Plan) -> Study:
    if source.pictures is not None:
        return study_of_folder(config, path, source.pictures, None, MEASURE)
    return study_of_simulation(config, path, MEASURE, plan)


def _together(studies: Sequence[Study]) -> Study:
    """Of several surfaces one: the same kinds of defect are on all of them."""
    first, *others = studies
    if not others:
        return first
    return replace(
        first,
        population="; ".join(each.population for each in studies),
        specimens=[one for each in studies for one in each.specimens],
        false_calls=[one for each in studies for one in each.false_calls],
        inspected_m=sum(each.inspected_m or 0.0 for each in studies),
    )


def at_network_scale(pairs: Sequence[Pair], zoom: tuple[float, float], size: int) -> list[Pair]:
    """As `quantize` and validation show them: small ones fill the network, large ones are scaled
    as in training.
    """
    found = []
    for pair in pairs:
        rows, columns = pair.mask.shape
        factor = float(np.mean(zoom))
        wide = (round(columns * factor), round(rows * factor))
        if max(rows, columns) <= size:
            wide = (size, size)
        image = resized(pair.image, wide, smooth=True)
        mask, labels = (resized(plane, wide, smooth=False) for plane in (pair.mask, pair.plane))
        boxes = pair.boxes * np.array([1, *(2 * (wide[0] / columns, wide[1] / rows))], np.float32)
        found.append(replace(pair, image=image, mask=mask, labels=labels, boxes=boxes))
    return found
