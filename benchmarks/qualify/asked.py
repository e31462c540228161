"""Which study is asked for: by a line file, by a table, by marked images or by a recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.qualify.plan import Plan
from benchmarks.qualify.study import Study
from edge.errors import UsageError
from edge.line_file import read_line

_EXTENT = "extent_mm"


@dataclass(frozen=True, slots=True)
class Asked:
    """As the command line has it."""

    line: Path | None = None
    hits: Path | None = None
    labelled: Path | None = None
    recipe: Path | None = None
    recorded: Path | None = None
    reviewed: bool = False
    known: Path | None = None
    measure: str | None = None
    decision: float | None = None
    camera: str | None = None


def study_of(asked: Asked, plan: Plan) -> Study:
    """Of the one source that is named; each imports what it needs."""
    _refuse_contradictions(asked, plan)
    if asked.hits is not None:
        from benchmarks.qualify.hits_file import study_of_table  # noqa: PLC0415

        return study_of_table(asked.hits, asked.decision)
    if asked.recorded is not None and asked.known is not None:
        from benchmarks.qualify.recorded import study_of_recording  # noqa: PLC0415

        return study_of_recording(asked.recorded, asked.known, asked.measure)
    if asked.line is None:
        raise UsageError("name a LINE.yaml to qualify, or --hits, or --recorded with --known")
    config, measure = read_line(asked.line).alone(asked.camera), asked.measure or _EXTENT
    if asked.reviewed:
        from benchmarks.qualify.reviewed import study_of_reviews  # noqa: PLC0415

        return study_of_reviews(config, asked.line, measure)
    if asked.labelled is not None:
        from benchmarks.qualify.labelled import study_of_folder  # noqa: PLC0415

        return study_of_folder(config, asked.line, asked.labelled, asked.recipe, measure)
    from benchmarks.qualify.simulated import study_of_simulation  # noqa: PLC0415

    return study_of_simulation(config, asked.line, measure, plan)


def _refuse_contradictions(asked: Asked, plan: Plan) -> None:
    others = (asked.hits, asked.labelled, asked.recorded, asked.reviewed or None)
    if sum(source is not None for source in others) > 1:
        raise UsageError("give one of --hits, --labelled, --recorded and --reviewed")
    if (asked.recorded is None) != (asked.known is None):
        raise UsageError("--recorded and --known go together: the run, and what is truly on it")
    if asked.line is not None and (asked.hits is not None or asked.recorded is not None):
        raise UsageError(f"leave {asked.line} out: a table needs none, a recording has its own")
    if asked.recipe is not None and asked.labelled is None:
        raise UsageError("--recipe says which of --labelled DIR it holds out: name that too")
    if asked.line is None and asked.camera is not None:
        raise UsageError("--camera names one of LINE.yaml's: name that too, or leave it out")
    if asked.decision is not None and asked.hits is None:
        raise UsageError("--decision is for --hits: a bundle has its own threshold")
    if asked.measure is not None and asked.hits is not None:
        raise UsageError("leave --measure out: a table has one, its column `size`")
    if asked.measure == "contrast" and (asked.labelled or asked.recorded or asked.reviewed):
        raise UsageError("--measure contrast is for the simulated rail: no other tells it")
    if plan.passes > 1 and any(source is not None for source in others):
        raise UsageError("--passes is for the simulated rail: elsewhere each pass is the same")
