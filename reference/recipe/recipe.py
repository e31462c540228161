"""A training recipe: one YAML file, checked before any time is spent.

What a recipe leaves out is as the first line recipe had it, so that its checkpoints keep meaning
what they meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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

from edge.errors import ConfigurationError
from edge.files import read_yaml
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
    "found",  # of defects on whole pictures of track, at half a false alarm a picture
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class HoldOut(_Section):
    """Images drawn by a seed, of every class as many as its part, instead of a set's own side."""

    images: PositiveInt
    # `train`: of the side to train on; `all`: a split of one's own, of which no image is test.
    of: Literal["train", "all"] = "train"
    seed: NonNegativeInt = 0


class HoldOutList(_Section):
    """Images that a text file names, one a line, by their paths from the data set's folder."""

    list: str  # a path from the recipe's folder; what follows a # is a remark
    images: tuple[str, ...] = ()  # what it names, kept with what is trained


class DataSection(_Section):
    """One data set, its folder below the data root, and its images in every batch."""

    layout: str
    path: str
    share: PositiveInt = 8
    # The grey value of a mask from which on it marks; left out, as the layout has it.
    marked_from: int | None = Field(default=None, ge=1, le=255)
    # Larger images are cut to squares of this side first of all, as a line cuts frames to tiles.
    tiles: int | None = Field(default=None, ge=32)
    zoom: Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(ordered)] = (1.0, 1.0)
    augment: Augmentation = AS_ON_THE_LINE
    # Images that show one of these; `free` is without a defect. A crop aims at these alone.
    classes: tuple[str, ...] | None = None
    # What rectangles say: `filled`, that all in them is defect; `hold`, that it is somewhere there.
    boxes: Literal["filled", "hold"] = "filled"
    rename: dict[str, str] = {}  # the set's classes as the recipe's `names`
    ignore: tuple[str, ...] = ()  # classes of it that neither count nor harm
    weight: PositiveFloat = 1.0  # of each image's losses
    # What chooses the best: `runs`, what the layout holds out, neighbours together; `none`, so that
    # all of the training side is trained on and the last is kept; `test`, the test side, by which
    # some papers choose and which then flatters them; so many images drawn; or those of a list.
    hold_out: Literal["runs", "none", "test"] | PositiveInt | HoldOut | HoldOutList = "runs"

    @field_validator("layout")
    @classmethod
    def _known(cls, layout: str) -> str:
        if layout not in LAYOUTS:
            raise ValueError(f"unknown: choose from {', '.join(LAYOUTS)}")
        return layout


class ValidationSection(_Section):
    """The network's input size for validation, how often it is done, and what decides the best."""

    size: PositiveInt = 352
    every: PositiveInt = 250
    best: Figure = "s_measure"
    protocol: Literal["line", "float", "minet", "csepnet", "lsanet", "nadinet", "dms"] = "line"


class LossSection(_Section):
    """Weights of losses: on every map, on the finest one besides, and on what else there is."""

    each_map: dict[MapLoss, PositiveFloat] = {}
    first_map: dict[MapLoss, PositiveFloat] = {}
    output: dict[OutputLoss, PositiveFloat] = {}
    # On every map of images that are labelled by boxes; of a box's row or column, as much is held
    # to be defect at least.
    boxes: dict[BoxLoss, PositiveFloat] = {}
    held_share: float = Field(default=0.1, ge=0, le=1)
    somewhere: NonNegativeFloat = 0.0  # on every map of images of which only a class is known
    names: NonNegativeFloat = 0.0  # on every map of classes

    @model_validator(mode="after")
    def _some(self) -> LossSection:
        if not (self.each_map or self.first_map or self.output or self.boxes or self.names):
            raise ValueError("names no loss: give each_map, first_map, boxes, names or output one")
        return self


class OptimizerSection(_Section):
    """The optimizer; `undecayed` parameters have no weight decay, biases their own rate."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    momentum: float = Field(default=0.0, ge=0, lt=1)  # of sgd
    weight_decay: NonNegativeFloat = 0.0
    undecayed: tuple[Literal["bias", "norm"], ...] = ()
    bias_rate: PositiveFloat = 1.0  # times the learning rate


class ScheduleSection(_Section):
    """How the learning rate falls over the whole run, warm-up and last decay aside."""

    name: Literal["constant", "poly", "cosine"] = "constant"
    power: PositiveFloat = 0.9  # of poly
    floor: NonNegativeFloat = 0.0  # of cosine, a learning rate
    per: Literal["iteration", "epoch"] = "iteration"


class TeacherSection(_Section):
    """A trained checkpoint whose answers the network learns beside the masks."""

    checkpoint: str  # a path from the recipe's folder
    weight: PositiveFloat = 1.0
    temperature: PositiveFloat = 1.0


class LineSection(_Section):
    """What `quantize` takes where its options are left out: what the network is to be good for."""

    um_per_px: PositiveFloat = 250  # surface that a pixel of the network shows
    min_area_mm2: NonNegativeFloat = 4  # of the smallest defect that counts
    min_extent_mm: NonNegativeFloat = 2
    golden: str | None = None  # a picture that may be shown; a path from the recipe's folder


class Recipe(_Section):
    """Everything that decides a training run but the data's place on disk."""

    network: dict[str, Any] = {"name": "minet", "align_corners": False}
    names: tuple[str, ...] = ()  # of the classes that the network tells apart, in its order
    report_only: tuple[str, ...] = ()  # of them, what is found and named but is no defect
    data: list[DataSection] = Field(min_length=1)
    # Fewer images with a defect to train on are refused: what they teach is worth nothing.
    least_defective: PositiveInt = 10
    line: LineSection | None = None
    validation: ValidationSection = ValidationSection()
    colour: bool = False  # pictures are red, green and blue to the network, else three equal planes
    mean: float | tuple[float, float, float] = 0.45
    std: PositiveFloat | tuple[PositiveFloat, PositiveFloat, PositiveFloat] = 0.225
    divide_by_maximum: bool = False  # each image by its own: for the papers, never for a line
    crop: PositiveInt = 256
    loss: LossSection = LossSection(each_map={"bce": 1, "iou": 1}, first_map={"ssim_half": 1})
    teacher: TeacherSection | None = None
    # `kaiming` is of all but a backbone, whose weights come from elsewhere.
    initialisation: Literal["xavier", "kaiming"] | None = None
    # A checkpoint whose averaged weights are the first ones: a path from the recipe's folder, or
    # `strip` or `rail` for one that is installed.
    start_from: str | None = None
    # Of the network, by how its parameters' names begin; all of it if nothing is said. The rest
    # stays as it is to the bit, its normalisations too.
    trains: tuple[str, ...] = ()
    optimizer: OptimizerSection = OptimizerSection()
    learning_rate: PositiveFloat = 0.0015
    schedule: ScheduleSection = ScheduleSection()
    warmup: PositiveInt = 1
    iterations: PositiveInt | None = None  # 3,000 where no length is given
    epochs: PositiveInt | None = None  # of the first data set
    decay: PositiveInt = 1
    clip: PositiveFloat | None = 5.0  # the gradient's norm
    # Of a GPU: `tf32` is single precision with inputs rounded to 10 bits, several times as fast;
    # `fp16` is for cards without bf16: its losses are scaled, lest gradients vanish.
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    deterministic: bool = False  # on a GPU, slower: the same run to the bit, resumed or not
    ema: float = Field(default=0, ge=0, lt=1)  # 0: the weights themselves
    # torch's is made of it and the iteration, in 64 bits.
    seed: int = Field(default=0, ge=0, lt=2**40)

    @property
    def channels(self) -> Literal[1, 3]:
        """How many planes differ: grey pictures on one scale are three equal ones."""
        one_scale = isinstance(self.mean, float) and isinstance(self.std, float)
        return 1 if one_scale and not self.colour else 3

    @property
    def renamed(self) -> dict[str, str]:
        """What the network calls those classes of its data sets that are called otherwise there."""
        return {old: new for section in self.data for old, new in section.rename.items()}

    @field_validator("network")
    @classmethod
    def _named(cls, network: dict[str, Any]) -> dict[str, Any]:
        if "name" not in network:
            raise ValueError("has no `name`: `trackside networks` lists them")
        return network

    @model_validator(mode="after")
    def _as_many_names(self) -> Recipe:
        maps = self.network.get("class_maps", 0)
        if len(self.names) != maps or len(set(self.names)) != maps:
            raise ValueError(
                f"names are {len(self.names)} ({', '.join(self.names)}) for {maps} class maps: "
                "write as many different ones as `class_maps` under network"
            )
        if unknown := set(self.report_only) - set(self.names):
            raise ValueError(f"report_only has {', '.join(sorted(unknown))}: it is none of names")
        return self

    @model_validator(mode="after")
    def _boxes_upright(self) -> Recipe:
        for number, section in enumerate(self.data):
            if section.boxes == "hold" and section.augment.rotate_deg:
                raise ValueError(
                    f"data[{number}]: a box that is turned is none: leave rotate_deg out"
                )
            if section.boxes == "hold" and not self.loss.boxes:
                raise ValueError(
                    f"data[{number}]: boxes hold, but no loss is on boxes: give it some"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _some_length(cls, written: Any) -> Any:
        keys = ("iterations", "epochs")
        if isinstance(written, dict) and all(written.get(key) is None for key in keys):
            return written | {"iterations": 3000}
        return written

    @model_validator(mode="after")
    def _one_length(self) -> Recipe:
        if self.iterations is not None and self.epochs is not None:
            raise ValueError("give the length once: either `iterations` or `epochs`")
        return self


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file and the lists it names; mistakes are named with line, key and remedy."""
    recipe = read_yaml(path, Recipe)
    sections = [_with_its_list(section, path.parent) for section in recipe.data]
    return recipe.model_copy(update={"data": sections})


def _with_its_list(section: DataSection, folder: Path) -> DataSection:
    listed = section.hold_out
    if not isinstance(listed, HoldOutList) or listed.images:
        return section
    path = folder / listed.list
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}): it should name the images held out, one a line"
        ) from error
    named = dict.fromkeys(line.partition("#")[0].strip() for line in lines)
    images = tuple(name for name in named if name)
    if not images:
        raise ConfigurationError(f"{path} names no image: write those to hold out, one a line")
    return section.model_copy(update={"hold_out": listed.model_copy(update={"images": images})})
