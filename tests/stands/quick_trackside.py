"""`trackside` as the manual's blocks are tested: what takes a person minutes takes it seconds.

    python quick_trackside.py ARGUMENTS OF THE COMMAND

What is asked of it is the same. Only the line file that it names moves at another pace meanwhile:
so slowly that any machine keeps up where it is asked whether it does, and quickly where frames are
wanted.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

_COMMAND = [sys.executable, "-m", "edge.cli"]
_SPEED_MM_S = {"check": 1, "commission": 20_000, "record": 20_000, "run": 20_000}
# With less to do: of an option that is given twice the second counts.
_LESS = {
    "bench": "--runs 3 --seconds 0.1 --frames 1",
    # A network of two steps is alike on all engines in one plain picture, and not in a drawn one.
    "quantize": "--targets native --frames 2 --golden pictures/images/000036.png",
    "train": "--set iterations=2 --set decay=1 --set validation.every=2 --set ema=0",
    "tune": "--escapes 0.9",
}
_MOST_FRAMES = 40  # that are simulated


def main(arguments: list[str]) -> int:
    command, *others = arguments
    if "--mode" not in others:  # a whole line has other options, and its page gives it little to do
        others += _LESS.get(command, "").split()
    if command == "simulate" and int(others[others.index("--frames") + 1]) > _MOST_FRAMES:
        others += ["--frames", str(_MOST_FRAMES)]
    lines = [Path(each) for each in others if each.endswith(".yaml")]
    if command not in _SPEED_MM_S or not lines:
        return _run([command, *others])
    with _at_speed(lines[0], _SPEED_MM_S[command]):
        return _run([command, *others])


def _run(arguments: list[str]) -> int:
    return subprocess.run([*_COMMAND, *arguments], check=False).returncode


@contextmanager
def _at_speed(path: Path, speed_mm_s: float) -> Iterator[None]:
    """The line file at another speed, and with no frame stale, until it is put back."""
    written = path.read_text(encoding="utf-8")
    line = yaml.safe_load(written)
    line["encoder"]["speed_mm_s"] = speed_mm_s
    for camera in line["cameras"].values():
        camera.setdefault("quality", {})["stale_after_ms"] = 600_000
    path.write_text(yaml.safe_dump(line), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
