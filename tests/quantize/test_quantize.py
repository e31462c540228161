"""From a checkpoint to a bundle: INT8 that decides the same, or no bundle and the reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from edge.bundle import Bundle, InputSpec, Limits, open_bundle
from edge.engines import open_engine
from edge.errors import UsageError
from edge.files.image_file import write_image
from edge.line_file import settings_for
from edge.network import check_golden, to_tensor
from edge.types import Image, Mask, State, Stretch, Tensor, Verdict
from quantize.deploy import Trained, read_trained, to_onnx
from quantize.deploy.deploy_form import SURE
from quantize.describe import Purpose, input_spec
from quantize.inputs import read_inputs
from quantize.pack import Packing, Wishes, build
from quantize.parity import Subject, TorchEngine, as_html, parse_limits, simulated
from quantize.parity.gate import excess, explain
from quantize.parity.parity import Flip
from quantize.parity.subjects import Origin
from quantize.targets import (
    Accuracy,
    Candidate,
    LayerNoise,
    Material,
    choose,
    fitting,
    measure,
    of_pairs,
    open_target,
    parse_targets,
    read_folder,
    resolve,
)
from quantize.targets.accuracy import s_measure
from quantize.targets.calibrate import CalibrationError
from reference.data import Pair
from reference.trained import checkpoint
from stands.places import ROOT

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever

CHECKPOINT = ROOT / "reference" / "checkpoints" / "minet_line.safetensors"
SIZE, MEAN, STD, UM_PER_PX = 96, 0.45, 0.225, 250
SPEC = InputSpec(
    height=SIZE,
    width=SIZE,
    channels=1,
    mean=[255 * MEAN],
    scale=[1 / (255 * STD)],
    resize="linear",
    um_per_px=UM_PER_PX,
)
ALSO = "160x96"  # width first
TAUGHT = 24  # images to calibrate on: of six, a channel's own range is a guess
PURPOSE = Purpose("small", UM_PER_PX, 0.5, Limits(min_area_mm2=8, min_extent_mm=4))


def pairs(count: int) -> list[Pair]:
    """Frames of the simulated line, each with a defect."""
    frames = (pair for pair in simulated(SPEC, 40 * count, seed=1) if pair.mask.mean() > 0.01)
    return [pair for pair, _ in zip(frames, range(count), strict=False)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped weights at a small size, and data of which 3 images are held out."""
    root = tmp_path_factory.mktemp("root")
    groups, record = checkpoint.load(CHECKPOINT)
    record["recipe"]["validation"]["size"] = SIZE
    record["recipe"]["data"] = [{"layout": "sd900", "path": "steel", "share": 1, "zoom": [1, 1]}]
    checkpoint.save(root / "ckpt", {"ema": groups["ema"]}, record)
    for folder in ("Source Images", "Ground truth"):
        (root / "steel" / folder).mkdir(parents=True)
    names = [f"{kind}_{n}" for n in range(1, TAUGHT // 3 + 1) for kind in ("In", "Pa", "Sc")]
    names += ["In_241", "Pa_242", "Sc_243"]
    for name, pair in zip(names, pairs(len(names)), strict=True):
        write_image(root / "steel" / "Source Images" / f"{name}.bmp", pair.image)
        write_image(root / "steel" / "Ground truth" / f"{name}.png", 255 * pair.mask)
    return root


@pytest.fixture(scope="module")
def trained(root: Path) -> Trained:
    return read_trained(root / "ckpt")


def command(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from edge.cli.app import main; sys.argv[0] = 'trackside'; main()"
    arguments = ("quantize", "ckpt", "--um-per-px", str(UM_PER_PX), "--images", str(TAUGHT))
    return subprocess.run(
        [sys.executable, "-c", program, *arguments, "--frames", "24", *options],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


Made = tuple[Bundle, "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def made(root: Path) -> Made:
    """A small bundle of all targets, and what the command that made it printed."""
    options = ("--data-root", ".", "--out", "small.bundle", "--max-drop", "S=0.1,flips=0.2")
    options += ("--layers", "--report", "report.html", "--also", ALSO, "--clip", "0.05")
    ran = command(root, *options)
    assert ran.returncode == 0, ran.stderr
    return open_bundle(root / "small.bundle"), ran


def packed(trained: Trained, out: Path, wishes: Wishes) -> Packing:
    """A bundle made in this process, of the targets that are quick to make."""
    calibration = choose(of_pairs(pairs(6)), SPEC, count=6, seed=0)
    validation = pairs(12)[6:]
    quiet = lambda _: nullcontext()  # noqa: E731
    return build(trained, calibration, validation, PURPOSE, wishes, out=out, step=quiet)


LENIENT = parse_limits("S=0.1,flips=0.2")
QUICK = Wishes(targets=("openvino", "onnxruntime"), max_drop=LENIENT, frames=8)


def test_the_bundle_holds_int8_for_every_engine_with_its_accuracy(made: Made) -> None:
    manifest = made[0].manifest
    measured = {(a.engine, a.precision): a.accuracy for a in manifest.artefacts}
    assert list(measured) == [
        ("openvino", "int8"),
        ("onnxruntime", "int8"),
        ("litert", "int8"),
        ("native", "int8"),
        ("onnxruntime", "fp32"),
    ]
    assert measured["onnxruntime", "fp32"]["mask_iou"] == 1
    assert measured["onnxruntime", "fp32"]["flips"] == 0
    assert all(accuracy["mask_iou"] > 0.7 for accuracy in measured.values())
    assert (manifest.name, manifest.input) == ("small", SPEC)
    assert manifest.output.clip == 0.05
    assert manifest.provenance["calibration"].startswith(f"{TAUGHT} images, sha256 ")
    assert manifest.provenance["validation"].startswith("3 images, sha256 ")


def test_every_artefact_answers_the_golden_pair_of_its_size(made: Made) -> None:
    for bundle in (made[0], made[0].at(None, 160)):
        assert {"native", "openvino", "onnxruntime", "litert"} == {
            artefact.engine for artefact in bundle.manifest.artefacts
        }
        for artefact in bundle.manifest.artefacts:
            engine = open_engine(settings_for(artefact), bundle)
            check_golden(bundle, engine)
            engine.close()


def test_the_report_compares_every_engine_by_class_size_and_layer(made: Made) -> None:
    parity = json.loads(made[0].read("parity.json"))
    fp32, *engines = parity["engines"]
    assert parity["asked"] == 3 + 24
    assert fp32["all"]["images"] == 3
    assert set(fp32["classes"]) == {"inclusion", "patches", "scratches"}
    assert sum(row["images"] for row in fp32["sizes"].values()) == 3
    for engine in engines[:3]:
        assert set(engine["drops"]) == {"S", "MAE", "WF", "PFOM", "IoU", "flips"}
        assert sum(engine["bytes"].values()) > 500_000
        layers = {row["layer"]: row for row in engine["layers"]}
        assert len(layers) > 120
        assert layers["stages.0.0"]["snr_db"] > layers["decoders.0.1.1.0"]["snr_db"] > 0


def test_the_page_in_the_bundle_shows_only_what_is_nobodys(made: Made, root: Path) -> None:
    inside, beside = made[0].read("report.html").decode(), (root / "report.html").read_text()
    assert ("median ms" in inside, "median ms" in beside) == (False, True)


@pytest.mark.parametrize(("origin", "shown"), [("validation", False), ("simulated", True)])
def test_a_picture_of_a_flip_is_kept_out_unless_its_image_is_nobodys(
    origin: Origin, shown: bool, packing: Packing, made: Made
) -> None:
    (pair,) = pairs(1)
    mask = Mask(np.zeros(pair.mask.shape, np.float32), 0.5)
    was, now = (Verdict(state, 0, Stretch(0, 1)) for state in (State.OK, State.NG))
    flip = Flip(Subject(pair, origin), (mask, was), (mask, now))
    one = packing.settled[-1]
    flipped = replace(one, parity=replace(one.parity, flips=(flip,)))
    content = json.loads(made[0].read("parity.json"))
    pages = [as_html(content, [flipped], all_pictures=every) for every in (False, True)]
    assert [b"data:image/jpeg" in page for page in pages] == [shown, True]


def test_the_command_shows_its_steps_and_hides_the_vendors(made: Made) -> None:
    ran = made[1]
    assert ran.stdout.strip().startswith("Parity on the validation pairs and the simulated line")
    assert all(line.startswith("✓ ") for line in ran.stderr.splitlines() if line.strip())


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bundle of what is quick to make lies."""
    return tmp_path_factory.mktemp("quick") / "small.bundle"


@pytest.fixture(scope="module")
def packing(trained: Trained, quick: Path) -> Packing:
    return packed(trained, quick, QUICK)


def test_two_packings_differ_only_in_when_and_where(
    packing: Packing, quick: Path, trained: Trained, tmp_path: Path
) -> None:
    again = packed(trained, tmp_path / "small.bundle", QUICK)
    assert packing.failures == again.failures == []
    manifests = [
        open_bundle(path).manifest.model_copy(update={"packed": None})
        for path in (quick, tmp_path / "small.bundle")
    ]
    assert manifests[0] == manifests[1]
    assert manifests[0].files.keys() >= {"parity.json", "report.html", "golden/input.png"}


def test_there_is_no_bundle_where_an_engine_lost_too_much(root: Path) -> None:
    arguments = ("--data-root", ".", "--out", "refused.bundle", "--targets", "onnxruntime")
    ran = command(root, *arguments, "--max-drop", "S=0,MAE=0,WF=0,PFOM=0,IoU=0,flips=0")
    assert ran.returncode == 1
    assert "no bundle: onnxruntime int8 loses " in ran.stderr
    assert "keep them in FP32 with --keep stages." in ran.stderr
    assert "or let --auto do it" in ran.stderr
    assert not (root / "refused.bundle").exists()


def test_auto_keeps_more_layers_each_round_until_the_limits_hold(
    trained: Trained, tmp_path: Path
) -> None:
    strict = replace(QUICK, targets=("onnxruntime",), rounds=2, max_drop={"S": 0.0, "WF": 0.0})
    settled = packed(trained, tmp_path / "auto.bundle", strict).settled[0]
    assert settled.kept
    assert not settled.over or len(settled.kept) == 2**2 - 1


def test_layers_that_are_kept_leave_less_noise(material: Material) -> None:
    target, noise = open_target("onnxruntime", material), []
    for keep in ((), ("stages",)):
        files = target.quantize(resolve(keep, material.graph))
        noises = measure([target.layer_pairs(files, material.tensors[0])], material.graph)
        noise.append({n.layer: n.snr_db for n in noises}["decoders.0.1.1.0"])
    assert noise[1] > noise[0] + 2


@pytest.fixture(scope="module")
def material(trained: Trained) -> Material:
    graph = to_onnx(trained.network, height=SIZE, width=SIZE)
    tensors = [to_tensor(pair.image, SPEC) for pair in pairs(4)]
    return Material(trained.network, graph, tensors, SPEC)


def test_weights_keep_to_seven_bits_unless_every_box_sums_in_32(material: Material) -> None:
    def largest(full_range: bool) -> int:
        target = open_target("onnxruntime", replace(material, full_range=full_range))
        graph = onnx.load_from_string(target.quantize(())["int8.onnx"]).graph
        weights = [onnx.numpy_helper.to_array(i) for i in graph.initializer]
        return max(int(np.abs(w.astype(int)).max()) for w in weights if w.dtype == np.int8)

    assert largest(False) <= 64
    assert largest(True) >= 127


def test_the_metric_that_layers_are_given_back_for_starts_afresh(trained: Trained) -> None:
    engine = TorchEngine(trained.network)
    good, bad = pairs(2)[0], Pair("none", pairs(1)[0].image, np.zeros((SIZE, SIZE), np.uint8))
    accuracy = [Accuracy.on(of, SPEC, 0.01).items for of in ([good], [bad, good])]

    def infer(tensor: Tensor) -> Tensor:
        return engine.infer(tensor).logits

    first = s_measure(infer, accuracy[0])
    mixed, each = s_measure(infer, accuracy[1])
    assert s_measure(infer, accuracy[0]) == first
    assert each[1] == first[0]
    assert mixed == pytest.approx((each[0] + each[1]) / 2)


def test_the_layer_that_collapses_comes_first(material: Material) -> None:
    x = np.ones((1, 1, 4, 4), np.float32)
    names = ["stages.0.0", "stages.1.0.0.0", "stages.1.0.1.0"]
    exact = dict.fromkeys(names, x)
    rounded = dict(zip(names, (x * 1.001, x * 1.5, x * 1.501), strict=True))
    first, *others = measure([(exact, rounded)], material.graph)
    assert first == LayerNoise("stages.1.0.0.0", 6.0, 44.0)
    assert {other.layer: other.lost_db for other in others} == {
        "stages.0.0": 0.0,
        "stages.1.0.1.0": 0.0,
    }


def test_a_layer_that_is_not_there_names_those_that_are_near(material: Material) -> None:
    assert resolve(["head", "stages.1.0"], material.graph) == {
        "head",
        "stages.1.0.0.0",
        "stages.1.0.1.0",
    }
    with pytest.raises(UsageError, match=r"--keep stages\.0\.1: there is no such layer, but "):
        resolve(["stages.0.1"], material.graph)


def test_what_may_be_lost_is_read_and_held() -> None:
    limits = parse_limits("S=0.01, flips=0.005")
    assert excess({"S": 0.01, "flips": 0.005, "MAE": 1.0}, limits) == []
    over = excess({"S": 0.0112, "flips": 0.0}, limits)
    said = explain("litert int8", over, [LayerNoise("stages.2.1", 3.2, 20.0)])
    assert said.startswith("litert int8 loses S by 0.0112, more than 0.01. Most is lost in stages.")
    for wrong in ("S", "S=x", "speed=0.1", "S=-1", ""):
        with pytest.raises(UsageError, match="write NAME=NUMBER"):
            parse_limits(wrong)


def test_targets_come_in_one_order_and_an_unknown_one_lists_them() -> None:
    assert parse_targets("litert, openvino") == ["openvino", "litert"]
    with pytest.raises(UsageError, match="--targets coreml: choose from openvino,onnxruntime,lit"):
        parse_targets("litert,coreml")


def candidates(images: Sequence[Image]) -> list[Candidate]:
    return [Candidate(f"{n}.png", image, None) for n, image in enumerate(images)]


def test_calibration_takes_what_is_least_alike() -> None:
    rng = np.random.default_rng(1)
    odd = [rng.integers(0, 40, (64, 64), np.uint8), rng.integers(0, 255, (64, 64), np.uint8)]
    mixed = candidates([*[pairs(1)[0].image] * 6, *odd])
    for seed in range(3):
        chosen = choose(mixed, SPEC, count=3, seed=seed).images
        assert {image.tobytes() for image in odd} < {image.tobytes() for image in chosen}


def test_calibration_takes_much_defect_and_none() -> None:
    image = pairs(1)[0].image
    alike = [Candidate(f"{n}", image.copy(), share) for n, share in enumerate((0.1,) * 6 + (0.9,))]
    for seed in range(3):
        chosen = choose(alike, SPEC, count=2, seed=seed).images
        assert any(one is alike[-1].image for one in chosen)


def test_calibration_is_known_by_its_pixels() -> None:
    images = [pair.image for pair in pairs(6)]
    first = choose(candidates(images), SPEC, count=4, seed=0)
    assert choose(candidates(images), SPEC, count=4, seed=0).sha256 == first.sha256
    brighter = candidates([image + np.uint8(1) for image in images])
    assert choose(brighter, SPEC, count=4, seed=0).sha256 != first.sha256


def test_calibration_refuses_what_teaches_no_range() -> None:
    good = [pair.image for pair in pairs(2)]
    for wrong, message in (
        ([], "there is no image to calibrate on: name a folder"),
        ([*good, np.zeros((64, 64), np.uint8)], "1 of 3 images are of one single grey: 2.png: rem"),
        ([*good, good[0][:16]], "1 of 3 images are below 32 pixels a side: 2.png"),
        ([*good, good[0][:40]], "1 of 3 images are not of the network's proportions 96x96: 2.png"),
    ):
        with pytest.raises(CalibrationError, match=message):
            choose(candidates(wrong), SPEC, count=4, seed=0)


def test_a_training_picture_that_teaches_no_range_keeps_nobody_from_packing() -> None:
    good = [pair.image for pair in pairs(2)]
    unfit = [np.zeros((64, 64), np.uint8), good[0][:16], good[0][:40]]
    assert [each.name for each in fitting(candidates([*good, *unfit]), SPEC)] == ["0.png", "1.png"]
    assert len(fitting(candidates(unfit), SPEC)) == 3, "which are then refused, and named"


def test_calibration_images_that_cannot_be_read_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="is no folder: name one that holds images"):
        read_folder(tmp_path / "none")
    with pytest.raises(
        CalibrationError, match=r"holds no image \(.*\.png.*name the folder that do"
    ):
        read_folder(tmp_path)
    write_image(tmp_path / "good.png", pairs(1)[0].image)
    for name in ("cut.png", "empty.bmp"):
        (tmp_path / name).write_bytes((tmp_path / "good.png").read_bytes()[: 40 * (name[0] == "c")])
    with pytest.raises(CalibrationError, match=r"2 of 3 files: .*cut\.png .*; .*empty\.bmp is not"):
        read_folder(tmp_path)


def test_images_come_from_the_recipe_or_from_folders_or_it_is_said(
    root: Path, trained: Trained, tmp_path: Path
) -> None:
    recipe = trained.recipe
    training, held_out = read_inputs(recipe, root, None, None)
    assert [pair.name for pair in held_out] == ["In_241", "Pa_242", "Sc_243"]
    assert len(training) == TAUGHT
    assert all(candidate.defect_share for candidate in training)
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images" / "one.png", pairs(1)[0].image)
    own, also = read_inputs(recipe, None, tmp_path, root / "steel")
    assert [candidate.name for candidate in own] == ["one.png"]
    assert [pair.name for pair in also] == [pair.name for pair in held_out]
    with pytest.raises(UsageError, match="nothing to calibrate on: give --calibration or"):
        read_inputs(recipe, None, None, root / "steel")
    with pytest.raises(UsageError, match="nothing to validate on: give --validation or"):
        read_inputs(recipe, None, tmp_path, None)


def test_a_papers_own_minet_decides_in_int8_and_divides_each_picture_by_its_maximum(
    root: Path, tmp_path: Path
) -> None:
    """Its probabilities are enlarged, which in 8 bits would be those of nothing and of all."""
    groups, record = checkpoint.load(root / "ckpt")
    record["recipe"] |= {"divide_by_maximum": True}
    record["recipe"]["network"] = {"name": "minet", "enlarge": "probabilities"}
    checkpoint.save(tmp_path / "paper", groups, record)
    paper = read_trained(tmp_path / "paper")
    spec = input_spec(paper, um_per_px=UM_PER_PX)
    assert (spec.mean, spec.scale) == ([0], [1 / 255])
    graph = to_onnx(paper.network, height=SIZE, width=SIZE)
    *taught, asked = [to_tensor(pair.image, spec) for pair in pairs(TAUGHT + 1)]
    files = open_target("onnxruntime", Material(paper.network, graph, taught, spec)).quantize(())
    int8, fp32 = map(InferenceSession, (files["int8.onnx"], graph.SerializeToString()))
    answers = [session.run(None, {"image": asked})[0] for session in (int8, fp32)]
    assert all(np.abs(answer).max() <= 2 * SURE for answer in answers)
    decided = [answer > 0 for answer in answers]
    assert np.count_nonzero(decided[0] & decided[1]) > 0.7 * np.count_nonzero(
        decided[0] | decided[1]
    )
    dark = fp32.run(None, {"image": asked / 2})[0]
    np.testing.assert_allclose(dark, answers[1], atol=1e-3)
