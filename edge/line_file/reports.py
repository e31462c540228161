"""What a line file says of reports that the running line writes: `reports`."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from edge.line_file.section import LinePath, Section


def _as_several(at: Any) -> Any:
    several = [at] if isinstance(at, str | int) else at
    if isinstance(several, list | tuple) and any(isinstance(each, int) for each in several):
        raise ValueError('write it in quotes, such as "14:00": YAML takes it for a number else')
    return several


def _are_times(at: tuple[str, ...]) -> tuple[str, ...]:
    for each in at:
        try:
            time.fromisoformat(each)
            if len(each) != len("06:00"):
                raise ValueError
        except ValueError:
            raise ValueError(
                f'{each} is no time of day: write hour and minute, such as "06:00"'
            ) from None
    if not at or len({*at}) != len(at):
        raise ValueError("give each time once, and one at least")
    return at


_TIME = {"type": "string", "pattern": "^[0-2][0-9]:[0-5][0-9]$"}
TimesOfDay = Annotated[
    tuple[str, ...],
    Field(strict=False),
    BeforeValidator(_as_several),
    AfterValidator(_are_times),
    WithJsonSchema({"anyOf": [_TIME, {"type": "array", "items": _TIME}]}),
]


class ReportsSettings(Section):
    """A report of each shift, written at its end beside the line, whole or not at all."""

    at: TimesOfDay = Field(
        description="When a shift ends and the next begins, by the box's own clock and zone, in "
        'quotes: "06:00", or ["06:00", "14:00", "22:00"].',
    )
    folder: LinePath = Field(description="Where they go; it is made where there is none.")
    formats: tuple[Literal["html", "pdf", "csv", "json"], ...] = Field(
        default=("html", "json"),
        min_length=1,
        strict=False,
        description="As a page, paper (the extra `report`), a table of what was found, or JSON.",
    )

    @property
    def times(self) -> tuple[time, ...]:
        """Through the day."""
        return tuple(sorted(map(time.fromisoformat, self.at)))
