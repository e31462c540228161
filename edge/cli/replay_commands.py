"""`trackside record` keeps a line's frames, and `trackside replay` runs its loop on them again."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer


def record(
    line: Annotated[Path, typer.Argument(metavar="LINE.yaml", help="The line file.")],
    out: Annotated[Path, typer.Option(help="A new folder for the recording.")],
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
) -> None:
    """Run a line and save its frames, times, encoder and settings, to be replayed."""
    from edge.recordings import record_line

    replayed = record_line(line, out, frames=frames)
    print(f"{len(replayed.frames)} frames in {out}, which replays as it ran")


def replay(
    recording: Annotated[Path, typer.Argument(metavar="DIR", help="What was recorded.")],
    expect: Annotated[
        bool, typer.Option("--expect", help="Exit 1 unless verdicts and rejects are as expected.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="From now on, expect what it comes to now.")
    ] = False,
    bundle: Annotated[
        str | None, typer.Option(help="Another *.bundle than the recorded one.")
    ] = None,
) -> None:
    """Run the loop on a recording, in its own time: the same each time."""
    from edge.errors import UsageError
    from edge.recordings import accept as expect_from_now_on
    from edge.recordings import first_difference, read_expectation, read_recording
    from edge.recordings.replay import replay

    if expect and accept:
        raise UsageError("give --expect, or --accept to expect another outcome, but not both")
    opened = read_recording(recording)
    replayed = replay(opened, bundle)
    if replayed.bundle != opened.digest:
        print(f"recorded with bundle {opened.digest[:12]}, replayed with {replayed.bundle[:12]}")
    states = Counter(frame.state for frame in replayed.frames)
    print(", ".join(f"{count} {state}" for state, count in sorted(states.items())))
    for name, extents in replayed.rejects.items():
        print(f"{name}: {len(extents)} rejects")
    if accept:
        expect_from_now_on(opened, replayed)
    elif expect and (difference := first_difference(read_expectation(opened.expected), replayed)):
        print(f"not as expected: {difference}", file=sys.stderr)
        sys.exit(1)
