"""The process that writes a report beside a line that runs: the line has the processor first."""

from __future__ import annotations

import sys
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge.box import give_way
from edge.errors import TracksideError
from edge.reports.asked import Asked, Sources
from edge.reports.gathering import gather
from edge.reports.writing import Format, write


class Task(BaseModel):
    """One report, and where it goes."""

    model_config = ConfigDict(frozen=True)

    sources: Sources
    asked: Asked
    files: dict[Format, Path]


def main() -> None:
    """What is asked comes by standard input."""
    give_way(kindness=19)
    task = Task.model_validate_json(sys.stdin.read())
    try:
        write(gather(task.sources, task.asked), task.files.items())
    except (TracksideError, OSError) as error:
        sys.exit(str(error))
