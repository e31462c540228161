"""Where an engine comes from: an artefact of a bundle, or a network that PyTorch runs.

A source travels to the process that will run it, so it holds no engine and imports no library.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from benchmarks.bench.schema import Form
from edge.bundle import Artefact, Bundle, InputSpec, Manifest, NamesSpec, OutputSpec
from edge.engines import Engine, load_engine
from edge.line_file import EngineSettings
from edge.network import GoldenResult, check_golden


class Source(Protocol):
    """What one row measures."""

    @property
    def bundle(self) -> Bundle:
        """What it is, or as if it were, packed in."""
        ...

    @property
    def manifest(self) -> Manifest:
        """How frames become tensors, and logits verdicts."""
        ...

    @property
    def file_bytes(self) -> int:
        """The network's files as they are stored."""
        ...

    @property
    def weight_bytes(self) -> int:
        """What an inference must read at least once."""
        ...

    @property
    def packed_accuracy(self) -> dict[str, float] | None:
        """What is on record; None for a network whose weights mean nothing."""
        ...

    def load(self) -> Engine: ...

    def golden(self, engine: Engine) -> GoldenResult | None:
        """How it answers the golden pair, where there is one for this size."""
        ...


@dataclass(frozen=True, eq=False)
class BundleSource:
    """An artefact of a bundle, as a box would open it."""

    bundle: Bundle
    settings: EngineSettings
    has_golden: bool = True
    trained: bool = True

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def artefact(self) -> Artefact:
        return self.bundle.artefact(self.settings.type, self.settings.precision)

    @property
    def file_bytes(self) -> int:
        names = {self.artefact.path, self.artefact.weights} & self.manifest.files.keys()
        return sum(len(self.bundle.read(name)) for name in names)

    @property
    def weight_bytes(self) -> int:
        artefact = self.artefact
        path = artefact.weights if artefact.engine == "openvino" else artefact.path
        return len(self.bundle.read(path))

    @property
    def packed_accuracy(self) -> dict[str, float] | None:
        return self.artefact.accuracy if self.trained else None

    def load(self) -> Engine:
        return load_engine(self.settings, self.bundle)

    def golden(self, engine: Engine) -> GoldenResult | None:
        """An engine that answers wrongly raises: a fast wrong engine is no contender."""
        return check_golden(self.bundle, engine) if self.has_golden else None


def at_size(bundle: Bundle, height: int, width: int) -> Bundle:
    """The bundle as if packed for another input size, for engines that can reshape its files."""
    manifest = bundle.manifest
    spec, answer, names = manifest.input, manifest.output, manifest.names

    def resized(of: InputSpec | OutputSpec | NamesSpec) -> Any:
        sides = {
            "height": of.height * height // spec.height,
            "width": of.width * width // spec.width,
        }
        return of.model_copy(update=sides)

    update: dict[str, Any] = {
        "input": resized(spec),
        "output": resized(answer),
        "names": names and resized(names),
    }
    if manifest.macs:  # every layer is a convolution
        update["macs"] = manifest.macs * height * width // (spec.height * spec.width)
    return replace(bundle, manifest=manifest.model_copy(update=update))


@dataclass(frozen=True, eq=False)
class TorchSource:
    """A reference network in PyTorch: trained, if it comes from a checkpoint."""

    manifest: Manifest
    network: dict[str, Any]  # what `reference.networks.build` takes
    form: Form
    weight_bytes: int
    threads: int = 1
    checkpoint: Path | None = None
    compiled: bool = False

    @property
    def bundle(self) -> Bundle:
        """Of no files, since nobody packed it."""
        return Bundle(Path(self.network["name"]), self.manifest, "", {})

    @property
    def file_bytes(self) -> int:
        return self.weight_bytes

    @property
    def packed_accuracy(self) -> dict[str, float] | None:
        return None if self.checkpoint is None else {}

    def load(self) -> Engine:
        from benchmarks.bench.torch_engine import load  # noqa: PLC0415 (PyTorch, for this alone)

        return load(
            self.network, self.form, self.checkpoint, threads=self.threads, compiled=self.compiled
        )

    def golden(self, engine: Engine) -> None:
        return None
