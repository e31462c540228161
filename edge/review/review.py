"""What a person says of an event: one word, a class, or marks in its picture."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from pydantic import Field

Label = Annotated[str, Field(min_length=1, max_length=60)]
Count = Annotated[int, Field(ge=0)]


class Call(str, Enum):
    """What an event is called."""

    DEFECT = "defect"  # it is as the line has it
    SOUND = "sound"  # nothing in it is a defect: a false reject, if it was rejected
    CLASS = "class"  # a defect, and of another class
    MISSED = "missed"  # besides what was found there is what is marked
    MARKED = "marked"  # what is marked is all that there is
    WITHDRAWN = "withdrawn"  # nothing is said any more


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the picture: a box, or those pixels of it that the runs say."""

    label: Label
    box_px: tuple[Count, Count, Count, Count]  # x, y, width, height
    # Row by row within the box: how many pixels are not marked, then are, and so on.
    runs: tuple[Count, ...] | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """Who said what of which event, and when. An event is known by its number and its moment: a
    store that is begun anew counts from 1 again.
    """

    event: int
    event_utc: str
    at: str  # ISO 8601, UTC
    by: str
    source: str  # "page", "command", or the program that it comes from
    call: Call
    class_name: str | None = None
    marks: tuple[Mark, ...] = ()

    @property
    def has_defect(self) -> bool | None:
        """Whether the frame truly shows one; None where that is not said."""
        if self.call is Call.WITHDRAWN:
            return None
        if self.call is Call.MARKED:
            return bool(self.marks)
        return self.call is not Call.SOUND

    @property
    def said(self) -> str:
        """For people."""
        what = self.call.value
        if self.class_name is not None:
            what += f" {self.class_name}"
        if self.marks:
            what += f" ({', '.join(mark.label for mark in self.marks)})"
        return f"{what}, says {self.by}"
