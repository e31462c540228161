"""What a line in good order saw when it was commissioned: the file that it is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from edge.errors import ConfigurationError
from edge.files import write_whole
from edge.inspect.appearance import Usual
from edge.inspect.familiarity import Answers

BINS = 32  # of a distribution


class Baseline(BaseModel):
    """The file that `trackside commission` writes. The counts are drift's, of as many bins."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[3] = 3
    line: str
    bundle: str  # digest; scores and answers of another network say nothing
    frames: PositiveInt
    brightness: tuple[int, ...] = Field(min_length=BINS, max_length=BINS, strict=False)
    score: tuple[int, ...] = Field(min_length=BINS, max_length=BINS, strict=False)
    unfamiliar: tuple[int, ...] = Field(min_length=BINS, max_length=BINS, strict=False)
    usual: Usual
    answers: Answers


def read_baseline(path: Path) -> Baseline:
    """The baseline in a file."""
    remedy = "run `trackside commission LINE.yaml`, or take health.baseline out of the line file"
    try:
        return Baseline.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}: {remedy}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path} is no baseline: {remedy}") from error


def write_baseline(baseline: Baseline, path: Path) -> None:
    """Whole or not at all: a line that starts meanwhile reads the old one."""
    write_whole(path, baseline.model_dump_json(indent=2) + "\n")
