"""A recording as runs of frames, each with what its line decided."""

from __future__ import annotations

from edge.backtest.archive import Place, fetched
from edge.backtest.cases import Case, Decided, Reject, Run, in_runs
from edge.errors import ConfigurationError
from edge.inspect import read_baseline
from edge.recordings import open_recording, read_expectation
from edge.recordings.expectation import Expectation
from edge.recordings.recording import RecordedFrame, Recording, picture_name
from edge.types import UNNAMED, State

RECORDING = "recording.json"


def recorded_runs(place: Place, faults: list[str]) -> list[Run]:
    """Its runs; the old verdicts are those that it says it came to."""
    names = [RECORDING, "frames.jsonl", "line.yaml", "expected.json"]
    names += [name for name in place.names() if name.endswith(".baseline.json")]
    with fetched(place, names) as folder:
        recording = open_recording(folder)
        expected = _expectation(recording, place.url, faults)
        baselines = {
            each.name: None
            if (path := recording.baseline(each.name)) is None
            else read_baseline(path)
            for each in recording.config.lookouts
        }
    verdicts = _by_the_record(recording, expected)
    runs = []
    for lookout in recording.config.lookouts:
        cases = [
            _case(row, recording.begun, verdicts[number] if verdicts else None)
            for number, row in enumerate(recording.frames)
            if row.camera == lookout.name
        ]
        runs += [
            Run(place.url, "recording", 1, lookout, baselines[lookout.name], None, part)
            for part in in_runs(cases)
        ]
    return runs


def _expectation(recording: Recording, url: str, faults: list[str]) -> Expectation | None:
    try:
        return read_expectation(recording.expected)
    except ConfigurationError as error:
        faults.append(f"{url} does not say what was decided: {error}")
        return None


def _by_the_record(recording: Recording, expected: Expectation | None) -> list[Decided | None]:
    """Of each frame; a line that UNKNOWN stopped has not judged all of them."""
    if expected is None:
        return []
    known = {(each.camera, each.index): each for each in expected.outcome.frames}
    found = list[Decided | None]()
    for row in recording.frames:
        judged = known.get((row.camera, row.index))
        if judged is None:
            found.append(None)
            continue
        if judged.state == State.UNKNOWN.value:
            rejects: tuple[Reject, ...] = (Reject(row.start_um, row.end_um, judged.state),)
        else:
            rejects = tuple(Reject(*extent, UNNAMED) for extent in judged.defects)
        found.append(Decided(judged.state, rejects, (), expected.outcome.bundle))
    return found


def _case(row: RecordedFrame, begun: str | None, was: Decided | None) -> Case:
    return Case(
        index=row.index,
        start_um=row.start_um,
        end_um=row.end_um,
        across_um=row.across_um or 1.0,
        picture=None if row.across_um is None else picture_name(row.camera, row.index),
        colour=row.colour,
        captured_ns=row.captured_ns,
        looked_ns=row.looked_ns,
        lost=row.lost,
        utc=begun,
        was=was,
    )
