"""What makes a frame NG, and what makes it UNKNOWN: the line file's `rules` and `quality`.

A rule is written as it is said, "reject if any of: large and certain, or long":

    reject_if:
      any:
        - all:
            - min_area_mm2: 20
            - min_score: 0.6
        - min_extent_mm: 15
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Annotated, Any, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from edge.bundle import Limits
from edge.line_file.section import LengthOrNone, Section, Time
from edge.types import Defect


class AnyOf(Section):
    """Any one of the conditions is enough."""

    any: tuple[Condition, ...] = Field(min_length=1, strict=False)

    def matches(self, defect: Defect) -> bool:
        return any(condition.matches(defect) for condition in self.any)


class AllOf(Section):
    """Every condition must hold."""

    all: tuple[Condition, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _classes_meet(self) -> Self:
        named = [set(each.classes) for each in self.all if isinstance(each, Classes)]
        if named and not set.intersection(*named):
            raise ValueError(
                "no class is in each `classes` of this `all`: only a defect of unknown class would "
                "match; write them in one `classes`, or under `any`"
            )
        return self

    def matches(self, defect: Defect) -> bool:
        return all(condition.matches(defect) for condition in self.all)


class MinArea(Section):
    """The defect covers at least this much surface."""

    min_area_mm2: float = Field(ge=0, le=1_000_000)

    def matches(self, defect: Defect) -> bool:
        return defect.area_mm2 >= self.min_area_mm2


class MinLength(Section):
    """The defect is at least this long along the rail."""

    min_length_mm: LengthOrNone

    def matches(self, defect: Defect) -> bool:
        return defect.length_mm >= self.min_length_mm


class MinWidth(Section):
    """The defect is at least this wide across the rail."""

    min_width_mm: LengthOrNone

    def matches(self, defect: Defect) -> bool:
        return defect.width_mm >= self.min_width_mm


class MinExtent(Section):
    """The defect is at least this large along the rail or across it, whichever is more."""

    min_extent_mm: LengthOrNone

    def matches(self, defect: Defect) -> bool:
        return defect.extent_mm >= self.min_extent_mm


class MinScore(Section):
    """The network's mean probability over the defect is at least this."""

    min_score: float = Field(ge=0, le=1)

    def matches(self, defect: Defect) -> bool:
        return defect.score >= self.min_score


class Classes(Section):
    """The defect is of one of these classes; one of unknown class might be, so it matches."""

    classes: tuple[str, ...] = Field(min_length=1, strict=False)

    def matches(self, defect: Defect) -> bool:
        return defect.class_name is None or defect.class_name in self.classes


def _key(node: Any) -> str | None:
    """The one key of a condition, which says what kind it is."""
    keys = node if isinstance(node, dict) else getattr(type(node), "model_fields", ())
    return next(iter(keys), None)


def _one_key(node: Any) -> Any:
    if not isinstance(node, dict | Section):
        raise ValueError("a condition is one key and its value, such as `min_area_mm2: 20`")
    # {min_area_mm2: 20, min_score: 0.6} could mean AND or OR: never guess which.
    if isinstance(node, dict) and len(node) != 1:
        raise ValueError(
            f"{len(node)} keys in one condition: give each its own dash under any: or all:"
        )
    return node


Condition = Annotated[
    Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[MinArea, Tag("min_area_mm2")]
    | Annotated[MinLength, Tag("min_length_mm")]
    | Annotated[MinWidth, Tag("min_width_mm")]
    | Annotated[MinExtent, Tag("min_extent_mm")]
    | Annotated[MinScore, Tag("min_score")]
    | Annotated[Classes, Tag("classes")],
    Discriminator(_key),
    BeforeValidator(_one_key),
]


Name = Annotated[str, Field(min_length=1, max_length=60)]  # of a class, or its code


def classes_in(condition: Condition, key: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The classes that a condition names, each list by its key in the line file."""
    if isinstance(condition, Classes):
        yield f"{key}.classes", condition.classes
    for how in ("any", "all"):
        for at, each in enumerate(getattr(condition, how, ())):
            yield from classes_in(each, f"{key}.{how}[{at}]")


def too_small(
    condition: Condition, key: str, limits: Limits, *, is_bounded: bool = False
) -> Iterator[str]:
    """Each condition that waits for defects smaller than those that count, and what to write.

    A length or a width may be small where another condition says how large the defect is. Nothing
    is asked by 0: whatever counts.
    """
    parts = getattr(condition, "all", ())
    is_bounded |= any(isinstance(each, MinArea | MinExtent) for each in parts)
    for how in ("any", "all"):
        for at, each in enumerate(getattr(condition, how, ())):
            yield from too_small(each, f"{key}.{how}[{at}]", limits, is_bounded=is_bounded)
    match condition:
        case MinArea(min_area_mm2=asked):
            name, least, unit = "min_area_mm2", limits.min_area_mm2, "mm2"
        case MinExtent(min_extent_mm=asked):
            name, least, unit = "min_extent_mm", limits.min_extent_mm, "mm"
        case MinLength(min_length_mm=asked) if not is_bounded:
            name, least, unit = "min_length_mm", limits.min_extent_mm, "mm"
        case MinWidth(min_width_mm=asked) if not is_bounded:
            name, least, unit = "min_width_mm", limits.min_extent_mm, "mm"
        case _:
            return
    if 0 < asked < least:
        yield f"{key}.{name} {asked:g}: nothing below {least:g} {unit} counts"


class Rules(Section):
    """When a frame is NG, and what is only reported."""

    reject_if: Condition = Field(
        description="A defect for which this holds makes its frame NG.",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="A pixel is of a defect where the network is surer than this; left out, as sure"
        " as the bundle says. `trackside tune` says what another would cost, and writes it: tune"
        " again for another bundle.",
    )
    max_per_metre: float | None = Field(
        default=None,
        ge=0.001,
        le=1_000_000,
        description="More defects than this in a metre make the frame NG,"
        " even where each alone would pass.",
    )
    report_only: tuple[Name, ...] | None = Field(
        default=None,
        strict=False,
        description="Classes that are seen, counted and told, and never rejected, such as"
        " [gap, dirt]; left out, those that the bundle says.",
    )
    sound_above: float | None = Field(
        default=None,
        ge=0.5,
        lt=1,
        description="Nothing in a picture is a defect where the network calls it sound by a share"
        " above this, whatever its map shows; the verdict tells what is put aside. For a bundle"
        " that says so, as DMS does; `trackside evaluate --sound-above` measures what is missed.",
    )
    codes: dict[Name, Name] = Field(
        default={},
        description="What the operator calls a class, such as {squat: '227'}: it stands beside the"
        " class in the store and in exports.",
    )

    @property
    def named(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """All classes that are named, each list by its key in the line file."""
        yield from classes_in(self.reject_if, "rules.reject_if")
        yield "rules.report_only", self.report_only or ()
        yield "rules.codes", tuple(self.codes)

    @model_validator(mode="after")
    def _matches_what_is_not_only_reported(self) -> Rules:
        if (why := self.never_matching(self.report_only or ())) is not None:
            raise ValueError(why)
        return self

    def never_matching(self, report_only: Collection[str]) -> str | None:
        """What is wrong with a condition that waits for classes that are only reported."""
        for key, classes in classes_in(self.reject_if, "reject_if"):
            if set(classes) <= set(report_only):
                return (
                    f"{key} [{', '.join(classes)}] never matches, because these are only reported:"
                    " name another class there, or leave these out of report_only"
                )
        return None


class Quality(Section):
    """Outside these limits a frame is UNKNOWN: nobody could have seen a defect in it."""

    min_sharpness: float = Field(
        default=8,
        ge=0,
        le=100_000,
        description="Least variance of the Laplacian of the grey image: less is a blur.",
    )
    min_texture_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Least share of what varies in a picture that does so from patch to patch, of "
        "8 x 8 pixels each, and not within them: less is noise.",
    )
    max_change: float = Field(
        default=2,
        ge=1,
        le=1_000,
        description="How many times less or more texture, noise and contrast of edges a picture "
        "may have than any had when the line was commissioned; only with `health.baseline`.",
    )
    max_unfamiliar: float | None = Field(
        default=None,
        ge=1,
        le=1_000,
        description="How unfamiliar a frame may be to the network: 1 is what one good frame in a "
        "hundred reached when the line was commissioned; left out, all pass. Only with a "
        "`baseline` of the bundle that runs.",
    )
    dark_below: float = Field(default=20, ge=0, le=255, description="Least mean grey level.")
    bright_above: float = Field(default=240, ge=0, le=255, description="Greatest mean grey level.")
    max_saturated_share: float = Field(
        default=0.3, ge=0, le=1, description="Greatest share of the pixels that may be at 255."
    )
    stale_after_ms: Time = Field(
        default=1000,
        description="Greatest age of a frame, from the light on the sensor to the verdict.",
    )

    @model_validator(mode="after")
    def _leave_room_between(self) -> Quality:
        if self.dark_below >= self.bright_above:
            raise ValueError(
                f"dark_below {self.dark_below:g} must be less than bright_above"
                f" {self.bright_above:g}: every frame would be UNKNOWN"
            )
        return self
