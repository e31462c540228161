"""The sections of a recipe: its data, its losses, how it learns, and what the box is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from reference.data import AS_ON_THE_LINE, Augmentation, ordered
from reference.datasets import LAYOUTS

MapLoss = Literal[
    "bce",
    "iou",
    "ssim",
    "ssim_half",
    "cel",
    "dice_bce",
    "focal",
    "lovasz",
    "structure",
    "iou_plain",
]
OutputLoss = Literal["location", "difference", "shape", "classification"]
BoxLoss = Literal["outside", "hardest", "holds", "alike"]
# Of `trackside evaluate`, those that are better when they are larger and need one map an image.
Figure = Literal[
    "s_measure",
    "weighted_f",
    "max_f",
    "max_f_dms",
    "iou",
    "iou_lsanet",
    "iou_of_defects",
    "iou_pooled",
    "soft_iou",
    "classification_accuracy",
    "named_right",  # of what is found in held-out images, by its own pixels
    "found",  # of defects on whole pictures of track, at half a false alarm a picture
]


class Section(BaseModel):
    """A mapping in a recipe."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class HoldOut(Section):
    """Images drawn by a seed, of every class as many as its part, instead of a set's own side."""

    images: PositiveInt
    """How many."""
    of: Literal["train", "all"] = "train"
    """`train`: of the side to train on; `all`: a split of one's own, of which no image is test."""
    seed: NonNegativeInt = 0
    """Another seed, other images."""


class HoldOutList(Section):
    """Images that a text file names, one a line, by their paths from the data set's folder."""

    list: str
    """The file, by its path from the recipe's folder; what follows a # is a remark."""
    images: tuple[str, ...] = ()
    """What it names, kept with what is trained; nobody writes it."""


class DataSection(Section):
    """One data set, its folder below the data root, and its images in every batch."""

    layout: str
    """How it lies in its folder: `trackside data layouts` lists them."""
    path: str
    """Its folder, by its path from the data root, which is the recipe's folder if none is given."""
    share: PositiveInt = 8
    """Its images in every batch."""
    marked_from: int | None = Field(default=None, ge=1, le=255)
    """The grey value of a mask from which on it marks; left out, as the layout has it."""
    tiles: int | None = Field(default=None, ge=32)
    """Larger images are cut to squares of this side first of all, as a line cuts frames to tiles.
    """
    zoom: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(ordered)] = (1.0, 1.0)
    """The least and the most that an image is enlarged by, before it is cut to the crop."""
    augment: Augmentation = AS_ON_THE_LINE
    """What may happen to a training image."""
    classes: tuple[str, ...] | None = None
    """Images that show one of these; `free` is without a defect. A crop aims at these alone."""
    boxes: Literal["filled", "hold"] = "filled"
    """What rectangles say: `filled`, that all in them is defect; `hold`, that it is somewhere
    there.
    """
    rename: dict[str, str] = {}
    """The set's classes as the recipe's `names`."""
    ignore: tuple[str, ...] = ()
    """Classes of it that neither count nor harm."""
    weight: PositiveFloat = 1.0
    """Of each image's losses."""
    answers: str | None = None
    """A folder of a teacher's maps of its images, by `trackside maps`; a path from the data root.
    """
    hold_out: Literal["runs", "none", "test"] | PositiveInt | HoldOut | HoldOutList = "runs"
    """What chooses the best: `runs`, what the layout holds out, neighbours together; `none`, so
    that all of the training side is trained on and the last is kept; `test`, the test side, by
    which some papers choose and which then flatters them; so many images drawn; or those of a list.
    """

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"unknown: choose from {', '.join(LAYOUTS)}")
        return layout


class ValidationSection(Section):
    """The network's input size for validation, how often it is done, and what decides the best."""

    size: PositiveInt = 352
    """Pixels a side that the network sees; a bundle takes multiples of 32."""
    every: PositiveInt = 250
    """Iterations from one validation to the next."""
    best: Figure = "s_measure"
    """The figure that decides which weights are the best."""
    patience: PositiveInt | None = None
    """So many validations without a better figure, and the run stops there; left out, none does."""
    protocol: Literal["line", "float", "minet", "csepnet", "lsanet", "nadinet", "dms"] = "line"
    """By whose steps it is measured: a paper's, or `line`."""


class LossSection(Section):
    """Weights of losses: on every map, on the finest one besides, and on what else there is."""

    each_map: dict[MapLoss, PositiveFloat] = {}
    """On every map."""
    first_map: dict[MapLoss, PositiveFloat] = {}
    """On the finest map besides."""
    output: dict[OutputLoss, PositiveFloat] = {}
    """On what else some networks put out."""
    boxes: dict[BoxLoss, PositiveFloat] = {}
    """On every map of images that are labelled by boxes."""
    held_share: float = Field(default=0.1, ge=0, le=1)
    """Of a box's row or column, as much is held to be defect at least."""
    somewhere: NonNegativeFloat = 0.0
    """On every map of images of which only a class is known."""
    names: NonNegativeFloat = 0.0
    """On every map of classes."""
    answers: NonNegativeFloat = 0.0
    """On every map, towards a teacher's `answers`; towards the mask where there are none."""

    @property
    def locates(self) -> bool:
        """Whether the rectangles round the masks' defects are wanted."""
        return "location" in self.output

    @model_validator(mode="after")
    def _some(self) -> LossSection:
        if not (self.each_map or self.first_map or self.output or self.boxes or self.names):
            raise ValueError("names no loss: give each_map, first_map, boxes, names or output one")
        return self


class OptimizerSection(Section):
    """The optimizer; `undecayed` parameters have no weight decay, biases their own rate."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Which."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of sgd."""
    weight_decay: NonNegativeFloat = 0.0
    """Of what is not spared it."""
    undecayed: tuple[Literal["bias", "norm"], ...] = ()
    """Parameters without weight decay."""
    bias_rate: PositiveFloat = 1.0
    """Of biases, times the learning rate."""


class ScheduleSection(Section):
    """How the learning rate falls over the whole run, warm-up and last decay aside."""

    name: Literal["constant", "poly", "cosine"] = "constant"
    """How it falls."""
    power: PositiveFloat = 0.9
    """Of poly."""
    floor: NonNegativeFloat = 0.0
    """Of cosine, a learning rate."""
    per: Literal["iteration", "epoch"] = "iteration"
    """How often it is set anew."""


class TeacherSection(Section):
    """A trained checkpoint whose answers the network learns beside the masks."""

    checkpoint: str
    """Its path from the recipe's folder."""
    weight: PositiveFloat = 1.0
    """Of what is learned of it."""
    temperature: PositiveFloat = 1.0
    """By which its answers are softened."""


class LineSection(Section):
    """What `quantize` takes where its options are left out: what the network is to be good for."""

    um_per_px: PositiveFloat = 250
    """Surface that a pixel of the network shows."""
    min_area_mm2: NonNegativeFloat = 4
    """Of the smallest defect that counts."""
    min_extent_mm: NonNegativeFloat = 2
    """Length or width of the smallest defect that counts, whichever is more."""
    follow: Literal["rail"] | None = None
    """Along what pictures are looked at."""
    golden: str | None = None
    """A picture that may be shown, for the golden pair; a path from the recipe's folder."""
