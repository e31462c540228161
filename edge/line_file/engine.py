"""What a line file says of the engine that runs the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from edge.bundle import STRIDE, Artefact, Precision
from edge.line_file.section import LinePath, Section, Threads

Side = Annotated[int, Field(ge=STRIDE, le=16_384, multiple_of=STRIDE)]  # of what a network takes


class _Sizes(Section):
    height: Side | None = Field(
        default=None,
        description="Rows of a frame or tile as the network is shown it, a multiple of 32, if not "
        "as the bundle was packed. `native` and `openvino` take any, others those in the bundle.",
    )
    width: Side | None = Field(default=None, description="Columns, in the same way.")


class _Settings(_Sizes):
    precision: Precision | None = Field(
        default=None,
        description="Of the bundle's artefacts for the engine; the first if not given.",
    )
    threads: Threads = Field(default=1, description="Threads that one inference uses.")


class OpenVinoSettings(_Settings):
    """Intel's CPUs, integrated graphics and NPUs."""

    type: Literal["openvino"] = "openvino"
    device: Literal["CPU", "GPU", "NPU", "AUTO"] = Field(
        default="CPU", description="Where the network runs; AUTO leaves it to OpenVINO."
    )
    streams: Threads = Field(
        default=1,
        description="Tiles that are inferred side by side, each by its share of the threads.",
    )
    cache_dir: LinePath | None = Field(
        default=None, description="Keeps compiled networks, which make the next start quick."
    )

    @model_validator(mode="after")
    def _has_a_thread_for_each_stream(self) -> OpenVinoSettings:
        if self.device == "CPU" and self.streams > self.threads:
            raise ValueError(
                f"{self.streams} streams need a thread each: give `threads: {self.streams}` or more"
            )
        return self


class OnnxRuntimeSettings(_Settings):
    """Any CPU, and NVIDIA's devices."""

    type: Literal["onnxruntime"] = "onnxruntime"
    provider: Literal[
        "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
    ] = Field(default="CPUExecutionProvider", description="Where the network runs.")
    cache_dir: LinePath | None = Field(
        default=None, description="Keeps what TensorRT compiled, which makes the next start quick."
    )


class LiteRtSettings(_Settings):
    """ARM CPUs first of all."""

    type: Literal["litert"] = "litert"


class NativeSettings(_Settings):
    """Our own INT8 engine: x86 with AVX2 or more, and 64-bit ARM."""

    type: Literal["native"] = "native"
    threads: Threads = Field(
        default=1,
        description="Frames or tiles that are inferred side by side; a wide frame that is cut to "
        "tiles is parted among them.",
    )
    bands: Threads = Field(
        default=1,
        description="Threads that share each frame or tile, a band of its rows each; one has work "
        "enough for each 131,072 pixels (362x362).",
    )
    portable: bool = Field(
        default=True, description="Run, slowly, on a CPU with none of its instructions, too."
    )


class AutoSettings(_Sizes):
    """The first that answers rightly here, of native, ONNX Runtime, OpenVINO and LiteRT."""

    type: Literal["auto"] = "auto"
    threads: Threads = Field(default=1, description="As the engine's own.")


EngineSettings = Annotated[
    OpenVinoSettings | OnnxRuntimeSettings | LiteRtSettings | NativeSettings,
    Field(discriminator="type"),
]


EngineChoice = Annotated[EngineSettings | AutoSettings, Field(discriminator="type")]


def settings_for(artefact: Artefact) -> EngineSettings:
    """The default settings that run one artefact."""
    wanted = {"type": artefact.engine, "precision": artefact.precision}
    settings: EngineSettings = TypeAdapter(EngineSettings).validate_python(wanted)
    return settings
