"""The bundle: artefacts for every engine, a golden pair, their parity, and where all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from edge.bundle import Artefact, Bundle, Manifest, write_bundle
from edge.bundle.archive import MAX_BYTES
from edge.engines import Engine, open_engine
from edge.errors import FrameError
from edge.line_file import settings_for
from edge.network import GoldenResult, golden_result, to_tensor, unlike_golden
from quantize.deploy import Trained, to_onnx
from quantize.describe import Purpose, describe, measured
from quantize.other_sizes import Packed, Size, at_size, prove
from quantize.parity import (
    Answers,
    Parity,
    Settled,
    Subject,
    TorchEngine,
    as_html,
    as_json,
    ask,
    compare,
    gate,
    golden_pair,
    narrowed,
    read_picture,
    simulated,
)
from quantize.parity.report import report
from quantize.parity.subjects import subjects
from quantize.steps import Step
from quantize.targets import (
    Accuracy,
    Calibration,
    Files,
    Fp32Onnx,
    LayerNoise,
    Material,
    Target,
    measure,
    open_target,
    resolve,
    worst,
)
from reference.data import Pair

PARITY, REPORT = "parity.json", "report.html"
GOLDEN_PAIR, SIMULATED_FRAME = "golden pair", "a frame of the simulated line"  # in provenance
LEFT_OUT = "left out: with it the bundle were larger than a box takes"
MEASURED = 4  # tensors that the layers are compared on
ROUNDS = 5  # of `--auto`


@dataclass(frozen=True)
class Wishes:
    """How INT8 is made, and what it may lose."""

    targets: Sequence[str]
    max_drop: Mapping[str, float]
    keep: Sequence[str] = ()
    rounds: int = 0  # of keeping layers, twice as many each, until nothing is lost beyond its limit
    layers: bool = False  # measure them in any case
    full_range: bool = False
    accuracy_aware: bool = False
    frames: int = 540  # of the simulated line
    golden: Path | None = None  # a picture that may be shown; None: a frame of the simulated line
    also: Sequence[Size] = ()  # other sizes that the engines which want one each have files for


@dataclass(frozen=True, eq=False)
class Packing:
    """All that was measured, whether or not a bundle came of it."""

    wanted: Parity  # FP32 against the truth
    settled: Sequence[Settled]
    page: bytes  # the report with every picture and time
    failures: Sequence[str] = field(default=())


def build(
    trained: Trained,
    calibration: Calibration,
    validation: Sequence[Pair],
    purpose: Purpose,
    wishes: Wishes,
    *,
    out: Path,
    step: Step,
) -> Packing:
    """Write the bundle of a trained network, unless an engine lost more than it may."""
    manifest = describe(trained, calibration, validation, purpose, full_range=wishes.full_range)
    chosen = SIMULATED_FRAME
    if wishes.golden is not None:
        chosen = f"a part of {wishes.golden.name}, which whoever packed it chose to show"
    told = manifest.provenance | {GOLDEN_PAIR: chosen}
    manifest = manifest.model_copy(update={"provenance": told})
    with step("Export to ONNX"):
        material = _material(trained, calibration, validation, manifest, wishes)
    keep = resolve(wishes.keep, material.graph)
    with step("Render the simulated line"):
        frames = simulated(
            manifest.input,
            wishes.frames,
            classes=manifest.classes,
            renamed=trained.recipe.renamed,
        )
        asked = subjects(validation, frames)
    with step("Ask torch fp32"), closing(TorchEngine(trained.network)) as fp32:
        shown = None if wishes.golden is None else read_picture(wishes.golden, manifest.input)
        golden = golden_pair(fp32, manifest, shown)
        answers = ask(fp32, asked, manifest)
        wanted = compare(answers, answers, asked)
    bench = _Bench(manifest, golden, material, asked, answers, wanted, wishes)
    settled = [bench.settle(_target(name, material, step), keep, step) for name in wishes.targets]
    if "onnxruntime" in wishes.targets:
        if _has_room(settled, material):
            settled.append(bench.settle(Fp32Onnx(material), frozenset(), step))
        else:
            told = manifest.provenance | {"fp32": LEFT_OUT}
            manifest = manifest.model_copy(update={"provenance": told})
    manifest = measured(manifest, wanted, settled)
    content = report(manifest, wanted, settled, wishes.max_drop)
    times_ms = {p.engine: p.infer_ms for p in (wanted, *(one.parity for one in settled))}
    failures = [gate.explain(one.name, one.over, one.noises) for one in settled if one.over]
    if not failures:
        reached = [one.golden for one in settled if one.golden is not None]
        manifest = manifest.model_copy(update={"golden": narrowed(manifest.golden, reached)})
        files = dict(golden)
        for one in settled:
            files |= one.files
        files[PARITY] = as_json(content)
        files[REPORT] = as_html(content, settled, all_pictures=False)
        if wishes.also:
            packed = Packed(trained, material.tensors, wishes.full_range, manifest, golden, settled)
            manifest = _with_other_sizes(packed, wishes.also, files, step)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bundle(manifest, files, out)
    page = as_html(content, settled, all_pictures=True, times_ms=times_ms)
    return Packing(wanted, settled, page, failures)


def _has_room(settled: Sequence[Settled], material: Material) -> bool:
    """Whether a box still takes the bundle with the FP32 graph in it."""
    packed = sum(len(content) for one in settled for content in one.files.values())
    whole: int = material.graph.ByteSize()
    return packed + whole < MAX_BYTES


def _with_other_sizes(
    packed: Packed, sizes: Sequence[Size], files: dict[str, bytes], step: Step
) -> Manifest:
    """The manifest with each of them, proven; their files are put beside the others."""
    others = []
    for height, width in sizes:
        with step(f"Pack it at {width}x{height} too"):
            other, made = at_size(packed, (height, width))
        others.append(other)
        files |= made
    manifest = packed.manifest.model_copy(update={"other_sizes": others})
    with step("Prove it at its other sizes"):
        prove(manifest, files)
    return manifest


def _material(
    trained: Trained,
    calibration: Calibration,
    validation: Sequence[Pair],
    manifest: Manifest,
    wishes: Wishes,
) -> Material:
    spec = manifest.input
    graph = to_onnx(trained.network, height=spec.height, width=spec.width, channels=spec.channels)
    accuracy = None
    if wishes.accuracy_aware:
        accuracy = Accuracy.on(validation, spec, wishes.max_drop.get("S", 0.0))
    return Material(
        network=trained.network,
        graph=graph,
        tensors=[to_tensor(image, spec) for image in calibration.images],
        spec=spec,
        full_range=wishes.full_range,
        accuracy=accuracy,
    )


def _golden(draft: Bundle, engine: Engine) -> tuple[GoldenResult | None, str | None]:
    """What an engine makes of the golden pair, where it is as it must be; else what is wrong."""
    try:
        result = golden_result(draft, engine)
    except FrameError as error:
        return None, f"gives no answer to it: {error}"
    wrong = unlike_golden(result, draft.manifest.golden)
    return (None, wrong) if wrong is not None else (result, None)


def _target(name: str, material: Material, step: Step) -> Target:
    with step(f"Start on {name}"):
        return open_target(name, material)


@dataclass(frozen=True, eq=False)
class _Bench:
    """Where each target is quantized, asked, and if need be quantized again."""

    manifest: Manifest
    golden: Files
    material: Material
    subjects: Sequence[Subject]
    answers: Answers  # FP32's
    wanted: Parity
    wishes: Wishes

    def settle(self, target: Target, keep: frozenset[str], step: Step) -> Settled:
        """The artefact that loses least, or the first that loses no more than it may."""
        name = f"{target.artefact.engine} {target.artefact.precision}"
        for tried in range(self.wishes.rounds + 1):
            with step(f"Quantize for {name}" + (f", {len(keep)} layers kept" if keep else "")):
                files = target.quantize(keep)
            with step(f"Ask {name}"):
                parity, over, golden = self._ask(target.artefact, files)
            noises: list[LayerNoise] = []
            if over or (self.wishes.layers and target.artefact.precision == "int8"):
                with step(f"Measure the layers of {name}"):
                    noises = self._noises(target, files)
            kept = tuple(sorted(keep))
            found = Settled(target.artefact, files, parity, kept, noises, over, golden)
            more = {n.layer for n in worst([n for n in noises if n.layer not in keep], 2**tried)}
            if not over or not more:
                break
            keep |= more
        return found

    def _ask(
        self, artefact: Artefact, files: Files
    ) -> tuple[Parity, list[str], GoldenResult | None]:
        """What it answers, what it loses beyond its limits, and what the golden pair says of it."""
        manifest = self.manifest.model_copy(update={"artefacts": [artefact]})
        with TemporaryDirectory() as folder:
            draft = write_bundle(manifest, {**files, **self.golden}, Path(folder, "draft.bundle"))
            with closing(open_engine(settings_for(artefact), draft)) as engine:
                parity = compare(ask(engine, self.subjects, manifest), self.answers, self.subjects)
                over = gate.excess(gate.drops(parity, self.wanted), self.wishes.max_drop)
                golden, wrong = _golden(draft, engine)
        if wrong is not None:
            over.append(f"the golden pair: it {wrong}")
        return parity, over, golden

    def _noises(self, target: Target, files: Files) -> list[LayerNoise]:
        tensors = self.material.tensors[:MEASURED]
        pairs = (target.layer_pairs(files, tensor) for tensor in tensors)
        return measure(pairs, self.material.graph)
