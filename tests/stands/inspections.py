"""Inspections made by hand, and a line file that reads a recording."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import yaml

from edge.box import Box
from edge.health import Rejects
from edge.inspect import Inspection, answers_of, figures_of
from edge.simulation import SimulatedLine
from edge.types import Defect, Frame, LostFrame, Mask, State, Stretch, Verdict
from stands.line_files import CAMERA
from stands.places import STEEL_LINE

MS = 1_000_000
DIGEST = "ab" * 32
# What a network is familiar with that answered nothing but one thing.
NOTHING_ELSE, _ = answers_of(2 * [figures_of(Mask(np.full((32, 32), -5, np.float32), 0.5), None)])
NONE = Rejects(ordered=0, fired=0, missed=0, pending=0)


def inspection(
    index: int, *, state: State = State.OK, latency_ns: int = 9 * MS, grey: int = 100
) -> Inspection:
    """Seen at `index` milliseconds; 2 ms of it preprocessing, 4 ms inference, 1 ms the verdict."""
    stretch, taken_ns = Stretch(index * 88_000, (index + 1) * 88_000), index * MS
    stages = {"preprocess": 2 * MS, "infer": 4 * MS, "decide": MS}
    image = np.full((32, 32), grey, np.uint8)
    mask = Mask(np.full((32, 32), -5, np.float32), 0.5)
    frame = Frame(index, image, taken_ns, stretch, 250)
    verdict = Verdict(state, index, stretch)
    return Inspection(frame, verdict, mask, stages, taken_ns + latency_ns, DIGEST, CAMERA)


def found_in(index: int) -> Inspection:
    """A crush beside a joint, which goes on from frame to frame."""
    seen = inspection(index, state=State.NG)
    stretch = seen.verdict.stretch
    crush = Defect(stretch, 0, 1000, 9.0, 0.9, (2, 2, 4, 8), "crush", 0.8, "227", number=2)
    joint = Defect(stretch, 0, 4000, 40.0, 0.9, (0, 0, 16, 8), "gap", 0.9, number=1)
    unsure = replace(crush, class_name=None, class_score=0.4, code=None, number=10 + index)
    verdict = replace(seen.verdict, defects=(crush, unsure), reported=(joint,))
    return replace(seen, verdict=verdict)


def lost(index: int) -> Inspection:
    stretch = Stretch(index * 88_000, (index + 1) * 88_000)
    seen = LostFrame(index, index * MS, stretch, "cable")
    verdict = Verdict(State.UNKNOWN, index, stretch, reasons=("cable",))
    return Inspection(seen, verdict, None, {"decide": 0}, index * MS, DIGEST, CAMERA)


def recorded_line(folder: Path, frames: int) -> Path:
    """A line file over so many small frames of a rail, none of which is ever stale."""
    rail = SimulatedLine(1, width_px=64)
    (folder / "frames").mkdir()
    for index in range(frames):
        image, _ = rail.render(64 * index, 64)
        cv2.imwrite(str(folder / "frames" / f"{index}.png"), image)
    line = yaml.safe_load(STEEL_LINE.read_text())
    camera = {"type": "folder", "path": "frames", "along_um": 1000, "across_um": 1000}
    line["cameras"] = {CAMERA: camera | {"quality": {"stale_after_ms": 600_000}}}
    line["encoder"]["speed_mm_s"] = 20_000
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return path


def write(root: Path, files: dict[str, str]) -> Box:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Box(root)
