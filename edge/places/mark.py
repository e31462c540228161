"""What people say of places while a line runs: this is kilometre 12, here coil 4711 begins."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from edge.errors import TracksideError, UsageError

LONGEST_NAME = 64
_FURTHEST_UM = 10**15  # a million kilometres

Along = Literal["track", "coil"]


class PlaceRefused(TracksideError):
    """A mark that cannot be true, or that nobody takes."""


class Kind(str, Enum):
    """What a mark says of its position."""

    NAME = "name"  # a coil or a rail of this name begins
    TAIL = "tail"  # the coil ends, and none follows yet
    ANCHOR = "anchor"  # the chainage here
    JUMP = "jump"  # likewise, and it does not go on from what was before


@dataclass(frozen=True, slots=True)
class Mark:
    """One of them, at a position of the run's own axis, which it never moves."""

    kind: Kind
    position_um: int
    chainage_um: int | None = None  # of ANCHOR and JUMP
    name: str | None = None  # of NAME
    source: str = ""  # who said it
    utc: str = ""
    refused: str | None = None  # why it is not believed

    def __str__(self) -> str:
        what = {
            Kind.NAME: f"{self.name} begins",
            Kind.TAIL: "the coil ends",
            Kind.ANCHOR: f"is {km(self.chainage_um)}",
            Kind.JUMP: f"leaps to {km(self.chainage_um)}",
        }[self.kind]
        end = "" if self.refused is None else f" REFUSED: {self.refused}"
        return f"{self.utc} {self.position_um / 1e6:.3f} m {what} ({self.source}){end}"


@dataclass(frozen=True, slots=True)
class Named:
    """What people call a place; all None where nobody has said anything of it."""

    name: str | None = None  # of the coil or rail
    chainage_um: int | None = None  # along the track, or from the coil's head
    text: str | None = None  # both, as it is read out

    def __bool__(self) -> bool:
        return self.text is not None


NOWHERE = Named()


def km(chainage_um: int | None) -> str:
    """A chainage, to the millimetre."""
    return "?" if chainage_um is None else f"km {chainage_um / 1e9:.6f}"


def name_of(text: str) -> str:
    """What was typed, sent or read, as a name; UsageError for what is none."""
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME:
        raise UsageError(f"a name has 1 to {LONGEST_NAME} characters: this has {len(name)}")
    if any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Cn"} for each in name):
        raise UsageError("a name is of printable characters: take the others out")
    return name


def chainage_of(kilometres: float) -> int:
    """Micrometres, of what a post says; UsageError for what is on no railway."""
    if not abs(kilometres) * 1e9 <= _FURTHEST_UM:
        raise UsageError(f"km {kilometres:g} is on no railway: give the kilometres of the post")
    return round(kilometres * 1e9)
