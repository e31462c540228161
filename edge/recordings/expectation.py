"""What a recording comes to, and the first thing in which that differs from what is expected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edge.errors import ConfigurationError
from edge.files import parsed, write_whole
from edge.inspect import Inspection

Extent = tuple[int, int]  # start_um, end_um


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided of one frame."""

    camera: str
    index: int
    start_um: int
    state: str
    defects: tuple[Extent, ...]

    @classmethod
    def of(cls, inspection: Inspection) -> Judged:
        camera, verdict = inspection.camera, inspection.verdict
        places = sorted((d.stretch.start_um, d.stretch.end_um) for d in verdict.defects)
        state, start_um = verdict.state.value, verdict.stretch.start_um
        return cls(camera, verdict.frame_index, start_um, state, tuple(places))


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a recording came to: the verdicts, and the rail that each actuator rejected."""

    bundle: str  # its digest
    frames: tuple[Judged, ...]
    rejects: dict[str, tuple[Extent, ...]]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a replay is to come to, and how far off it may lie: engines round differently."""

    outcome: Replayed  # the file's word
    tolerance_um: int


_EXPECTATION = TypeAdapter(Expectation)


def write_expectation(path: Path, expected: Expectation) -> None:
    """In place of the one that is there."""
    write_whole(path, json.dumps(asdict(expected), indent=1) + "\n")


def read_expectation(path: Path) -> Expectation:
    """What a recording is to come to; ConfigurationError where its file does not say."""
    try:
        return parsed(path.name, path.read_bytes(), _EXPECTATION)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path.parent} does not say what is expected ({error}): write it with --accept"
        ) from error


def first_difference(expected: Expectation, found: Replayed) -> str | None:
    """In words, along the rail; frames before rejects."""
    return next(_differences(expected, found), None)


def judged_differently(
    expected: tuple[Judged, ...], found: tuple[Judged, ...], tolerance_um: int
) -> Iterator[str]:
    """What of the frames differs."""
    if len(found) != len(expected):
        yield f"expected {len(expected)} frames, there are {len(found)}"
    for one, two in zip(expected, found, strict=False):
        where = f"{one.camera} frame {one.index} at {one.start_um / 1e6:.3f} m"
        if two.camera != one.camera:
            yield f"{where}: expected here, it is of {two.camera}"
        elif two.state != one.state:
            yield f"{where}: expected {one.state}, it is {two.state}"
        else:
            yield from _moved(f"{where}: defect", one.defects, two.defects, tolerance_um)


def _differences(expected: Expectation, found: Replayed) -> Iterator[str]:
    wanted, tolerance_um = expected.outcome, expected.tolerance_um
    yield from judged_differently(wanted.frames, found.frames, tolerance_um)
    for name in wanted.rejects | found.rejects:  # one that a single side has differs too
        one, two = wanted.rejects.get(name, ()), found.rejects.get(name, ())
        yield from _moved(f"{name}: reject", one, two, tolerance_um)


def _moved(
    what: str, expected: tuple[Extent, ...], found: tuple[Extent, ...], tolerance_um: int
) -> Iterator[str]:
    for number, (one, two) in enumerate(zip(expected, found, strict=False), start=1):
        if any(abs(a - b) > tolerance_um for a, b in zip(one, two, strict=True)):
            yield f"{what} {number}: expected {_mm(one)}, it is {_mm(two)}"
    if len(expected) != len(found):
        yield f"{what}s: expected {len(expected)}, there are {len(found)}"


def _mm(extent: Extent) -> str:
    return f"{extent[0] / 1000:.1f} to {extent[1] / 1000:.1f} mm"
