"""Lines whose bundle is changed again and again, until they are killed.

Apart from the tests of it, because these programs should start in no time.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from threading import Thread

import yaml

from edge.assembly import Line
from edge.inspect import Inspection
from edge.line_file import LineSettings, read_line
from edge.run import run_line
from edge.swap import POLL_S, Decision, activate, answers
from stands.line_files import CAMERA
from stands.places import STEEL_LINE

# Frames of 16 mm, 250 a second.
SMALL = {"type": "synthetic", "seed": 3, "height_px": 64, "width_px": 64, "um_per_px": 250}
PATIENT = {"stale_after_ms": 600_000}
QUICK_S = 0.002  # between two looks, so that neither line nor command lets the other wait
LENIENT = {"folder": "swap", "shadow_frames": 2, "max_slowdown": 1e6}


def write_line(
    folder: Path, bundle: str, *, camera: Mapping[str, object] = SMALL, **sections: object
) -> Path:
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["encoder"]["speed_mm_s"] = 4000
    line["reject"]["silence_ms"] = 20_000  # the machine may be busy with other things
    line |= {"bundle": bundle, "swap": LENIENT, "engine": {"type": "onnxruntime"}}
    line["cameras"] = {CAMERA: {**camera, "quality": PATIENT}}
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line | sections))
    return path


def change(config: LineSettings, bundle: Path, poll_s: float = QUICK_S) -> Decision | None:
    """Ask for a bundle, and wait for what comes of it."""
    *_, last = [None, *answers(config, activate(config, bundle), poll_s)]
    assert last is None or isinstance(last, Decision)
    return last


def fork_when_told(line_file: Path, *bundles: Path) -> None:
    """For each line that comes, a line that runs until it is killed; it imports nothing."""
    for _ in sys.stdin:
        if child := os.fork():
            os.waitpid(child, 0)
            print("dead", flush=True)
        else:
            change_without_end(line_file, bundles)


def change_without_end(line_file: Path, bundles: Sequence[Path]) -> None:
    """Say who one is, and which bundle the start found in force."""
    config = read_line(line_file)

    def ask() -> None:
        for bundle in cycle(bundles):
            change(config, bundle, POLL_S)

    def watch(line: Line) -> Callable[[Inspection], None]:
        print(os.getpid(), line.bundle.digest, flush=True)
        Thread(target=ask, daemon=True).start()
        return lambda inspection: None

    run_line(config, watch=watch)
