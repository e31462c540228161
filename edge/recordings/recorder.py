"""A line that runs and is recorded; the recording is replayed once, to show that it can be.

A recording has one bundle: what is asked for meanwhile is tried by the next start.
"""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from edge.assembly import open_line
from edge.bridge import Reading
from edge.errors import TracksideError, UsageError
from edge.files import named
from edge.files.image_file import write_image
from edge.inspect import Inspection
from edge.line_file import LineSettings, read_line
from edge.recordings.expectation import Judged, Replayed, judged_differently, read_expectation
from edge.recordings.recording import (
    FORMAT,
    RecordedFrame,
    baseline_path,
    picture_path,
    read_recording,
)
from edge.recordings.replay import accept, replay
from edge.run import stop_on_signals
from edge.swap import open_in_force
from edge.types import Frame, LostFrame


def record_line(line_file: Path, folder: Path, *, frames: int | None = None) -> Replayed:
    """Run a line and record it; then replay it once, which must come to the same verdicts.

    TracksideError where it does not; UsageError for a folder that is not empty; else as `open_line`
    and `Line.run`.
    """
    config, judged = read_line(line_file), list[Judged]()
    # made first: once the line runs, nothing of it may wait
    recorder = Recorder(folder, line_file, config)

    def record(inspection: Inspection) -> None:
        recorder.record(inspection, line.bridge.where())
        judged.append(Judged.of(inspection))

    with (
        closing(recorder),
        open_line(config, frames=frames) as line,
        stop_on_signals(line),
    ):
        line.run(record)
    recording = read_recording(folder)
    replayed = replay(recording)
    accept(recording, replayed)
    tolerance_um = read_expectation(recording.expected).tolerance_um
    for difference in judged_differently(tuple(judged), replayed.frames, tolerance_um):
        raise TracksideError(f"{folder} does not replay as it ran: {difference}: record it again")
    return replayed


class Recorder:
    """Writes a recording of a line that runs."""

    def __init__(self, folder: Path, line_file: Path, config: LineSettings) -> None:
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty: give --out a folder of its own")
        for name in config.cameras:
            (folder / "frames" / name).mkdir(parents=True, exist_ok=True)
        with named(folder):
            self._begin(folder, line_file, config)
        self._folder = folder
        self._first_ns: int | None = None
        self._rows = (folder / "frames.jsonl").open("w", encoding="utf-8")

    @staticmethod
    def _begin(folder: Path, line_file: Path, config: LineSettings) -> None:
        """All that a recording has but its frames."""
        shutil.copyfile(line_file, folder / "line.yaml")
        for name, camera in config.cameras.items():
            if camera.baseline is not None:
                shutil.copyfile(camera.baseline, baseline_path(folder, name))
        bundle = open_in_force(config)
        bundle.save(folder / "line.bundle")
        facts = {"format": FORMAT, "line": config.name, "bundle": bundle.digest}
        facts["version"] = version("trackside")
        facts["begun"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        (folder / "recording.json").write_text(json.dumps(facts, indent=2) + "\n")

    def record(self, inspection: Inspection, reading: Reading) -> None:
        """Write one frame, whose orders have been given by now, and where the rail is."""
        seen = inspection.seen
        if self._first_ns is None:
            self._first_ns = seen.captured_ns
        if isinstance(seen, Frame):
            write_image(picture_path(self._folder, inspection.camera, seen.index), seen.image)
        row = _row(inspection, reading, self._first_ns)
        with named(self._folder):
            print(json.dumps(asdict(row)), file=self._rows, flush=True)

    def close(self) -> None:
        with named(self._folder):
            self._rows.close()


def _row(inspection: Inspection, reading: Reading, first_ns: int) -> RecordedFrame:
    seen, stages = inspection.seen, inspection.stage_ns
    # The inspector asks how old a frame is after preprocessing, so that is when it looked.
    since_looked_ns = sum(stages.values()) - stages.get("preprocess", 0)
    frame = seen if isinstance(seen, Frame) else None
    return RecordedFrame(
        camera=inspection.camera,
        index=seen.index,
        start_um=seen.stretch.start_um,
        end_um=seen.stretch.end_um,
        captured_ns=seen.captured_ns - first_ns,
        looked_ns=inspection.decided_ns - since_looked_ns - first_ns,
        decided_ns=inspection.decided_ns - first_ns,
        at_ns=reading.at_ns - first_ns,
        position_um=reading.position_um,
        across_um=None if frame is None else frame.across_um,
        rows=0 if frame is None else frame.image.shape[0],
        colour=frame is not None and frame.image.ndim == 3,
        lost=seen.reason if isinstance(seen, LostFrame) else None,
    )
