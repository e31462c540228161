"""A running line takes another bundle between two frames, or keeps its own and says why."""

from __future__ import annotations

import gc
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.request import urlopen
from weakref import WeakSet

import cv2
import flatbuffers
import numpy as np
import pytest
import yaml
from ai_edge_litert import schema_py_generated as tflite
from onnx import TensorProto, helper, numpy_helper

from benchmarks.ports import free_port
from edge.assembly import Line, open_line
from edge.bundle import (
    MANIFEST,
    Bundle,
    Golden,
    GoldenNames,
    Limits,
    open_bundle,
    write_bundle,
)
from edge.bundle.signature import make_key, sign
from edge.errors import BundleError, ConfigurationError, TracksideError, UsageError
from edge.inspect import Inspection
from edge.line_file import AutoSettings, LineSettings, LiteRtSettings, SwapSettings, read_line
from edge.network import SHIPPED, network_of, prepare, read_answer, rehearse
from edge.recordings import read_recording, record_line
from edge.run import run_line
from edge.simulation import SimulatedLine
from edge.store import read_events
from edge.swap import Backtested, Decision, Progress, Request, activate, answers, roll_back
from edge.swap.folder import (
    Comparison,
    Standing,
    is_answered,
    left_out,
    open_in_force,
    swap_folder,
)
from edge.swap.shadow import Slot, judges_otherwise, too_slow
from edge.types import Frame, State, Stretch
from firmware_bridge.ledger import EntryKind, read_ledger
from stands.bundles import (
    HEIGHT,
    WIDTH,
    expected_logits,
    golden_image,
    kernel,
    make_bundle,
    make_files,
    manifest,
    normalised,
    onnx_model,
    png,
)
from stands.line_files import CAMERA
from stands.places import STEEL_LINE, TESTS_PATH
from stands.swapping_lines import LENIENT, QUICK_S, change, write_line
from stands.waiting import PATIENCE_S, eventually

run_quickly = partial(run_line, swap_poll_s=QUICK_S)


class Bundles(NamedTuple):
    """Two that answer alike and are not the same."""

    a: Bundle
    b: Bundle


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return make_files()


def packed(path: Path, files: dict[str, bytes]) -> Bundle:
    return write_bundle(manifest().model_copy(update={"name": path.stem}), files, path)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> Bundles:
    home = tmp_path_factory.mktemp("bundles")
    return Bundles(packed(home / "a.bundle", files), packed(home / "b.bundle", files))


def a_line(folder: Path, bundles: Bundles, **sections: object) -> LineSettings:
    return read_line(write_line(folder, str(bundles.a.path), **sections))


class Watched:
    """A line in this process, until its latest request is answered: what judged which frame."""

    def __init__(self, config: LineSettings, ask: Callable[[], object] = lambda: None) -> None:
        self.frames: list[int] = []
        self.digests: list[str] = []
        self.engines: WeakSet[object] = WeakSet()
        self.most_engines = 0
        self._folder, self._asker = swap_folder(config), Thread(target=ask, daemon=True)
        run_quickly(config, watch=self._watch)

    def _watch(self, line: Line) -> Callable[[Inspection], None]:
        self._asker.start()

        def see(inspection: Inspection) -> None:
            self.frames.append(inspection.seen.index)
            self.digests.append(inspection.bundle)
            self.engines.add(line.engine)
            self.most_engines = max(self.most_engines, len(self.engines))
            if not self._asker.is_alive() and self._is_answered():
                line.stop()

        return see

    def _is_answered(self) -> bool:
        request = self._folder.request()
        return request is not None and is_answered(request, self._folder.standing())


def held() -> tuple[int, int]:
    """Files and threads of this process."""
    gc.collect()
    me = Path("/proc/self")
    return len(list((me / "fd").iterdir())), len(list((me / "task").iterdir()))


def test_forty_swaps_under_load_lose_no_frame_and_leave_nothing_behind(
    tmp_path: Path, two: Bundles
) -> None:
    store = {"path": "events", "ok_every": 7, "unsure_below": 0.0}
    config, decisions = a_line(tmp_path, two, store=store), list[Decision | None]()

    def change_often(times: int) -> None:
        for number in range(times):
            decisions.append(change(config, two[number % 2 == 0].path))

    def run(times: int) -> Watched:
        return Watched(config, lambda: change_often(times))

    run(times=2)
    before = held()
    watched = run(times=40)
    assert held() == before
    assert len(decisions) == 42
    assert all(decision is not None and decision.refusal is None for decision in decisions)
    assert watched.frames == list(range(len(watched.frames)))
    assert sum(one != other for one, other in pairwise(watched.digests)) == 40
    assert set(watched.digests) == {two.a.digest, two.b.digest}
    assert watched.most_engines <= 2
    assert len(watched.engines) == 0
    kept = [event for event in read_events(tmp_path / "events") if event.run > 1]
    assert {event.bundle for event in kept} == {two.a.digest, two.b.digest}
    assert all(event.bundle == watched.digests[event.frame] for event in kept)
    assert open_in_force(config).digest == two.a.digest


def asked(config: LineSettings, bundle: Bundle) -> None:
    """As the command asks, but unchecked."""
    request = Request(id="1", kind="activate", digest=bundle.digest, name=bundle.path.stem)
    swap_folder(config).ask(request, bundle)


def slow(folder: Path, files: dict[str, bytes]) -> Bundle:
    """It takes a long way round to the same answer."""
    width, layers = 64, 12
    shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes, weights = [], {"weights": kernel(1)}
    for layer in range(layers):
        source = f"x{layer}" if layer else "tensor"
        weights[f"w{layer}"] = np.ones((width, width if layer else 1, 3, 3), np.float32) / 9e3
        nodes.append(helper.make_node("Conv", [source, f"w{layer}"], [f"x{layer + 1}"], **shape))
    weights["nothing"] = np.zeros((1, width, 3, 3), np.float32)
    short = {"strides": [2, 2], "pads": [0, 0, 1, 1]}
    nodes.append(helper.make_node("Conv", [f"x{layers}", "nothing"], ["zero"], **short))
    nodes.append(helper.make_node("Conv", ["tensor", "weights"], ["answer"], **short))
    nodes.append(helper.make_node("Add", ["answer", "zero"], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "slow",
        [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [1, 1, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info(
                "logits", TensorProto.FLOAT, [1, 1, HEIGHT // 2, WIDTH // 2]
            )
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return packed(folder / "slow.bundle", files | {"model.onnx": model})


def contrary(folder: Path, files: dict[str, bytes]) -> Bundle:
    """It finds defects where the others find none, as its own golden pair says."""
    sure = 1 / (1 + np.exp(expected_logits(normalised(golden_image()))))
    golden = {"golden/output.png": png(np.rint(sure[0, 0] * 255).astype(np.uint8))}
    model = {"model.onnx": onnx_model(-kernel(1))}
    return packed(folder / "contrary.bundle", files | model | golden)


def wrong(folder: Path, files: dict[str, bytes]) -> Bundle:
    return make_bundle(folder / "wrong.bundle", answering=-1)


@pytest.mark.parametrize(
    ("make", "swap", "why"),
    [
        (wrong, {}, "answers the golden input with IoU"),
        # Any old one that this machine does not stop for longer than the slow one takes.
        (slow, {"max_slowdown": 0.05, "shadow_frames": 20}, "times the old one's, and swap.max_"),
        (contrary, {"shadow_frames": 20}, "it agrees on .* of 20 frames|its masks overlap by 0.0"),
    ],
)
def test_a_bundle_that_is_wrong_slow_or_of_another_opinion_is_refused(  # noqa: PLR0917
    make: Callable[[Path, dict[str, bytes]], Bundle],
    swap: dict[str, float],
    why: str,
    tmp_path: Path,
    two: Bundles,
    files: dict[str, bytes],
) -> None:
    config = a_line(tmp_path, two, swap=LENIENT | swap)
    asked(config, make(tmp_path, files))
    assert_refused(config, two.a, why)


def assert_refused(config: LineSettings, old: Bundle, why: str) -> None:
    folder = swap_folder(config)
    watched = Watched(config)
    decision = folder.standing().outcome
    assert decision is not None and decision.refusal is not None
    assert re.search(why, decision.refusal)
    assert set(watched.digests) == {old.digest}
    with open_line(config) as line:
        assert line.bundle.digest == old.digest


def test_a_shadow_period_must_be_as_good_as_the_line_file_says() -> None:
    good = Comparison(
        frames=100,
        agreement=0.95,
        rejected=20,
        rejected_too=19,
        golden_missed=False,
        overlap=0.5,
        old_p50_ms=1,
        old_p99_ms=10,
        new_p50_ms=9,
        new_p99_ms=15,
    )
    limits = SwapSettings(folder=Path())

    def objections(comparison: Comparison, limits: SwapSettings) -> list[str]:
        return [*judges_otherwise(comparison, limits), *too_slow(comparison, limits)]

    assert objections(good, limits) == []
    assert objections(good.model_copy(update={"overlap": None}), limits) == []  # nothing was found
    for worse, why in (
        ({"agreement": 0.94}, "it agrees on 94.0% of 100 frames"),
        ({"rejected_too": 18}, "of 20 frames that the old one rejects it rejects 18, and swap.min"),
        ({"golden_missed": True}, "it lets pass the defect of the old one's golden pair"),
        ({"overlap": 0.49}, "its masks overlap by 0.49"),
        ({"new_p99_ms": 15.2}, "its p99 is 15.2 ms, 1.52 times the old one's"),
    ):
        [said] = objections(good.model_copy(update=worse), limits)
        assert said.startswith(why)


def test_what_is_judged_otherwise_is_shown_and_accepted_by_name_and_nothing_else_is(
    tmp_path: Path, two: Bundles, files: dict[str, bytes]
) -> None:
    steel = yaml.safe_load(STEEL_LINE.read_text(encoding="utf-8"))
    reject = steel["reject"] | {"silence_ms": 20_000, "ledger": "ledger.sqlite"}
    swap = LENIENT | {"shadow_frames": 20}
    config, other = a_line(tmp_path, two, swap=swap, reject=reject), contrary(tmp_path, files)
    hasty = a_line(tmp_path, two, swap=swap | {"max_slowdown": 1e-6}, reject=reject)
    accept = partial(activate, path=other.path, accepted_by="ann@box")
    folder = swap_folder(config)

    def decided(config: LineSettings) -> Decision:
        Watched(config)
        decision = folder.standing().outcome
        assert decision is not None
        return decision

    def shown() -> None:
        activate(config, other.path)
        decision = decided(config)
        assert decision.refusal is not None and "--accept-difference" in decision.refusal
        assert decision.differs_from == two.a.digest

    with pytest.raises(UsageError, match="there is nothing to accept: activate it without"):
        accept(config)
    shown()
    page = (folder.root / "difference.html").read_text(encoding="utf-8")
    assert 0 < page.count("<figure>") <= 21  # and the golden pair
    assert other.digest in page and two.a.digest in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)  # nothing is fetched
    accept(hasty)
    slow_as_well = decided(hasty)
    assert slow_as_well.refusal is not None and "times the old one's" in slow_as_well.refusal
    with pytest.raises(UsageError, match="there is nothing to accept"):  # it was no difference
        accept(config)
    shown()
    accept(config)
    taken = decided(config)
    assert (taken.refusal, folder.standing().in_force) == (None, other.digest)
    [entry] = [e for e in read_ledger(tmp_path / "ledger.sqlite") if e.kind is EntryKind.BUNDLE]
    assert entry.tag == other.digest
    assert entry.reason is not None
    assert f"contrary in place of {two.a.digest[:12]}; ann@box accepts" in entry.reason


@pytest.mark.parametrize("defects_per_metre", [4, 0])
def test_a_network_that_never_rejects_is_refused_however_well_it_agrees(
    tmp_path: Path, defects_per_metre: float
) -> None:
    """The same masks, and limits that let nothing count but what its own golden pair shows."""
    shipped = open_bundle(SHIPPED["strip"])
    files = {name: shipped.read(name) for name in shipped.manifest.files}
    golden = Golden(
        input="golden/large.png",
        output="golden/map.png",
        min_iou=0.8,
        max_mae=0.1,
        names=GoldenNames(output="golden/named.png", min_same=0.8, max_mae=0.1),
    )
    files |= large_defect(shipped, golden)
    limits = Limits(min_area_mm2=1000, min_extent_mm=20)
    blind = shipped.manifest.model_copy(update={"limits": limits, "golden": golden})
    rail = {"type": "synthetic", "seed": 3, "defects_per_metre": defects_per_metre}
    sections = {"camera": rail | {"distractors_per_metre": 0}, "engine": {"type": "auto"}}
    swap = LENIENT | {"shadow_frames": 40, "min_agreement": 0.5}
    config = read_line(write_line(tmp_path, "strip", swap=swap, **sections))
    asked(config, write_bundle(blind, files, tmp_path / "blind.bundle"))
    why = "golden pair, which is rejected now"
    if defects_per_metre:
        why = f"of [1-9][0-9]* frames that the old one rejects it rejects 0, .*{why}"
    assert_refused(config, shipped, why)


def large_defect(bundle: Bundle, golden: Golden) -> dict[str, bytes]:
    """A golden pair that the bundle's own network answers with a defect of more than 1000 mm2."""
    spec, output = bundle.manifest.input, bundle.manifest.output
    image, _ = SimulatedLine(
        5, width_px=spec.width, defects_per_metre=0, distractors_per_metre=0
    ).render(0, spec.height)
    cv2.ellipse(image, (176, 176), (110, 75), 0, 0, 360, (30,), -1)
    with closing(network_of(AutoSettings(), bundle).engine) as engine:
        answer = engine.infer(prepare(image, spec, engine))
    mask = read_answer(answer, (output.height, output.width), bundle.manifest)
    assert mask.names is not None and golden.names is not None
    seen = (mask.probability, np.vstack([*mask.names.shares]))
    told = [png(np.rint(shares * 255).astype(np.uint8)) for shares in seen]
    return {golden.input: png(image), golden.output: told[0], golden.names.output: told[1]}


def test_a_bundle_that_was_damaged_on_its_way_is_refused(tmp_path: Path, two: Bundles) -> None:
    config = a_line(tmp_path, two)
    asked(config, two.b)
    copy = swap_folder(config).bundle_path(two.b.digest)
    copy.write_bytes(copy.read_bytes()[:-400])
    assert_refused(config, two.a, "copy it here again")


def test_a_bundle_that_another_signed_is_refused(tmp_path: Path, two: Bundles) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    key, _ = make_key(ours), make_key(theirs)
    signed = {path: two.b.signed_by(sign(two.b.read(MANIFEST), path)[0]) for path in (ours, theirs)}
    old = two.a.signed_by(sign(two.a.read(MANIFEST), ours)[0])
    old.save(tmp_path / "a.bundle")
    config = read_line(write_line(tmp_path, "a.bundle", bundle_key=key))
    asked(config, signed[theirs])
    assert_refused(config, two.a, "its signature is not of the pinned key")
    signed[ours].save(tmp_path / "b.bundle")
    watched = Watched(config, lambda: change(config, tmp_path / "b.bundle"))
    assert set(watched.digests) == {two.a.digest, two.b.digest}


def test_an_older_bundle_is_refused_unless_it_is_asked_for(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    """It was signed once, and stays signed for ever, with whatever was mended since."""

    def made(name: str, version: int | None) -> Bundle:
        said = manifest().model_copy(update={"name": name, "version": version})
        return write_bundle(said, files, tmp_path / f"{name}.bundle")

    new, old, unnumbered = made("new", 5), made("old", 4), made("unnumbered", None)
    config = read_line(write_line(tmp_path, str(new.path)))
    for bundle, said in ((old, "old is version 4"), (unnumbered, "unnumbered says no version")):
        Watched(config, partial(change, config, bundle.path))
        decision = swap_folder(config).standing().outcome
        assert decision is not None and decision.refusal is not None
        assert decision.refusal.startswith(f"{said}, and 5 is in force: take a newer one, or ask")
    assert open_in_force(config).digest == new.digest
    Watched(config, lambda: activate(config, old.path, allow_older=True))
    assert open_in_force(config).digest == old.digest
    Watched(config, lambda: change(config, new.path))
    Watched(config, lambda: roll_back(config))
    assert open_in_force(config).digest == old.digest


def test_a_line_that_requires_a_backtest_takes_no_bundle_without_one(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two, swap=LENIENT | {"require_backtest": True})
    shown = Backtested(
        bundle=two.b.digest,
        against=two.a.digest,
        km=1.5,
        newly_rejected=0,
        most_newly_rejected_per_km=0.2,
        passed=True,
        digest="ab" * 32,
    )
    with pytest.raises(UsageError, match="takes no bundle without a backtest"):
        activate(config, two.b.path)
    for changes, objection in (
        ({"bundle": two.a.digest}, "is of another bundle"),
        ({"against": two.b.digest}, "and .* is in force: run it again with --against"),
        ({"most_newly_rejected_per_km": None}, "had no gate"),
        ({"passed": False}, "did not pass"),
    ):
        with pytest.raises(UsageError, match=objection):
            activate(config, two.b.path, backtested=shown.model_copy(update=changes))
    # Whoever writes the request past the command is asked by the line itself.
    folder = swap_folder(config)
    forged = Request(id="1", kind="activate", digest=two.b.digest, name="b")
    folder.ask(forged, two.b)
    Watched(config)
    refused = folder.standing().outcome
    assert refused is not None and refused.refusal is not None
    assert "takes no bundle without a backtest" in refused.refusal
    Watched(config, lambda: activate(config, two.b.path, backtested=shown))
    assert folder.standing().in_force == two.b.digest


def test_a_bundle_that_ends_its_process_ends_no_line(tmp_path: Path) -> None:
    """LiteRT aborts where an addition has no scale, and says nothing."""
    shipped = open_bundle(SHIPPED["strip"])
    artefact = shipped.artefact("litert")
    files = {name: shipped.read(name) for name in shipped.manifest.files}
    files[artefact.path] = without_scale(files[artefact.path])
    deadly = write_bundle(shipped.manifest, files, tmp_path / "deadly.bundle")
    try:
        rehearse(LiteRtSettings(), deadly, None)
    except BundleError as error:
        if "ended the process" not in str(error):
            pytest.skip(f"this LiteRT says what is wrong: {error}")
    line = write_line(tmp_path, "strip", engine={"type": "litert"})
    config = read_line(line)
    command = [sys.executable, "-m", "edge.cli", "run", str(line)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        asked(config, deadly)
        eventually(lambda: process.poll() is not None or was_answered(config))
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    decision = swap_folder(config).standing().outcome
    assert decision is not None and decision.refusal is not None
    assert "ended the process that opened it (SIGABRT): do not trust it" in decision.refusal


def was_answered(config: LineSettings) -> bool:
    return swap_folder(config).standing().outcome is not None


def without_scale(model: bytes) -> bytes:
    """A LiteRT file without the scale of what its first addition reads."""
    read = tflite.ModelT.InitFromObj(tflite.Model.GetRootAsModel(bytearray(model), 0))
    graph, add = read.subgraphs[0], tflite.BuiltinOperator.ADD
    codes = [code.builtinCode for code in read.operatorCodes]
    first = next(each for each in graph.operators if codes[each.opcodeIndex] == add)
    graph.tensors[first.inputs[0]].quantization.scale = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(read.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_network_of_another_size_takes_over(tmp_path: Path, two: Bundles) -> None:
    swap = LENIENT | {"min_agreement": 0, "min_ng_agreement": 0, "min_overlap": 0}
    config = read_line(write_line(tmp_path, "strip", swap=swap))
    watched = Watched(config, lambda: change(config, two.b.path))
    shipped = open_bundle(SHIPPED["strip"]).digest
    assert set(watched.digests) == {shipped, two.b.digest}


def test_a_shadow_takes_the_frames_of_every_camera_in_turn() -> None:
    slot, frame = Slot(), Frame(0, np.zeros((8, 8), np.uint8), 0, Stretch(0, 8), 1)
    for _ in range(3):
        for camera in ("left", "left", "right"):
            slot.put(camera, frame)
    taken = []
    while (one := slot.take(0)) is not None:
        taken.append(one[0])
        if len(taken) < 6:
            slot.put("left", frame)
            slot.put("right", frame)
    assert taken[:6] == ["left", "right"] * 3


def test_each_camera_of_a_line_takes_over_between_two_of_its_own_frames(
    tmp_path: Path, two: Bundles
) -> None:
    path = write_line(tmp_path, str(two.a.path))
    line = yaml.safe_load(path.read_text())
    line["cameras"] = dict.fromkeys(("left", "right"), line["cameras"][CAMERA])
    path.write_text(yaml.safe_dump(line))
    config = read_line(path)
    judged: dict[str, list[str]] = {"left": [], "right": []}
    asker = Thread(target=lambda: change(config, two.b.path), daemon=True)

    def watch(line: Line) -> Callable[[Inspection], None]:
        asker.start()

        def see(inspection: Inspection) -> None:
            judged[inspection.camera].append(inspection.bundle)
            if not asker.is_alive() and all(two.b.digest in each for each in judged.values()):
                line.stop()

        return see

    run_quickly(config, watch=watch)
    for digests in judged.values():
        first = digests.index(two.b.digest)
        assert digests == [two.a.digest] * first + [two.b.digest] * (len(digests) - first)
        assert first > 0


def test_what_a_line_did_not_live_to_answer_is_tried_by_the_next_start(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two)
    assert change(config, two.b.path) is None  # no line runs
    run_quickly(config, frames=1)
    folder = swap_folder(config)
    assert folder.standing().in_force is None
    watched = Watched(config)
    assert folder.standing().in_force == two.b.digest
    assert watched.digests[0] == two.a.digest


def forked_lines(*arguments: object) -> subprocess.Popen[str]:
    """A process that starts lines of `swapping_lines`, to be killed."""
    program = (
        "import sys; from pathlib import Path; "
        "from stands.swapping_lines import fork_when_told; "
        "from edge.swap import request, swapper; request._POLL_S = swapper._POLL_S = 0.002; "
        "fork_when_told(*map(Path, sys.argv[1:]))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": TESTS_PATH},
        text=True,
    )


def is_shadowing(config: LineSettings, lines: int) -> bool:
    """The line that is the so-many-th to try what is asked for."""
    folder = swap_folder(config)
    request, progress = folder.request(), folder.progress()
    assert request is not None
    told = progress is not None and progress.doing == "shadowing"
    return told and folder.lines_begun(request) == lines


def run_until_shadowing(config: LineSettings, lines: int, then: Callable[[Line], None]) -> None:
    def watch(line: Line) -> Callable[[Inspection], None]:
        return lambda inspection: then(line) if is_shadowing(config, lines) else None

    run_quickly(config, watch=watch)


def test_a_bundle_that_two_lines_ended_over_is_refused_and_one_told_to_stop_does_not_count(
    tmp_path: Path, two: Bundles
) -> None:
    path = write_line(tmp_path, str(two.a.path), swap=LENIENT | {"shadow_frames": 1_000_000})
    config = read_line(path)
    asked(config, two.b)
    with forked_lines(path) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        for lines in (1, 2):
            print("go", file=parent.stdin, flush=True)
            child, started_with = parent.stdout.readline().split()
            assert started_with == two.a.digest
            eventually(partial(is_shadowing, config, lines))
            os.kill(int(child), signal.SIGKILL)
            assert parent.stdout.readline() == "dead\n"
            if lines == 1:
                run_until_shadowing(config, 2, then=lambda line: line.stop())
        parent.stdin.close()
    assert swap_folder(config).standing().outcome is None
    assert_refused(config, two.a, "the line ended while trying it, 2 times: .* activate it again")
    again = Watched(config, lambda: activate(config, two.a.path))
    assert set(again.digests) == {two.a.digest}


def test_a_line_that_fails_while_it_tries_a_bundle_has_ended_over_it_too(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two, swap=LENIENT | {"shadow_frames": 1_000_000})
    asked(config, two.b)

    def fail(line: Line) -> None:
        raise MemoryError

    for lines in (1, 2):
        with pytest.raises(MemoryError):
            run_until_shadowing(config, lines, then=fail)
    assert_refused(config, two.a, "the line ended while trying it")


def test_a_later_request_takes_the_place_of_one_that_is_being_tried(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two, swap=LENIENT | {"shadow_frames": 1_000_000})
    said = []

    def ask_twice() -> None:
        first = activate(config, two.b.path)
        for answer in answers(config, first, QUICK_S):
            assert isinstance(answer, Progress)
            if answer.doing == "shadowing":
                break
        said.append(change(config, two.a.path))
        with pytest.raises(TracksideError, match="another bundle was asked for meanwhile"):
            list(answers(config, first, QUICK_S))
        said.append("told")

    watched = Watched(config, ask_twice)
    assert said[0].refusal is None and said[1] == "told"
    assert set(watched.digests) == {two.a.digest}


def test_metrics_follow_the_bundle_that_is_in_force(tmp_path: Path, two: Bundles) -> None:
    port = free_port()
    config, pages = a_line(tmp_path, two, metrics={"port": port}), list[str]()

    def change_and_look() -> None:
        for bundle in (None, two.b):
            if bundle is not None:
                change(config, bundle.path)
            with urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                pages.append(page.read().decode())

    Watched(config, change_and_look)
    for page, bundle, swaps in zip(pages, two, (0, 1), strict=True):
        assert f'bundle_digest="{bundle.digest}"' in page
        assert f'trackside_swaps_total{{outcome="taken_over"}} {swaps}.0' in page


def test_a_line_that_does_not_run_is_rolled_back_at_once_and_forth_again(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two)
    with pytest.raises(UsageError, match="no bundle was in force before"):
        roll_back(config)
    Watched(config, lambda: change(config, two.b.path))
    for digest in (two.a.digest, two.b.digest):
        roll_back(config)
        with open_line(config) as line:
            assert line.bundle.digest == digest


def test_a_line_file_that_names_another_bundle_than_runs_is_told_so(
    tmp_path: Path, two: Bundles
) -> None:
    config = a_line(tmp_path, two)
    assert left_out(config) is None  # nothing was activated
    folder = swap_folder(config)
    with folder.changing():
        folder.settle(Standing(in_force=two.b.digest))
    said = left_out(config)
    assert said is not None and said.startswith(f"{two.b.digest[:12]} was activated and runs, not")
    assert left_out(config.model_copy(update={"bundle": two.b.path})) is None


def test_what_cannot_be_read_is_complained_of_and_nothing_else(
    tmp_path: Path, two: Bundles, caplog: pytest.LogCaptureFixture
) -> None:
    config = a_line(tmp_path, two)
    folder = swap_folder(config)
    folder.root.mkdir()
    (folder.root / "request.json").write_text("{")
    assert run_quickly(config, frames=50).states[State.UNKNOWN] == 0
    said = [record.message for record in caplog.records if "cannot be changed" in record.message]
    assert len(said) == 1
    assert "was not written by this trackside" in said[0]


def test_what_lies_in_the_place_of_a_file_is_not_written_through(
    tmp_path: Path, two: Bundles
) -> None:
    """Root asks in a folder of the line's user, who would have another's file overwritten."""
    config, victim = a_line(tmp_path, two), tmp_path / "victim"
    victim.write_text("mine")
    root = swap_folder(config).root
    (root / "bundles").mkdir(parents=True)
    for name in ("request.json", ".request.json.new", f"bundles/.{two.b.digest}.bundle.new"):
        (root / name).symlink_to(victim)
    asked(config, two.b)
    found = swap_folder(config).request()
    assert found is not None and found.digest == two.b.digest
    assert victim.read_text() == "mine"
    assert swap_folder(config).open(two.b.digest, None).digest == two.b.digest
    elsewhere = tmp_path / "elsewhere"
    (root / "bundles").rename(elsewhere)
    (elsewhere / "theirs").touch()
    (root / "bundles").symlink_to(elsewhere)
    with pytest.raises(ConfigurationError, match="bundles is a link or no folder"):
        asked(config, two.b)
    assert (elsewhere / "theirs").exists()


def lay_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def lay_much(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(4 << 30)


@pytest.mark.parametrize("lay", [os.mkfifo, lay_zeros, lay_much, Path.mkdir])
def test_what_is_no_small_file_neither_holds_a_line_up_nor_fills_its_memory(
    tmp_path: Path,
    two: Bundles,
    caplog: pytest.LogCaptureFixture,
    lay: Callable[[Path], object],
) -> None:
    config = a_line(tmp_path, two)
    root = swap_folder(config).root
    root.mkdir()
    lay(root / "request.json")
    most_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + 200_000
    assert run_quickly(config, frames=50).states[State.UNKNOWN] == 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < most_kb
    assert any("request.json is no plain file of" in record.message for record in caplog.records)
    lay(root / "standing.json")
    with pytest.raises(ConfigurationError, match=r"standing.json is no plain file of .* remove it"):
        run_quickly(config, frames=1)


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        ("../../elsewhere", "request.json was not written by this trackside"),
        ("B", "it is not what was in force before: activate it"),
        ("f" * 64, "it is not what was in force before: activate it"),
    ],
)
def test_a_forged_rollback_does_not_skip_the_shadow(
    tmp_path: Path,
    two: Bundles,
    caplog: pytest.LogCaptureFixture,
    digest: str,
    why: str,
) -> None:
    config = a_line(tmp_path, two)
    asked(config, two.b)
    two.b.save(tmp_path / "elsewhere.bundle")
    root = swap_folder(config).root
    forged = {"id": "2", "kind": "rollback", "name": "b"}
    forged["digest"] = two.b.digest if digest == "B" else digest
    (root / "request.json").write_text(json.dumps(forged))
    run_quickly(config, frames=100)
    assert open_in_force(config).digest == two.a.digest
    assert any(why in record.message for record in caplog.records)


def test_a_copy_is_what_its_digest_says_or_it_is_refused(tmp_path: Path, two: Bundles) -> None:
    config = a_line(tmp_path, two)
    Watched(config, lambda: change(config, two.b.path))
    folder = swap_folder(config)
    assert open_in_force(config).digest == folder.standing().in_force == two.b.digest
    two.a.save(folder.bundle_path(two.b.digest))
    with pytest.raises(BundleError, match=f"is another bundle, {two.a.digest[:12]}"):
        run_quickly(config, frames=1)
    two.b.save(folder.bundle_path(two.a.digest))
    with pytest.raises(BundleError, match=f"is another bundle, {two.b.digest[:12]}"):
        roll_back(config)


def has_changed(config: LineSettings, before: str) -> bool:
    return swap_folder(config).standing().in_force not in {None, before}


def test_a_line_killed_at_any_moment_starts_with_the_old_bundle_or_the_new(
    tmp_path: Path, two: Bundles
) -> None:
    path, chance = write_line(tmp_path, str(two.a.path)), random.Random(0)
    config, in_force = read_line(path), two.a.digest
    changes_s = 0.0
    with forked_lines(path, two.b.path, two.a.path) as parent:
        assert parent.stdin is not None and parent.stdout is not None
        for number in range(25):
            print("go", file=parent.stdin, flush=True)
            child, started_with = parent.stdout.readline().split()
            assert started_with == in_force
            # Lives until it has changed: so long does it take here and now; the first one longer.
            if number % 5 == 0 or number == 1:
                begun_s = time.monotonic()
                eventually(partial(has_changed, config, in_force))
                changes_s = time.monotonic() - begun_s
            else:
                time.sleep(chance.uniform(0, 1.5 * changes_s))
            os.kill(int(child), signal.SIGKILL)
            assert parent.stdout.readline() == "dead\n"
            in_force = open_in_force(config).digest
            assert in_force in {two.a.digest, two.b.digest}
        parent.stdin.close()


def test_a_recording_has_the_bundle_that_was_in_force(tmp_path: Path, two: Bundles) -> None:
    path = write_line(tmp_path, str(two.a.path))
    config = read_line(path)
    Watched(config, lambda: change(config, two.b.path))
    record_line(path, tmp_path / "recording", frames=3)
    assert read_recording(tmp_path / "recording").digest == two.b.digest


@pytest.mark.skipif(os.geteuid() != 0, reason="only root asks in another's name")
def test_what_root_asks_for_belongs_to_whoever_runs_the_line(tmp_path: Path, two: Bundles) -> None:
    os.chown(tmp_path, 1234, 1234)
    config = a_line(tmp_path, two)
    asked(config, two.b)
    copy = swap_folder(config).bundle_path(two.b.digest)
    assert [path.stat().st_uid for path in copy.parents[:2]] == [1234, 1234]


# --- the command line ----------------------------------------------------------------------------


def trackside(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", "bundle", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_the_commands_change_the_bundle_of_a_process_that_runs(
    tmp_path: Path, two: Bundles, files: dict[str, bytes]
) -> None:
    line, log = write_line(tmp_path, str(two.a.path)), tmp_path / "log"
    command = [sys.executable, "-m", "edge.cli", "run", str(line)]
    with log.open("w") as said, subprocess.Popen(command, stderr=said) as process:
        while ": a on onnx" not in log.read_text():
            assert process.poll() is None
            time.sleep(0.05)
        taken = trackside("activate", line, two.b.path, "--json")
        refused = trackside("activate", line, contrary(tmp_path, files).path)
        bad = trackside("activate", line, wrong(tmp_path, files).path)
        back = trackside("rollback", line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    answer = json.loads(taken.stdout)
    assert (taken.returncode, answer["answered"], answer["refusal"]) == (0, True, None)
    assert answer["request"]["digest"] == two.b.digest
    assert answer["comparison"]["frames"] == 2
    assert (refused.returncode, "is refused: " in refused.stdout) == (1, True)
    assert (bad.returncode, "golden input" in bad.stderr) == (78, True)
    assert (back.returncode, f"{two.a.digest[:12]}, is in force" in back.stdout) == (0, True)
    assert f"bundle b, {two.b.digest[:12]}, is in force" in log.read_text()
    asleep = trackside("activate", line, two.b.path)
    assert (asleep.returncode, "does not run" in asleep.stdout) == (0, True)
