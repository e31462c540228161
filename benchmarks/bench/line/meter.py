"""What a line does while it is looked at: a note of each frame, and figures made of the notes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.bench.line.record import CameraRun, LineRun, Rate, Stage
from benchmarks.bench.machine import Probe
from benchmarks.bench.spread import percentiles
from edge.assembly import Line
from edge.clock import clock_ns
from edge.errors import CameraError
from edge.health import deadline_of
from edge.inspect import Inspection
from edge.types import Frame, State, Stretch

_WARM_S, _WARM_FRAMES = 2.0, 3  # a line that has just begun is not counted, of no camera
_LEAST_FRAMES = 2  # of each that are, however long they take


@dataclass(frozen=True, slots=True)
class _Note:
    """One frame, or rail that was lost."""

    stretch: Stretch
    pixels: int
    verdict_ns: int  # since the light on the sensor
    order_ns: int
    deadline_ns: int
    stage_ns: Mapping[str, int]
    reasons: tuple[str, ...] | None  # why it is UNKNOWN; None if it is not


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is counted from."""

    at_ns: int
    cpu_ns: int
    cores: list[tuple[int, int]]
    dropped: Mapping[str, int]


class Meter:
    """Records the inspections of a line, and stops it after so many seconds, or when each camera
    has had frames.
    """

    def __init__(self, line: Line, seconds: float, probe: Probe) -> None:
        self._line = line
        self._for_ns = round(seconds * 1e9)
        self._probe = probe
        self._deadline_ns = deadline_of(line.config)
        self._begun_ns = clock_ns()
        self._warm = Counter[str]()
        self._notes: dict[str, list[_Note]] = {name: [] for name in line.config.cameras}
        self._from: _Moment | None = None
        self._until: _Moment | None = None

    def record(self, inspection: Inspection) -> None:
        """For the main loop, once it has given a frame's orders."""
        now_ns = clock_ns()
        if self._until is not None:
            return
        if self._from is None:
            self._warm[inspection.camera] += 1
            is_warm = now_ns - self._begun_ns >= _WARM_S * 1e9
            if is_warm and all(self._warm[name] >= _WARM_FRAMES for name in self._notes):
                self._from = self._moment()
            return
        self._notes[inspection.camera].append(self._note(inspection, now_ns))
        is_over = now_ns - self._from.at_ns >= self._for_ns
        if is_over and all(len(notes) >= _LEAST_FRAMES for notes in self._notes.values()):
            self._until = self._moment()
            self._line.stop()

    def _note(self, inspection: Inspection, now_ns: int) -> _Note:
        seen, verdict = inspection.seen, inspection.verdict
        rows, columns = seen.image.shape[:2] if isinstance(seen, Frame) else (0, 0)
        return _Note(
            stretch=seen.stretch,
            pixels=rows * columns,
            verdict_ns=inspection.latency_ns,
            order_ns=now_ns - seen.captured_ns,
            deadline_ns=self._deadline_ns(inspection.camera, seen.stretch),
            stage_ns=inspection.stage_ns,
            reasons=verdict.reasons if verdict.state is State.UNKNOWN else None,
        )

    def _moment(self) -> _Moment:
        dropped = {name: each.dropped for name, each in self._line.camera_counts().items()}
        return _Moment(clock_ns(), time.process_time_ns(), self._probe.core_ticks(), dropped)

    def run(self, pace: Literal["flat out", "line"]) -> LineRun:
        """What it came to; CameraError for a camera of which nothing came any more."""
        if self._from is None or self._until is None:
            raise CameraError(
                "the cameras ended before the time was over: give --seconds fewer, or see to them"
            )
        begin, end = self._from, self._until
        seconds = (end.at_ns - begin.at_ns) / 1e9
        cameras = {
            name: self._camera(name, notes, pace, seconds) for name, notes in self._notes.items()
        }
        notes = [note for each in self._notes.values() for note in each]
        busy = [
            (after[0] - before[0]) / max(1, after[1] - before[1])
            for before, after in zip(begin.cores, end.cores, strict=True)
        ]
        cpu_s = (end.cpu_ns - begin.cpu_ns) / 1e9
        rates = [each.rate for each in cameras.values()]
        return LineRun(
            pace=pace,
            seconds=round(seconds, 3),
            frames=len(notes),
            rate=Rate(
                frames_per_s=round(sum(rate.frames_per_s for rate in rates), 3),
                megapixels_per_s=round(sum(rate.megapixels_per_s for rate in rates), 3),
                mm_per_s=min(rate.mm_per_s for rate in rates),
            ),
            verdict=percentiles([note.verdict_ns / 1e6 for note in notes]),
            order=percentiles([note.order_ns / 1e6 for note in notes]),
            stages=_stages(notes, seconds),
            busy_cores=round(cpu_s / seconds, 3),
            megapixels_per_core_s=round(sum(note.pixels for note in notes) / 1e6 / cpu_s, 3),
            core_shares=[round(share, 3) for share in busy],
            cameras=cameras,
            why_unknown=next(("; ".join(n.reasons) for n in notes if n.reasons is not None), None),
        )

    def _camera(
        self, name: str, notes: Sequence[_Note], pace: Literal["flat out", "line"], seconds: float
    ) -> CameraRun:
        assert self._from is not None
        assert self._until is not None
        # Rail that two frames share is judged twice, and goes by once.
        judged_um = notes[-1].stretch.end_um - notes[0].stretch.end_um
        length_um = judged_um * len(notes) / (len(notes) - 1)
        return CameraRun(
            frames=len(notes),
            rate=Rate(
                frames_per_s=round(len(notes) / seconds, 3),
                megapixels_per_s=round(sum(note.pixels for note in notes) / 1e6 / seconds, 3),
                mm_per_s=round(length_um / 1000 / seconds, 1),
            ),
            verdict=percentiles([note.verdict_ns / 1e6 for note in notes]),
            unknown=sum(note.reasons is not None for note in notes),
            # Flat out the rail does not wait for anybody, and no frame has a time to be met.
            missed=sum(pace == "line" and note.order_ns > note.deadline_ns for note in notes),
            dropped=self._until.dropped.get(name, 0) - self._from.dropped.get(name, 0),
        )


def _stages(notes: Sequence[_Note], seconds: float) -> dict[str, Stage]:
    """In the order in which a frame goes through them."""
    names = max((note.stage_ns for note in notes), key=len)  # one that was not ends sooner
    stages = {}
    for name in names:
        took_ms = np.array([note.stage_ns[name] for note in notes if name in note.stage_ns]) / 1e6
        of = percentiles(took_ms)
        at_once = round(float(took_ms.sum()) / 1000 / seconds, 3)
        stages[name] = Stage(p50_ms=of.p50_ms, p99_ms=of.p99_ms, at_once=at_once)
    return stages
