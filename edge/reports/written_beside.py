"""The process that writes a report beside a line that runs: the line has the processor first."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edge.errors import TracksideError
from edge.reports.asked import Asked, Sources
from edge.reports.gathering import gather
from edge.reports.writing import Format, write

_KINDNESS = 19  # of nice
_FIRST_TO_GO = "500"  # oom_score_adj: killed before the line where memory runs out


class Task(BaseModel):
    """One report, and where it goes."""

    model_config = ConfigDict(frozen=True)

    sources: Sources
    asked: Asked
    files: dict[Format, Path]


def main() -> None:
    """What is asked comes by standard input."""
    os.nice(_KINDNESS)
    with suppress(OSError):  # where /proc cannot be written, the system chooses by itself
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    task = Task.model_validate_json(sys.stdin.read())
    try:
        write(gather(task.sources, task.asked), task.files.items())
    except (TracksideError, OSError) as error:
        sys.exit(str(error))
