"""What goes out to which boxes: the one text that the desk signs and every box reads.

A release is a whole: a bundle, line files, the boxes' own software, or some of these. It goes out
ring by ring, and each ring holds those before it. A box wants the newest release that has reached
it.
"""

from __future__ import annotations

from collections.abc import Set
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from edge.line_file import BoxName

ROLLOUT = "rollout.json"  # its name in the depot
PACKAGE = "trackside"  # the Debian package that boxes have
EVERY_BOX = "*"  # in place of a box's name, for a line file that all take

# Each names what it holds, so that the same content is carried once.
BundleTarget = Annotated[str, Field(pattern=r"^bundles/[0-9a-f]{64}\.bundle$")]
LineTarget = Annotated[str, Field(pattern=r"^lines/[0-9a-f]{64}\.yaml$")]
PackageTarget = Annotated[str, Field(pattern=r"^packages/[0-9a-f]{64}\.deb$")]
State = Literal["going out", "stopped", "revoked"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Ring(_Part):
    """Boxes by name, and a share of all, drawn anew for each release."""

    name: str = Field(min_length=1, max_length=40)
    boxes: tuple[BoxName, ...] = ()
    share: float = Field(default=0, ge=0, le=1)


class Package(_Part):
    """The software of one version, for each kind of box."""

    version: str = Field(pattern=r"^[0-9][A-Za-z0-9.+~-]{0,39}$")
    files: dict[Literal["amd64", "arm64"], PackageTarget] = Field(min_length=1)

    def file_for(self, architecture: str) -> PackageTarget | None:
        return next((each for name, each in self.files.items() if name == architecture), None)


class Release(_Part):
    """What boxes are to run, and how far it has gone."""

    number: int = Field(ge=1)
    bundle: BundleTarget | None = None  # None: the bundle that a box has stays
    lines: dict[BoxName | Literal["*"], LineTarget] = {}  # a box without one keeps its own
    package: Package | None = None  # None: the software that a box has stays
    accepted_by: str | None = Field(default=None, max_length=200)  # that it judges otherwise
    ring: int = Field(ge=0)  # the outermost that it has reached
    state: State = "going out"
    why: str = Field(default="", max_length=2000)  # it is stopped or revoked
    at: str  # when it last went a ring further, or was stopped; ISO 8601, UTC

    def line_for(self, box: str) -> LineTarget | None:
        return self.lines.get(box) or self.lines.get(EVERY_BOX)


class Rollout(_Part):
    """All releases, the oldest first, and the way that each goes."""

    format: Literal[1] = 1
    rings: tuple[Ring, ...] = Field(min_length=1)
    max_failures: float = Field(ge=0, lt=1)  # share of a ring's boxes; beyond it a release stops
    fresh_days: float = Field(gt=0)  # for so long boxes believe that there is nothing newer
    releases: tuple[Release, ...] = ()

    @field_validator("releases")
    @classmethod
    def _are_in_rings(
        cls, releases: tuple[Release, ...], info: ValidationInfo
    ) -> tuple[Release, ...]:
        rings = len(info.data.get("rings", ()))
        if beyond := [each.number for each in releases if each.ring >= rings]:
            raise ValueError(f"release {beyond[0]} is in a ring that there is not")
        return releases

    def release(self, number: int) -> Release | None:
        return next((each for each in self.releases if each.number == number), None)

    def reaches(self, release: Release, box: str) -> bool:
        """Whether the box is in a ring that the release has come to."""
        drawn = _drawn(release.number, box)
        rings = self.rings[: release.ring + 1]
        return any(box in ring.boxes or drawn < ring.share for ring in rings)

    def wanted(self, box: str, runs: int | None, refused: Set[int] = frozenset()) -> Release | None:
        """What the box is to run, of what it has not `refused`; None where nothing has come to it.

        A release that was stopped goes no further, and is not taken away from who `runs` it.
        """
        for release in reversed(self.releases):
            if release.number in refused:
                continue
            goes = release.state == "going out" and self.reaches(release, box)
            if goes or (release.state == "stopped" and release.number == runs):
                return release
        return None


def digest_of(target: str) -> str:
    """What a target holds, by its name."""
    return target.partition("/")[2].partition(".")[0]


def _drawn(number: int, box: str) -> float:
    """From 0 to below 1, the same each time."""
    return int.from_bytes(sha256(f"{number} {box}".encode()).digest()[:4], "big") / 2**32
