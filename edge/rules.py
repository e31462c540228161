"""What makes a frame NG, and what makes it UNKNOWN: the line file's `rules` and `quality`.

A rule reads as it is said: reject if any of (large and certain), (long):

    reject_if:
      any:
        - all:
            - min_area_mm2: 20
            - min_score: 0.6
        - min_length_mm: 15
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    Tag,
)

from edge.types import Defect


class _Section(BaseModel):
    # Infinity would switch a limit off in silence.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AnyOf(_Section):
    """Any one of the conditions is enough."""

    any: tuple[Condition, ...] = Field(min_length=1)

    def matches(self, defect: Defect) -> bool:
        return any(condition.matches(defect) for condition in self.any)


class AllOf(_Section):
    """Every condition must hold."""

    all: tuple[Condition, ...] = Field(min_length=1)

    def matches(self, defect: Defect) -> bool:
        return all(condition.matches(defect) for condition in self.all)


class MinArea(_Section):
    """The defect covers at least this much surface."""

    min_area_mm2: NonNegativeFloat

    def matches(self, defect: Defect) -> bool:
        return defect.area_mm2 >= self.min_area_mm2


class MinLength(_Section):
    """The defect is at least this long along the rail."""

    min_length_mm: NonNegativeFloat

    def matches(self, defect: Defect) -> bool:
        return defect.length_mm >= self.min_length_mm


class MinWidth(_Section):
    """The defect is at least this wide across the rail."""

    min_width_mm: NonNegativeFloat

    def matches(self, defect: Defect) -> bool:
        return defect.width_mm >= self.min_width_mm


class MinScore(_Section):
    """The network's mean probability over the defect is at least this."""

    min_score: float = Field(ge=0, le=1)

    def matches(self, defect: Defect) -> bool:
        return defect.score >= self.min_score


class Classes(_Section):
    """The defect is of one of these classes. One of unknown class might be, so it matches."""

    classes: tuple[str, ...] = Field(min_length=1)

    def matches(self, defect: Defect) -> bool:
        return defect.class_name is None or defect.class_name in self.classes


def _one_key(node: Any) -> Any:
    # {min_area_mm2: 20, min_score: 0.6} could be meant as AND or as OR: never guess which.
    if isinstance(node, dict) and len(node) != 1:
        raise ValueError(
            f"one condition at a time, not {len(node)}: give each its own dash under any: or all:"
        )
    return node


def _key(node: Any) -> str | None:
    """The one key of a condition, which says what kind it is."""
    keys = node if isinstance(node, dict) else getattr(type(node), "model_fields", ())
    return next(iter(keys), None)


Condition = Annotated[
    Annotated[AnyOf, Tag("any")]
    | Annotated[AllOf, Tag("all")]
    | Annotated[MinArea, Tag("min_area_mm2")]
    | Annotated[MinLength, Tag("min_length_mm")]
    | Annotated[MinWidth, Tag("min_width_mm")]
    | Annotated[MinScore, Tag("min_score")]
    | Annotated[Classes, Tag("classes")],
    Discriminator(_key),
    BeforeValidator(_one_key),
]


class Rules(_Section):
    """When a frame is NG."""

    reject_if: Condition  # a defect for which this holds makes its frame NG
    # More defects than this in a metre make the frame NG, even where each alone would pass.
    max_per_metre: PositiveFloat | None = None


class Quality(_Section):
    """Outside these limits a frame is UNKNOWN: nobody could have seen a defect in it."""

    min_sharpness: NonNegativeFloat = 5  # variance of the grey image's Laplacian
    dark_below: float = Field(default=15, ge=0, le=255)  # mean grey
    bright_above: float = Field(default=240, ge=0, le=255)  # mean grey
    max_saturated_share: float = Field(default=0.2, ge=0, le=1)  # of pixels at 255
    stale_after_ms: PositiveFloat = 1000  # from light on the sensor to the verdict
