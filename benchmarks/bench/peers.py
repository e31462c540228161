"""What a bundle is measured against: its network in other forms and engines, and others'."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bench.plan import Entry, in_short, settings_of
from benchmarks.bench.process import Worker
from benchmarks.bench.rounds import Show
from benchmarks.bench.schema import LeftOut
from benchmarks.bench.sources import BundleSource, Source, TorchSource
from benchmarks.checkpoints import COMMITTED, committed, made_of, wanted_by
from edge.bundle import Bundle
from edge.errors import ConfigurationError, TracksideError
from edge.extras import install

YOLO = ("yolo11n-seg", "yolov8n-seg")


@dataclass(frozen=True)
class _Peer:
    """What to ask the workshop for."""

    network: str
    engine: str
    precision: str
    graph: str
    order: tuple[Any, ...]  # a method of the workshop, and its arguments
    compiled: bool = False
    for_scale: bool = False

    def __str__(self) -> str:
        return f"{self.network}, {self.engine} {self.precision}, {self.graph} graph"

    def entry(self, made: TorchSource | Bundle) -> Entry:
        source: Source
        if isinstance(made, TorchSource):
            source = replace(made, compiled=self.compiled)
        else:
            settings = settings_of({"type": self.engine}, precision=self.precision)
            trained = not self.for_scale
            source = BundleSource(made, settings, has_golden=False, trained=trained)
        return Entry(
            bundle=None,
            network=self.network,
            engine=self.engine,
            precision=self.precision,
            graph=self.graph,
            threads=1,
            source=source,
            may_fail_with=(TracksideError,),
            for_scale=self.for_scale,
        )


def peer_entries(
    bundle: Bundle,
    size: tuple[int, int],
    checkpoint: Path | None,
    *,
    with_others: bool,
    left_out: list[LeftOut],
    show: Show,
) -> Iterator[Entry]:
    """On one thread; with other papers' networks, if wanted. What cannot be made goes to
    `left_out` with the reason.
    """
    manifest = bundle.manifest
    show("Start PyTorch and the converters", 0, 1)
    try:
        trained = find_checkpoint(bundle, checkpoint)
        arguments = json.loads(manifest.provenance["network"])
        worker = Worker(partial(_workshop, manifest, arguments, trained))
    except (TracksideError, ModuleNotFoundError) as error:
        left_out.append(LeftOut(what=f"peers of {manifest.name}", reason=_reason(error)))
        return
    with closing(worker):
        peers = [*_in_torch(manifest.network, size), *_in_engines(bundle, size)]
        if with_others:
            peers += [_for_scale(variant) for variant in worker.call("others")]
            peers += [_yolo(variant, size) for variant in YOLO]
        for number, peer in enumerate(peers):
            show(f"Make {peer}", number, len(peers))
            try:
                yield peer.entry(worker.call(*peer.order))
            except (TracksideError, ModuleNotFoundError) as error:
                left_out.append(LeftOut(what=str(peer), reason=_reason(error)))


def _in_torch(network: str, size: tuple[int, int]) -> Iterator[_Peer]:
    for form, compiled in (
        ("released", False),
        ("official", False),
        ("official", True),
        ("deploy", False),
        ("deploy", True),
    ):
        engine = "torch.compile" if compiled else "PyTorch"
        yield _Peer(network, engine, "fp32", form, ("source", form, size), compiled)


def _in_engines(bundle: Bundle, size: tuple[int, int]) -> Iterator[_Peer]:
    """But for what the bundle itself holds."""
    manifest = bundle.manifest
    own = (manifest.input.height, manifest.input.width) == size
    held = {("deploy", a.engine, a.precision) for a in manifest.artefacts if own}
    for form in ("official", "deploy"):
        for engine in ("onnxruntime", "openvino", "litert"):
            for precision in ("fp32", "int8"):
                if (form, engine, precision) not in held:
                    order = ("bundle", form, size, engine, precision)
                    yield _Peer(manifest.network, engine, precision, form, order)


def _for_scale(variant: str) -> _Peer:
    return _Peer(variant, "PyTorch", "fp32", "official", ("other", variant), for_scale=True)


def _yolo(variant: str, size: tuple[int, int]) -> _Peer:
    order = ("yolo", variant, size)
    return _Peer(variant, "openvino", "int8", "official", order, for_scale=True)


def on_threads(entry: Entry, threads: int) -> Entry:
    """The same peer, with so many threads."""
    source = entry.source
    if isinstance(source, TorchSource):
        source = replace(source, threads=threads)
    elif isinstance(source, BundleSource):
        settings = source.settings.model_copy(update={"threads": threads})
        source = replace(source, settings=settings)
    return replace(entry, source=source, threads=threads)


def find_checkpoint(bundle: Bundle, named: Path | None) -> Path:
    """The very one that the bundle was made of: another would be another network."""
    if named and not named.is_file():
        raise ConfigurationError(f"{named} is no file: name the checkpoint of the bundle")
    found = made_of(bundle, [named] if named else committed())
    if found is not None:
        return found
    raise ConfigurationError(
        f"the checkpoint of {bundle.manifest.name} (sha256 {wanted_by(bundle)[:12] or 'unknown'}) "
        f"is not {named or f'in {COMMITTED}'}: name it with --checkpoint"
    )


def _workshop(*arguments: Any) -> Any:
    from benchmarks.bench.workshop import Workshop  # noqa: PLC0415 (PyTorch, in the worker alone)

    return Workshop(*arguments)


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        if error.name == "ultralytics":
            return "ultralytics is not installed: pip install ultralytics (its licence is AGPL-3.0)"
        return f"{error.name} is not installed: {install('quantize')}"
    return in_short(error)
