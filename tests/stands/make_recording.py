"""Makes tests/recordings/simulated_line anew: `PYTHONPATH=tests python -m stands.make_recording`.

A simulated rail, one frame of it dark and one cut short, recorded from a line that runs. Its
network is one convolution that finds what is bright, kept with it, so that no other weights and no
engine's rounding can change what it comes to.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import yaml

from edge.bundle import Artefact, write_bundle
from edge.recordings import record_line
from edge.simulation import SimulatedLine
from stands.bundles import expected_logits, golden_image, kernel, manifest, onnx_model
from stands.line_files import CAMERA
from stands.places import RECORDING

FRAMES, ROWS, COLUMNS = 24, 64, 96
DARK, CUT = 5, 9
BRIGHT = 190.0  # grey level that counts as a defect
RAIL = SimulatedLine(seed=7, width_px=COLUMNS, um_per_px=1000, defects_per_metre=6)

LINE = {
    "name": "simulated-line",
    "bundle": "line.bundle",
    "cameras": {
        CAMERA: {
            "type": "folder",
            "path": "shown",
            "along_um": 1000,
            "across_um": 1000,
            "quality": {"stale_after_ms": 60_000},
        }
    },
    "engine": {"type": "onnxruntime"},
    "encoder": {"type": "simulated", "speed_mm_s": 500},
    "reject": {
        "output": {"type": "memory"},
        "offset_mm": 2000,  # a busy machine still orders in time
        "delay_ms": 20,
        "margin_mm": 10,
        "min_pulse_ms": 20,
    },
    "heartbeat": {"output": {"type": "memory"}},
    "rules": {"reject_if": {"min_area_mm2": 20}},
}


def write_pinned_bundle(path: Path, bright: float = BRIGHT) -> None:
    described = manifest()
    looks = described.input.model_copy(update={"mean": [bright]})
    artefact = Artefact(engine="onnxruntime", precision="fp32", path="model.onnx", layout="NCHW")
    image = golden_image()
    tensor = ((image.astype(np.float32) - bright) / 64)[None, None]
    probability = 1 / (1 + np.exp(-expected_logits(tensor)))
    files = {
        "model.onnx": onnx_model(kernel(1)),
        "golden/input.png": cv2.imencode(".png", image)[1].tobytes(),
        "golden/output.png": cv2.imencode(
            ".png", np.rint(probability[0, 0] * 255).astype(np.uint8)
        )[1].tobytes(),
    }
    changes = {"input": looks, "artefacts": [artefact], "threshold": 0.5}
    write_bundle(described.model_copy(update=changes), files, path)


def write_frames(folder: Path) -> None:
    folder.mkdir()
    for index in range(FRAMES):
        image, _ = RAIL.render(index * ROWS, ROWS)
        path = folder / f"{index}.png"
        cv2.imwrite(str(path), image // 16 if index == DARK else image)
        if index == CUT:
            path.write_bytes(path.read_bytes()[:500])


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # paths in the recording are then relative
        write_pinned_bundle(Path("line.bundle"))
        write_frames(Path("shown"))
        Path("line.yaml").write_text(yaml.safe_dump(LINE, sort_keys=False))
        record_line(Path("line.yaml"), Path("recording"))
        shutil.rmtree(RECORDING, ignore_errors=True)
        shutil.copytree("recording", RECORDING)


if __name__ == "__main__":
    main()
