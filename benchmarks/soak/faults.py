"""What goes wrong: each fault happens on entering, is over on leaving, and says what it was."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.reject_timing import spinning
from benchmarks.soak.plant import Plant
from edge.bundle import open_bundle, write_bundle
from edge.cameras import Fault as CameraFault
from edge.network import SHIPPED

Fault = Callable[[Plant, random.Random], AbstractContextManager[str]]

_STEPS_S = (3600, -3600, 86_400, -86_400, 1, -1)


@contextmanager
def broker_killed(plant: Plant, chance: random.Random) -> Iterator[str]:
    assert plant.broker is not None
    plant.broker.kill()
    try:
        yield "killed"
    finally:
        plant.broker.start()


@contextmanager
def disk_full(plant: Plant, chance: random.Random) -> Iterator[str]:
    filler = plant.disk / "filler"
    try:
        _fill(filler)
        yield "no byte left"
    finally:
        filler.unlink()


def _fill(filler: Path) -> None:
    with filler.open("wb", buffering=0) as file:
        while os.statvfs(filler.parent).f_bavail:
            file.write(bytes(os.statvfs(filler.parent).f_bavail * os.statvfs(filler).f_frsize))


@contextmanager
def clock_stepped(plant: Plant, chance: random.Random) -> Iterator[str]:
    """And stepped back, as by whoever finds that it is wrong."""
    assert plant.clock is not None
    step_s = chance.choice(_STEPS_S)
    plant.clock.set(step_s)
    try:
        yield f"{step_s:+} s"
    finally:
        plant.clock.set(0)


@contextmanager
def processor_busy(plant: Plant, chance: random.Random) -> Iterator[str]:
    processes = (os.cpu_count() or 1) * chance.choice((1, 2))
    with spinning(processes):
        yield f"{processes} processes spin"


@contextmanager
def bundle_changed(plant: Plant, chance: random.Random) -> Iterator[str]:
    """For its twin, and then back, by the command; its answer may come after the fault."""
    wanted = "strip" if len(plant.changes) % 2 else str(twin_bundle(plant.folder))
    command = [
        sys.executable,
        "-m",
        "edge.cli",
        "bundle",
        "activate",
        str(plant.line_file),
        wanted,
    ]
    plant.changes.append(
        subprocess.Popen(
            [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    )
    yield Path(wanted).stem


def twin_bundle(folder: Path) -> Path:
    """The shipped bundle under another name, and so of another digest."""
    path = folder / "twin.bundle"
    if not path.exists():
        shipped = open_bundle(SHIPPED["strip"])
        manifest = shipped.manifest.model_copy(update={"name": "twin"})
        write_bundle(manifest, {name: shipped.read(name) for name in shipped.manifest.files}, path)
    return path


def camera_fails(kind: CameraFault) -> Fault:
    """One of the line's, and no other."""

    @contextmanager
    def failing(plant: Plant, chance: random.Random) -> Iterator[str]:
        camera = chance.choice(plant.cameras)
        plant.line.say(f"{camera} {kind.value}")
        try:
            yield f"{camera} {kind.value}"
        finally:
            plant.line.say(f"{camera} mend")

    return failing


FAULTS: Mapping[str, Fault] = {
    **{f"camera {kind.value}": camera_fails(kind) for kind in CameraFault},
    "swap": bundle_changed,
    "broker": broker_killed,
    "disk": disk_full,
    "clock": clock_stepped,
    "load": processor_busy,
}
