"""A training recipe: one YAML file, checked before any time is spent.

What a recipe leaves out is as the first line recipe had it, so that its checkpoints keep meaning
what they meant.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from edge.errors import ConfigurationError
from edge.files import read_yaml
from reference.recipe.sections import (
    DataSection,
    HoldOutList,
    LineSection,
    LossSection,
    OptimizerSection,
    ScheduleSection,
    Section,
    TeacherSection,
    ValidationSection,
)


class Recipe(Section):
    """Everything that decides a training run but the data's place on disk."""

    network: dict[str, Any] = Field(default={"name": "minet", "align_corners": False})
    """Its name and its settings: `trackside networks` lists them."""
    names: tuple[str, ...] = ()
    """Of the classes that the network tells apart, in its order."""
    report_only: tuple[str, ...] = ()
    """Of `names`, what is found and named but is no defect."""
    data: list[DataSection] = Field(min_length=1)
    """The data sets that are trained on together."""
    least_defective: PositiveInt = 10
    """Fewer images with a defect to train on are refused: what they teach is worth nothing."""
    line: LineSection | None = None
    """What `quantize` packs where its options are left out."""
    validation: ValidationSection = ValidationSection()
    """How the best weights are found."""
    colour: bool = False
    """Pictures are red, green and blue to the network, else three equal planes."""
    mean: float | tuple[float, float, float] = 0.45
    """What is taken from a pixel, which is from 0 to 1; one number, or red, green and blue."""
    std: PositiveFloat | tuple[PositiveFloat, PositiveFloat, PositiveFloat] = 0.225
    """What that is then divided by."""
    divide_by_maximum: bool = False
    """Each image by its own: for the papers, never for a line."""
    crop: PositiveInt = 256
    """Pixels a side of what a step shows of an image."""
    loss: LossSection = LossSection(each_map={"bce": 1, "iou": 1}, first_map={"ssim_half": 1})
    """What is to become less."""
    teacher: TeacherSection | None = None
    """A trained network to learn from besides."""
    initialisation: Literal["xavier", "kaiming"] | None = None
    """How weights begin that are from nowhere; `kaiming` is of all but a backbone."""
    start_from: str | None = None
    """A checkpoint whose averaged weights are the first ones: a path from the recipe's folder, or
    `strip` or `rail` for one that is installed.
    """
    trains: tuple[str, ...] = ()
    """Of the network, by how its parameters' names begin; all of it if nothing is said. The rest
    stays as it is to the bit, its normalisations too.
    """
    optimizer: OptimizerSection = OptimizerSection()
    """What makes a step of a gradient."""
    learning_rate: PositiveFloat = 0.0015
    """The rate between warm-up and decay."""
    schedule: ScheduleSection = ScheduleSection()
    """How the rate falls over the whole run."""
    warmup: PositiveInt = 1
    """Iterations in which the rate rises to its full."""
    iterations: PositiveInt | None = None
    """How long a run is; 3,000 where no length is given."""
    epochs: PositiveInt | None = None
    """How long it is instead, in rounds of the first data set."""
    decay: PositiveInt = 1
    """Iterations at its end in which the rate falls to nothing."""
    clip: PositiveFloat | None = 5.0
    """The most that a gradient's norm may be."""
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    """Of a GPU: `tf32` is single precision with inputs rounded to 10 bits, several times as fast;
    `fp16` is for cards without bf16: its losses are scaled, lest gradients vanish.
    """
    deterministic: bool = False
    """On a GPU, slower: the same run to the bit, resumed or not. No GPU has run it yet, and torch
    refuses there what it has no such way for, as the losses `lovasz` and `names`.
    """
    ema: float = Field(default=0, ge=0, lt=1)
    """How much of the averaged weights each step keeps; 0: the weights themselves."""
    seed: int = Field(default=0, ge=0, lt=2**40)
    """Another seed, another run; torch's is made of it and the iteration, in 64 bits."""

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

    @model_validator(mode="after")
    def _answers_learned(self) -> Recipe:
        answered = [section.answers is not None for section in self.data]
        if any(answered) != bool(self.loss.answers):
            raise ValueError(
                "a teacher's answers are learned where a loss is on them and a data set has some: "
                "give `answers` under both loss and data, or under neither"
            )
        for number, section in enumerate(self.data):
            if section.answers is not None and section.tiles is not None:
                raise ValueError(f"data[{number}]: answers are of whole pictures: leave tiles out")
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
