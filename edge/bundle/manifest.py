"""The bundle's manifest, format 2: all that a box must know of a network but its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edge.types import cut_of

FORMAT = 2
MOST_PX = 16_384  # a side of what a network takes or answers
MOST_UM = 10_000  # a network pixel: a centimetre shows no defect that a rail or a strip may have
MOST_CLIP = 0.4  # beyond it a probability is little more than a verdict
MOST_CLASSES = 64  # as many channels as an engine may answer
MOST_VERSION = 10**12  # room for a date and a time
STRIDE = 32  # of a network's coarsest features: it is shown whole ones

EngineName = Literal["openvino", "onnxruntime", "litert", "native"]
Precision = Literal["int8", "fp32"]
ANY_SIZE: frozenset[EngineName] = frozenset({"native", "openvino"})  # files made for no one size


def _printable(text: str) -> str:
    # It comes to terminals and logs, which take more than text from whoever may write there.
    if not text.isprintable():
        raise ValueError(f"{text!r} cannot be printed")
    return text


Text = Annotated[str, Field(max_length=1000), AfterValidator(_printable)]


class _Section(BaseModel):
    # Infinity would switch a limit off, and NaN compares with nothing.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class InputSpec(_Section):
    """tensor = (pixel - mean) * scale, in units of 8-bit pixels, after the resize."""

    height: PositiveInt = Field(le=MOST_PX)
    width: PositiveInt = Field(le=MOST_PX)
    channels: Literal[1, 3]  # 1: colour is turned grey; 3: B, G, R, and grey is replicated
    mean: list[Annotated[float, Field(ge=-1000, le=1000)]]  # one a channel
    scale: list[Annotated[float, Field(ge=1e-6, le=1000)]]
    resize: Literal["linear"]  # stretched to the network's size
    um_per_px: float = Field(ge=0.01, le=MOST_UM)  # of surface a pixel shows, as in training
    # A picture by itself is looked at along the head of the rail in it; None: all of it is.
    follow: Literal["rail"] | None = None

    @model_validator(mode="after")
    def _one_value_a_channel(self) -> InputSpec:
        if not len(self.mean) == len(self.scale) == self.channels:
            raise ValueError(f"mean and scale must each have {self.channels} values")
        return self

    @property
    def shown_mm(self) -> tuple[float, float]:
        """Along and across: the surface that the network is shown at once."""
        return self.height * self.um_per_px / 1000, self.width * self.um_per_px / 1000


class OutputSpec(_Section):
    """The map of logits that decides; the mask step resizes it to the frame."""

    height: PositiveInt = Field(le=MOST_PX)
    width: PositiveInt = Field(le=MOST_PX)
    kind: Literal["logits"]
    # A probability within this of 0 or 1 becomes it, and the rest is spread between.
    clip: float = Field(default=0, ge=0, le=MOST_CLIP)


class NamesSpec(_Section):
    """The second output: a logit for each class, coarser than the map that decides.

    Of one cell it names the picture as a whole. Then it may say too that the picture is `sound`, by
    one logit more, the last, that stands against those of all classes.
    """

    height: PositiveInt = Field(le=MOST_PX)
    width: PositiveInt = Field(le=MOST_PX)
    unsure_below: float = Field(ge=0, lt=1)  # a class with a smaller share is not told
    report_only: list[Text] = []  # classes that are seen and told, and are no defects
    sound: bool = False  # whether the last logit is that nothing is wrong with the picture

    @model_validator(mode="after")
    def _sound_as_a_whole(self) -> NamesSpec:
        if self.sound and (self.height, self.width) != (1, 1):
            raise ValueError("sound is said of a whole picture: names must be 1 x 1")
        return self


class Found(_Section):
    """How small a defect of a class was found nine times in ten, as a certificate says."""

    population: Text  # whom it speaks for
    of: Text | None  # a class; None: all of them
    n: int
    a90_mm: PositiveFloat | None  # None where so many cannot say
    a90_95_mm: PositiveFloat | None  # at 95% confidence a90 is at most this


class Limits(_Section):
    """The smallest defect that counts, and how small a one is surely found, by extent."""

    min_area_mm2: PositiveFloat
    min_extent_mm: PositiveFloat  # along or across the rail, whichever is more
    found: list[Found] = []

    def reached_by(self, area_mm2: float, extent_mm: float) -> bool:
        """Whether a defect is large enough to count."""
        return area_mm2 >= self.min_area_mm2 and extent_mm >= self.min_extent_mm


class Artefact(_Section):
    """One network file for one engine, and its accuracy there on the validation pairs."""

    engine: EngineName
    precision: Precision
    path: Text  # a file in the bundle; OpenVINO's weights lie beside it as .bin
    layout: Literal["NCHW", "NHWC"]  # of the tensor the file takes
    accuracy: dict[Text, float] = {}

    @property
    def weights(self) -> str:
        """OpenVINO's second file."""
        return self.path.removesuffix(".xml") + ".bin"

    @property
    def files(self) -> tuple[str, ...]:
        """All that the engine reads."""
        return (self.path, self.weights) if self.engine == "openvino" else (self.path,)


class GoldenNames(_Section):
    """The classes' part of the answer, of the cells in which something is found."""

    output: Text  # 8-bit PNG of shares, the classes' maps one under another, then that of sound
    min_same: float = Field(gt=0, le=1)  # of the cells, whose class is the same
    max_mae: float = Field(ge=0, lt=1)  # of the shares


class Golden(_Section):
    """An input and the FP32 network's answer, which an engine must reproduce before it is used.

    Kernels of one INT8 file differ by many levels on some pixels, so maps are compared by overlap
    and mean difference, never byte by byte.
    """

    input: Text  # 8-bit PNG at the network's input size
    output: Text  # 8-bit PNG of probabilities at the network's output size
    min_iou: float = Field(gt=0, le=1)
    max_mae: float = Field(ge=0, lt=1)
    names: GoldenNames | None = None  # with the manifest's `names`


class OtherSize(_Section):
    """The same network for frames or tiles of another size, and the pair that proves it there."""

    height: PositiveInt = Field(le=MOST_PX, multiple_of=STRIDE)
    width: PositiveInt = Field(le=MOST_PX, multiple_of=STRIDE)
    artefacts: list[Artefact] = []  # of the engines whose files are made for one size
    golden: Golden


class Packed(_Section):
    """When and where it was packed: all that differs between two packings of the same."""

    at: Text  # ISO 8601, UTC
    machine: Text
    infer_ms: dict[Text, float]  # engine and precision -> median there, on one thread


class Manifest(_Section):
    """`manifest.json`."""

    format: Literal[2]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    network: Text
    # Grows with whatever a key's owner releases, of whatever name, so that an old one, which was
    # signed as well, is known to be old; only what nobody signed may lack it.
    version: int | None = Field(default=None, ge=1, le=MOST_VERSION)
    input: InputSpec
    output: OutputSpec
    threshold: float = Field(gt=0, lt=1)  # of the clipped probability; never inside the graph
    classes: list[Text] = Field(min_length=1, max_length=MOST_CLASSES)  # in their channels' order
    names: NamesSpec | None = None  # None: it names nothing, and its one class is what it finds
    limits: Limits
    macs: PositiveInt | None = Field(default=None, le=10**15)  # multiply-adds of one inference
    artefacts: list[Artefact] = Field(min_length=1)
    golden: Golden
    other_sizes: list[OtherSize] = []
    provenance: dict[Text, Text]
    packed: Packed | None = None
    files: dict[str, str] = {}  # every other file in the bundle -> sha256; write_bundle fills it

    @field_validator("limits")
    @classmethod
    def _let_a_defect_through(cls, limits: Limits, info: ValidationInfo) -> Limits:
        """A network that may never report anything is in agreement with any other on sound rail."""
        shown: InputSpec | None = info.data.get("input")
        if shown is None:  # what is wrong with it is said already
            return limits
        along_mm, across_mm = shown.shown_mm
        for name, asked, most in (
            ("min_area_mm2", limits.min_area_mm2, along_mm * across_mm),
            ("min_extent_mm", limits.min_extent_mm, max(along_mm, across_mm)),
        ):
            if asked > most:
                raise ValueError(
                    f"{name} {asked:g} is more than the {most:g} that the network is shown at "
                    "once, so that no defect would ever count"
                )
        return limits

    @model_validator(mode="after")
    def _say_what_is_named(self) -> Manifest:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes has a name twice")
        if self.names is None:
            if len(self.classes) > 1:
                raise ValueError("classes has more than one, and names does not say where they are")
        elif unknown := set(self.names.report_only) - set(self.classes):
            raise ValueError(f"names.report_only {min(unknown)!r} is none of its classes")
        elif not set(self.classes) - set(self.names.report_only):
            raise ValueError("names.report_only has every class, so that no defect would count")
        if (self.names is None) != (self.golden.names is None):
            raise ValueError("names and golden.names go together")
        return self

    def at(self, height: int, width: int) -> Manifest:
        """That of the same network, shown frames or tiles of another size."""
        down, across = height / self.input.height, width / self.input.width
        scaled = {
            name: spec.model_copy(
                update={"height": round(spec.height * down), "width": round(spec.width * across)}
            )
            for name, spec in (("output", self.output), ("names", self.names))
            if spec is not None
        }
        made = {(each.height, each.width): each for each in self.other_sizes}.get((height, width))
        of_any_size = [each for each in self.artefacts if each.engine in ANY_SIZE]
        return self.model_copy(
            update={
                **scaled,
                "input": self.input.model_copy(update={"height": height, "width": width}),
                "macs": None if self.macs is None else round(self.macs * down * across),
                "artefacts": [*(made.artefacts if made else ()), *of_any_size],
                "golden": made.golden if made else self.golden,
            }
        )

    @property
    def cut(self) -> float:
        """The network's own probability, not clipped, above which something is found."""
        return cut_of(self.threshold, self.output.clip)

    @property
    def named_channels(self) -> int:
        """Of the second output: the classes', and that of a sound picture."""
        return len(self.classes) + int(self.names is not None and self.names.sound)

    @field_validator("files")
    @classmethod
    def _paths_stay_inside(cls, files: dict[str, str]) -> dict[str, str]:
        for name in files:
            if not is_plain_path(name):
                raise ValueError(f"{name!r} is not a plain relative path")
        return files


def is_plain_path(name: str) -> bool:
    """Relative, with forward slashes, never upwards, and fit to be shown."""
    parts = name.split("/")  # of an absolute path the first is empty
    if not name.isprintable() or "\\" in name:
        return False
    return not any(part in {"", ".", ".."} for part in parts)
