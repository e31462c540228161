"""What `trackside adapt` is given: stores with their lines, the bundle that runs, and more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.bundle import Bundle, open_bundle
from edge.errors import UsageError
from edge.line_file import DATABASE, LineSettings, Lookout, read_line
from edge.network import resolve_bundle
from edge.swap import open_in_force


@dataclass(frozen=True)
class Limits:
    """What may be lost; nothing of it is a figure of what is gained."""

    class_points: float = 1.0  # of the share of each class that is found on the guard set
    a90_95_mm: float = 0.0  # by which the size that is surely found may grow
    max_drop: str = "S=0.02"  # by INT8, as `quantize` has it
    let_by: int = 0  # more of the held-out events with a defect
    calls_per_km: float = 50.0  # more false ones on rail where much looks like a defect


@dataclass(frozen=True)
class Effort:
    """How long and by what it is trained, and how much is looked at before and after."""

    iterations: int
    targets: str
    guard_defects: int
    processes: int  # that inspect the guard set
    device: str
    threads: int | None
    kernels: bool
    seed: int


@dataclass(frozen=True)
class Asked:
    """As the command line has it."""

    sources: tuple[Path, ...]
    out: Path
    line: Path | None
    camera: str | None
    bundle: str | None
    checkpoint: Path | None
    pictures: tuple[Path, ...]
    good: tuple[Path, ...]
    data_root: Path | None
    effort: Effort
    limits: Limits

    @property
    def work(self) -> Path:
        """Where all that is made on the way lies, so that the same command goes on there."""
        return self.out.with_suffix(".adapt")


@dataclass(frozen=True)
class Store:
    """An event store, and the line that kept it."""

    root: Path
    config: LineSettings


def stores_of(asked: Asked) -> list[Store]:
    """UsageError where a store's line is not known, or a line keeps no events."""
    by = None if asked.line is None else read_line(asked.line)
    found = []
    for source in asked.sources:
        if source.suffix in {".yaml", ".yml"}:
            config = read_line(source)
            if config.store is None:
                raise UsageError(f"{source} keeps no events: give a line file with a `store:`")
            found.append(Store(config.store.path, config))
            continue
        if not (source / DATABASE).exists():
            raise UsageError(f"{source} holds no event store: give that, or the line file")
        if by is None:
            raise UsageError(f"{source} does not say how its frames are judged: give --line")
        found.append(Store(source, by))
    return found


def lookout_of(asked: Asked, stores: Sequence[Store]) -> Lookout:
    """The camera whose pictures `--pictures` and `--good` are taken for."""
    return stores[0].config.lookout(asked.camera)


def old_bundle(asked: Asked, stores: Sequence[Store]) -> Bundle:
    """The one that is to become better: named, or in force on the line.

    UsageError where the lines have several.
    """
    if asked.bundle is not None:
        return open_bundle(resolve_bundle(asked.bundle))
    found = {each.digest: each for each in (open_in_force(store.config) for store in stores)}
    if len(found) > 1:
        said = ", ".join(f"{each.manifest.name} {digest[:12]}" for digest, each in found.items())
        raise UsageError(f"the lines run several bundles ({said}): say which with --bundle")
    return next(iter(found.values()))
