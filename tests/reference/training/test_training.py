"""Training: it resumes exactly, whatever ends it, and says what to do when it cannot go on."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import typer
import yaml
from pydantic import ValidationError
from safetensors.torch import save_file
from typer.testing import CliRunner

from edge.errors import ConfigurationError, UsageError
from edge.simulation import SimulatedLine
from quantize.deploy import read_trained
from quantize.describe import input_spec
from reference import commands
from reference.data import Batch
from reference.data.held import DeviceBatch, HeldData
from reference.data.pairs import batch, taken
from reference.networks.backbone_weights import BackboneWeightsError
from reference.networks.backbones import squeezenet1_1
from reference.recipe import OptimizerSection, Recipe, read_recipe, read_sources
from reference.recipe.sections import ValidationSection
from reference.trained import checkpoint, open_network
from reference.training.feed import batches, shared_out
from reference.training.rehearsal import rehearse
from reference.training.run import TrainingDiverged, begin
from reference.training.train import (
    TrainingStopped,
    begins_at_random,
    launch,
    remarks,
    train,
)
from stands.datasets_on_disk import WRITERS
from stands.places import RECIPES
from stands.tiny_recipe import CPU, RECIPE, SIDE, recipe_with

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated frames in the layout of SD-saliency-900, two of them held out."""
    root = tmp_path_factory.mktemp("data")
    line = SimulatedLine(2, width_px=SIDE, defects_per_metre=20)
    for folder in ("Source Images", "Ground truth"):
        (root / "sd900" / folder).mkdir(parents=True)
    for index, number in enumerate((1, 2, 3, 4, 5, 6, 241, 250)):
        image, labels = line.render(SIDE * index, SIDE)
        mask = np.where(labels > 0, 255, 0).astype(np.uint8)
        cv2.imwrite(str(root / "sd900" / "Source Images" / f"In_{number}.bmp"), image)
        cv2.imwrite(str(root / "sd900" / "Ground truth" / f"In_{number}.png"), mask)
    WRITERS["simulated"](root / "simulated")
    return root


SHIPPED = RECIPES.parent / "checkpoints" / "minet_line.safetensors"
REACHED = checkpoint.load(SHIPPED)[1]["iteration"]


def shipped_recipe(**changes: Any) -> Recipe:
    """The shipped checkpoint's recipe, with its data where this machine has some."""
    recipe = read_recipe(RECIPES / "minet_line_shipped.yaml")
    steel = recipe.data[0].model_copy(update={"path": "sd900"})
    few = {"data": [steel, *recipe.data[1:]], "least_defective": 1}
    return recipe.model_copy(update={**few, **changes})


# A process of its own, to be killed or to train with others.
PROGRAM = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from reference.recipe import Recipe
from reference.training.train import train
recipe, data_root, out = sys.argv[1:]
recipe = Recipe.model_validate_json(recipe)
run = train(recipe, data_root=Path(data_root), out=Path(out), device="cpu")
torch.save(dict(run.network.named_parameters()), Path(out) / f"{torch.initial_seed() >> 40}.pt")
"""


def loss_curve(out: Path) -> list[tuple[str, str]]:
    with (out / "log.csv").open() as file:
        return [(row["iteration"], row["loss"]) for row in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs that ended in equal weights, averages and moments, after equal losses."""
    expected, _ = checkpoint.load(one / "last.safetensors")
    groups, _ = checkpoint.load(other / "last.safetensors")
    for group, tensors in expected.items():
        assert tensors.keys() == groups[group].keys()
        assert [k for k in tensors if not torch.equal(tensors[k], groups[group][k])] == [], group
    assert loss_curve(one) == loss_curve(other)


def test_a_run_killed_outright_goes_on_to_the_same_loss_curve_and_weights(
    data_root: Path, tmp_path: Path
) -> None:
    killed, last = tmp_path / "killed", tmp_path / "killed" / "last.safetensors"
    endless = recipe_with(iterations=100_000, decay=1)
    arguments = [endless.model_dump_json(), str(data_root), str(killed)]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments]) as process:
        while not last.exists() and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    recipe = recipe_with(iterations=checkpoint.load(last)[1]["iteration"] + 3, decay=1)
    train(recipe, data_root=data_root, out=killed, resume=last, device="cpu")
    train(recipe, data_root=data_root, out=tmp_path / "unbroken", device="cpu")
    assert_same_run(tmp_path / "unbroken", killed)


def test_a_deterministic_run_asks_for_it_and_the_next_one_no_longer_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    for deterministic in (True, False):
        launch("cpu", recipe_with(deterministic=deterministic))
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        assert torch.backends.cudnn.deterministic == deterministic
        assert torch.backends.cudnn.benchmark != deterministic
        assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None) == (
            ":4096:8" if deterministic else None
        )


def test_a_deterministic_run_that_is_resumed_is_the_unbroken_one(
    data_root: Path, tmp_path: Path
) -> None:
    whole = recipe_with(iterations=4, decay=1, deterministic=True)
    short = whole.model_copy(update={"iterations": 2})
    resumed, last = tmp_path / "resumed", tmp_path / "resumed" / "last.safetensors"
    train(short, data_root=data_root, out=resumed, device="cpu")
    train(whole, data_root=data_root, out=resumed, resume=last, device="cpu")
    assert torch.are_deterministic_algorithms_enabled()
    train(whole, data_root=data_root, out=tmp_path / "unbroken", device="cpu")
    launch("cpu", recipe_with())
    assert_same_run(tmp_path / "unbroken", resumed)


def test_a_signal_saves_where_the_run_is_and_loses_no_step(data_root: Path, tmp_path: Path) -> None:
    stopped, last = tmp_path / "stopped", tmp_path / "stopped" / "last.safetensors"

    def ask_after_the_first_validation() -> None:
        while not last.exists():
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask_after_the_first_validation)
    asking.start()
    optimizer = {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-4, "undecayed": ["norm"]}
    endless = recipe_with(iterations=100_000, decay=1, optimizer=optimizer)
    with pytest.raises(TrainingStopped, match=r"go on with --resume .*last\.safetensors"):
        train(endless, data_root=data_root, out=stopped, device="cpu")
    asking.join()
    reached = checkpoint.load(last)[1]["iteration"]
    recipe = endless.model_copy(update={"iterations": reached + 3})
    train(recipe, data_root=data_root, out=stopped, resume=last, device="cpu")
    train(recipe, data_root=data_root, out=tmp_path / "unbroken", device="cpu")
    assert_same_run(tmp_path / "unbroken", stopped)


def test_the_shipped_checkpoint_goes_on_from_where_it_was(data_root: Path, tmp_path: Path) -> None:
    longer = shipped_recipe(iterations=REACHED + 1)
    run = train(longer, data_root=data_root, out=tmp_path, resume=SHIPPED, device="cpu")
    assert run.iteration == REACHED + 1
    assert {float(state["step"]) for state in run.optimizer.state.values()} == {REACHED + 1.0}
    assert run.best >= checkpoint.load(SHIPPED)[1]["best"]


def test_a_run_that_has_reached_its_length_is_told_to_raise_it(
    data_root: Path, tmp_path: Path
) -> None:
    for length, remedy in (
        ({"iterations": REACHED}, "iterations"),
        (
            {"iterations": None, "epochs": 1},
            "epochs",
        ),
    ):
        with pytest.raises(UsageError, match=rf"at iteration {REACHED}, .*: raise its `{remedy}`"):
            train(
                shipped_recipe(**length),
                data_root=data_root,
                out=tmp_path,
                resume=SHIPPED,
                device="cpu",
            )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 2}, r"\(seed is 2, was 3\)"),
        (
            {"optimizer": OptimizerSection(name="sgd", undecayed=("bias",))},
            r'\(.*name is "sgd", was "adam"; .*undecayed\[0\] is "bias", was absent\)',
        ),
        ({"network": {"name": "minet"}}, r"\(network.align_corners is true, was false\)"),
        ({"crop": 64}, r"\(crop is 64, was 352\)"),
    ],
)
def test_a_run_does_not_go_on_as_another(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(
        checkpoint.CheckpointError, match=rf"another recipe {said}: .* --start-from"
    ):
        begin(shipped_recipe(**changes), [], CPU, resume=SHIPPED)


def test_defaults_and_what_only_watches_may_be_written_otherwise() -> None:
    network = {"name": "minet", "align_corners": False, "dropout": 0.1}
    watching = {"size": 64, "every": 7, "best": "iou"}
    recipe = shipped_recipe(network=network, validation=ValidationSection(**watching), decay=3)
    run = begin(recipe, [], CPU, resume=SHIPPED)
    assert run.iteration == REACHED
    assert run.best == 0  # an IoU is not to be held against an S-measure


def test_resuming_brings_every_weight(data_root: Path, tmp_path: Path) -> None:
    for option in ("start_from", "backbone_weights"):
        with pytest.raises(UsageError, match="leave out --start-from, --backbone-weights"):
            train(
                shipped_recipe(),
                data_root=data_root,
                out=tmp_path,
                resume=SHIPPED,
                device="cpu",
                **{option: SHIPPED},
            )


def test_two_processes_train_one_network_each_on_its_part_of_the_batch(
    data_root: Path, tmp_path: Path
) -> None:
    program, out = tmp_path / "program.py", tmp_path / "run"
    program.write_text(PROGRAM)
    recipe = recipe_with(iterations=2)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [recipe.model_dump_json(), str(data_root), str(out)]
    subprocess.run([*torchrun, str(program), *arguments], check=True, timeout=180)
    first, second = (torch.load(out / f"{process}.pt") for process in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [iteration for iteration, _ in loss_curve(out)] == ["2"]

    sources, _ = read_sources(recipe, data_root)
    images = range(len(sources[0].pairs))
    half = shared_out(sources, 2)[0]
    # An epoch of three batches of two: each process takes one image of each, and none twice.
    seen = [taken(half, 0, seed=5, iteration=number) for number in images]
    assert sorted(index for [index] in seen) == [*images]
    with pytest.raises(ConfigurationError, match="a share of 2 images is not divided among 3"):
        shared_out(sources, 3)


def test_the_command_trains_a_recipe_file_and_refuses_a_device_that_is_not_there(
    data_root: Path, tmp_path: Path
) -> None:
    app, recipe = typer.Typer(), tmp_path / "recipe.yaml"
    app.command()(commands.train)
    recipe.write_text(yaml.safe_dump(RECIPE | {"iterations": 1}))
    arguments = [str(recipe), "--data-root", str(data_root), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--threads", "1"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["iteration"] == 1
    if not torch.cuda.is_available():
        with pytest.raises(ConfigurationError, match="no CUDA device here: take --device cpu"):
            launch("cuda", recipe_with())


def test_a_checkpoint_carries_its_recipe_and_the_source_that_made_it(
    data_root: Path, tmp_path: Path
) -> None:
    recipe = recipe_with(iterations=2)
    train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    groups, record = checkpoint.load(tmp_path / "best.safetensors")
    assert set(groups) == {"model", "ema", "optimizer"}
    assert Recipe.model_validate(record["recipe"]) == recipe
    assert record["iteration"] == 2
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?|release .+)", record["commit"])
    sheet = cv2.imread(str(tmp_path / "samples" / "000002.png"))
    assert sheet is not None
    with pytest.raises(UsageError, match=r"go on with --resume .*, or give another --out"):
        train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    with pytest.raises(checkpoint.CheckpointError, match="trackside train"):
        checkpoint.load(tmp_path / "nothing.safetensors")


def test_a_loss_that_is_no_number_stops_the_run_before_it_is_written(
    data_root: Path, tmp_path: Path
) -> None:
    recipe = recipe_with(learning_rate=1e30, warmup=1, validation={"size": SIDE, "every": 1})
    with pytest.raises(TrainingDiverged, match=r"lower learning_rate \(1e\+30\) or clip"):
        train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    for path in tmp_path.glob("*.safetensors"):
        groups, _ = checkpoint.load(path)
        assert all(tensor.isfinite().all() for tensor in groups["model"].values())


def test_a_set_in_colour_is_trained_on_as_it_is_distributed_and_answered_in_colour(
    tmp_path: Path,
) -> None:
    """ORSSD's layout, with a square that only its colour tells from what is round it."""
    scene = np.full((SIDE, SIDE, 3), (90, 120, 150), np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    scene[20:40, 20:40], mask[20:40, 20:40] = (214, 120, 103), 255
    for side, number in (("train", 1), ("train", 2), ("train", 3), ("test", 1)):
        for folder, picture in (("images", scene), ("labels", mask)):
            path = tmp_path / "orssd" / f"{side}-{folder}" / f"{number:04}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path.with_suffix(".jpg" if folder == "images" else ".png")), picture)
    section = {"layout": "orssd", "path": "orssd", "share": 2, "hold_out": 1}
    recipe = recipe_with(data=[section], colour=True, iterations=2, warmup=1, decay=1)
    train(recipe, data_root=tmp_path, out=tmp_path / "out", device="cpu")
    trained = open_network(tmp_path / "out" / "last.safetensors", CPU)
    [said] = trained.look_at_all([scene])
    [of_grey] = trained.look_at_all([cv2.cvtColor(scene, cv2.COLOR_BGR2GRAY)])
    [of_red_first] = trained.look_at_all([scene[..., ::-1].copy()])
    assert np.abs(said.probability - of_grey.probability).max() > 1e-3
    assert np.abs(said.probability - of_red_first.probability).max() > 1e-3
    spec = input_spec(read_trained(tmp_path / "out" / "last.safetensors"), um_per_px=250)
    assert (spec.channels, spec.mean) == (3, [255 * 0.45] * 3)


def test_a_run_starts_from_anothers_averaged_weights_by_a_path_from_the_recipe(
    data_root: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first" / "last.safetensors"
    train(recipe_with(iterations=1), data_root=data_root, out=first.parent, device="cpu")
    weights = checkpoint.load(first)[0]["ema"]
    run = begin(recipe_with(), [], CPU, start_from=first)
    for network in (run.network, run.ema):
        assert all(torch.equal(t, weights[name]) for name, t in network.state_dict().items())
    other = recipe_with(network={"name": "minet", "mi": "sum"}, start_from="first/last.safetensors")
    with pytest.raises(checkpoint.CheckpointError, match=r"not fit the network, .*Missing key"):
        train(other, data_root=data_root, out=tmp_path, recipe_folder=tmp_path, device="cpu")


def test_a_teacher_changes_what_is_learned(data_root: Path, tmp_path: Path) -> None:
    train(recipe_with(iterations=1), data_root=data_root, out=tmp_path / "teacher", device="cpu")
    teacher = {"checkpoint": "teacher/last.safetensors", "weight": 1.0, "temperature": 2.0}
    losses = []
    for name, changes in (("alone", {}), ("taught", {"teacher": teacher})):
        recipe, out = recipe_with(iterations=1, **changes), tmp_path / name
        train(recipe, data_root=data_root, out=out, recipe_folder=tmp_path, device="cpu")
        losses.append(float(loss_curve(out)[0][1]))
    # Five maps and a teacher that are all about unsure: ln 2 a map, times the temperature squared.
    assert losses[1] - losses[0] == pytest.approx(5 * 4 * np.log(2), rel=0.1)


def test_a_teachers_maps_are_varied_as_the_image_is_and_learned(
    data_root: Path, tmp_path: Path
) -> None:
    """Where there are some; of what has none, the mask is the answer."""
    (tmp_path / "sd900").symlink_to(data_root / "sd900")
    (tmp_path / "simulated").symlink_to(data_root / "simulated")
    (tmp_path / "said").mkdir()
    for path in (data_root / "sd900" / "Ground truth").iterdir():
        shutil.copy(path, tmp_path / "said")
    steel = RECIPE["data"][0] | {"answers": "said", "augment": {"mirror": ["vertical"]}}
    line = {"layout": "simulated", "path": "simulated", "share": 1}
    loss = {"each_map": {"bce": 1}, "answers": 3}
    recipe = recipe_with(data=[steel, line], loss=loss, iterations=1)
    sources, _ = read_sources(recipe, tmp_path)
    for iteration in range(8):
        shown = batch(sources, seed=1, iteration=iteration, crop=SIDE)
        assert shown.answers is not None
        assert (shown.answers[2] == shown.masks[2] * 255).all()
        apart = (shown.answers > 127) != shown.masks.astype(bool)
        assert apart.mean() < 0.01  # along edges, where the one has numbers in between
    train(recipe, data_root=tmp_path, out=tmp_path / "taught", device="cpu")
    alone = recipe_with(data=[steel | {"answers": None}, line], loss=loss | {"answers": 0})
    train(alone.model_copy(update={"iterations": 1}), data_root=tmp_path, out=tmp_path / "alone")
    taught, own = (float(loss_curve(tmp_path / name)[0][1]) for name in ("taught", "alone"))
    # What is said is the mask here: its cross-entropy once, and three times besides.
    assert taught == pytest.approx(4 * own, rel=0.02)


def test_answers_that_are_of_other_pictures_are_refused(data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "sd900").symlink_to(data_root / "sd900")
    (tmp_path / "said").mkdir()
    steel, loss = RECIPE["data"][0] | {"answers": "said"}, {"each_map": {"bce": 1}, "answers": 1}
    with pytest.raises(ConfigurationError, match=r"In_1\.png .*: make it by `trackside maps`"):
        read_sources(recipe_with(data=[steel], loss=loss), tmp_path)
    for path in (data_root / "sd900" / "Ground truth").iterdir():
        cv2.imwrite(str(tmp_path / "said" / path.name), np.zeros((8, 8), np.uint8))
    with pytest.raises(ConfigurationError, match=r"is \(8, 8\) and Source Images/In_1\.bmp"):
        read_sources(recipe_with(data=[steel], loss=loss), tmp_path)
    seen = {"layout": "simulated", "path": "simulated", "ignore": ["crack", "spall", "scratch"]}
    (tmp_path / "simulated").symlink_to(data_root / "simulated")
    for path in (data_root / "sd900" / "Ground truth").iterdir():
        shutil.copy(path, tmp_path / "said")
    with pytest.raises(ConfigurationError, match="no whole mask and no teacher's answer"):
        read_sources(recipe_with(data=[steel, seen], loss=loss), tmp_path)
    with pytest.raises(ValidationError, match="under both loss and data"):
        recipe_with(data=[steel])
    with pytest.raises(ValidationError, match="leave tiles out"):
        recipe_with(data=[steel | {"tiles": 64}], loss=loss)


def test_weights_of_a_backbone_come_from_a_file(tmp_path: Path) -> None:
    recipe = recipe_with(network={"name": "minet", "backbone": "squeezenet1_1"})
    weights = {name: t + 1 for name, t in squeezenet1_1().state_dict().items()}
    path = tmp_path / "squeezenet.safetensors"
    save_file(weights, path)
    run = begin(recipe, [], CPU, backbone_weights=path)
    loaded = run.ema.get_submodule("backbone").state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert run.backbone_weights == f"squeezenet.safetensors sha256 {digest}"
    assert begins_at_random(run, None) is None
    said = begins_at_random(begin(recipe, [], CPU), None)
    assert said is not None and "squeezenet1_1 at random" in said and "--backbone-weights" in said
    assert begins_at_random(begin(recipe_with(), [], CPU), None) is None
    told = remarks(run, None, Path("edges.h5"))
    assert any("13 normalisations BEGIN ANEW" in said for said in told)
    assert not any("BEGIN ANEW" in said for said in remarks(run, None, path))
    with pytest.raises(BackboneWeightsError, match="this minet has no backbone"):
        begin(recipe_with(), [], CPU, backbone_weights=path)
    for content in (b"a page that says it has moved", b"", b"\x80\x02"):
        (tmp_path / "page.pth").write_bytes(content)
        with pytest.raises(BackboneWeightsError, match=r"give torchvision's \.pth"):
            begin(recipe, [], CPU, backbone_weights=tmp_path / "page.pth")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains_and_keeps_whole_weights(
    precision: str, data_root: Path, tmp_path: Path
) -> None:
    recipe = recipe_with(iterations=1, precision=precision)
    run = train(recipe, data_root=data_root, out=tmp_path, device="cpu", workers=2)
    assert {p.dtype for p in run.network.parameters()} == {torch.float32}
    assert np.isfinite(float(loss_curve(tmp_path)[0][1]))
    assert (run.scaler is not None) == (precision == "fp16")


def test_what_scales_the_losses_of_fp16_goes_on_too_and_leaves_out_a_step_too_large(
    data_root: Path, tmp_path: Path
) -> None:
    recipe = recipe_with(iterations=1, precision="fp16")
    run = train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    assert run.scaler is not None
    run.scaler.update(2.0**120)  # so large that every gradient is infinite
    run.save(tmp_path / "last.safetensors", {})
    before = [p.detach().clone() for p in run.network.parameters()]
    longer = recipe_with(iterations=2, precision="fp16")
    resumed = train(
        longer,
        data_root=data_root,
        out=tmp_path,
        device="cpu",
        resume=tmp_path / "last.safetensors",
    )
    assert resumed.scaler is not None
    assert resumed.scaler.get_scale() == 2.0**119
    after = resumed.network.parameters()
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_data_section_may_take_images_of_some_classes_alone(data_root: Path) -> None:
    section = RECIPE["data"][0]
    for classes in (None, ["inclusion"]):
        sources, held_out = read_sources(
            recipe_with(data=[section | {"classes": classes}]), data_root
        )
        assert (len(sources[0].pairs), len(held_out)) == (6, 2)
    for classes in (["crack"], ["inclusion", "crack"]):
        with pytest.raises(
            ConfigurationError, match="no image of class crack: its classes are inclusion"
        ):
            read_sources(recipe_with(data=[section | {"classes": classes}]), data_root)


Groups = dict[str, dict[str, torch.Tensor]]
DAMAGE: dict[str, tuple[Callable[[Groups, dict[str, Any]], object], str]] = {
    "no recipe": (lambda _, record: record.pop("recipe"), r"\(recipe: Field required\)"),
    "a later recipe": (
        lambda _, record: record["recipe"].update(blur=1),
        r"take the release that wrote it \(recipe\.blur: Extra inputs",
    ),
    "a later network": (
        lambda _, record: record["recipe"]["network"].update(name="minet2"),
        "network of another release: network 'minet2' is unknown",
    ),
    "a tensor less": (
        lambda groups, _: groups["ema"].pop("stages.0.0.weight"),
        r"not fit the network, .*Missing key\(s\) .*stages\.0\.0\.weight",
    ),
    "no averages": (lambda groups, _: groups.pop("ema"), "not fit the network"),
}


def assert_nobody_reads(path: Path, said: str) -> None:
    """Training, evaluation and quantization say one line that names the remedy."""
    for read in (
        open_network,
        read_trained,
        lambda path: begin(shipped_recipe(), [], CPU, resume=path),
        lambda path: begin(shipped_recipe(), [], CPU, start_from=path),
    ):
        with pytest.raises(checkpoint.CheckpointError, match=said) as raised:
            read(path)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 700


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_that_lacks_something_is_refused_by_whoever_reads_it(
    damage: str, tmp_path: Path
) -> None:
    break_it, said = DAMAGE[damage]
    groups, record = checkpoint.load(SHIPPED)
    break_it(groups, record)
    checkpoint.save(tmp_path / "broken.safetensors", groups, record)
    assert_nobody_reads(tmp_path / "broken.safetensors", said)


def test_a_file_that_is_no_checkpoint_is_refused_by_whoever_reads_it(tmp_path: Path) -> None:
    path, whole = tmp_path / "broken.safetensors", SHIPPED.read_bytes()
    for content in (b"", b"a page that says it has moved", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        assert_nobody_reads(path, "is no whole checkpoint, copy it again")
    weights = {"ema/a": torch.zeros(1)}
    for metadata, said in (
        (None, "carries no training record"),
        ({"record": "{"}, "has a broken record, copy it again"),
        ({"record": "[]"}, "should be a valid dictionary"),
    ):
        save_file(weights, path, metadata)
        assert_nobody_reads(path, said)


def test_a_run_does_not_go_on_from_less_than_its_state(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    for drop in (
        lambda groups: groups.pop("model"),
        lambda groups: groups.pop("optimizer"),
        lambda groups: groups["optimizer"].pop("stages.0.0.weight.exp_avg"),
    ):
        groups, record = checkpoint.load(SHIPPED)
        drop(groups)
        checkpoint.save(path, groups, record)
        with pytest.raises(checkpoint.CheckpointError, match="weights with --start-from"):
            begin(shipped_recipe(), [], CPU, resume=path)
        begin(shipped_recipe(), [], CPU, start_from=path)


def test_a_run_of_several_processes_is_not_gone_on_with_by_one(tmp_path: Path) -> None:
    groups, record = checkpoint.load(SHIPPED)
    checkpoint.save(tmp_path / "two.safetensors", groups, record | {"processes": 2})
    with pytest.raises(checkpoint.CheckpointError, match=r"by 2 processes, .* batches than 1"):
        begin(shipped_recipe(), [], CPU, resume=tmp_path / "two.safetensors")


def test_a_run_with_patience_stops_when_it_gets_no_better(data_root: Path, tmp_path: Path) -> None:
    # Of what is not learned the first validation stays the best.
    watched = RECIPE["validation"] | {"every": 1, "patience": 2}
    recipe = recipe_with(validation=watched, trains=["heads"], learning_rate=1e-30, iterations=9)
    run = train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    assert run.iteration == 3
    assert [iteration for iteration, _ in loss_curve(tmp_path)] == ["1", "2", "3"]


def test_with_none_held_out_the_last_weights_are_kept_and_there_is_no_best(
    data_root: Path, tmp_path: Path
) -> None:
    section = RECIPE["data"][0]
    recipe = recipe_with(iterations=2, data=[section | {"hold_out": "none"}])
    train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "last.safetensors",
        "log.csv",
        "origin.json",
        "report.html",
    ]
    assert len(read_sources(recipe, data_root)[0][0].pairs) == 8
    unsplit = recipe_with(data=[{"layout": "simulated", "path": "simulated", "share": 2}])
    with pytest.raises(ConfigurationError, match=r"`hold_out: N` under one .* `hold_out: none`"):
        train(unsplit, data_root=data_root, out=tmp_path / "none", device="cpu")


def test_weights_that_are_not_averaged_are_saved_as_they_are(
    data_root: Path, tmp_path: Path
) -> None:
    run = train(recipe_with(iterations=3, ema=0), data_root=data_root, out=tmp_path, device="cpu")
    groups, _ = checkpoint.load(tmp_path / "last.safetensors")
    assert all(torch.equal(t, groups["model"][name]) for name, t in groups["ema"].items())
    moved = run.network.state_dict()
    assert all(torch.equal(t, moved[name]) for name, t in groups["ema"].items())


def test_plain_sgd_which_remembers_nothing_goes_on_too(data_root: Path, tmp_path: Path) -> None:
    recipe = recipe_with(iterations=1, optimizer={"name": "sgd"})
    train(recipe, data_root=data_root, out=tmp_path, device="cpu")
    run = begin(recipe, [], CPU, resume=tmp_path / "last.safetensors")
    assert run.iteration == 1


def test_what_is_taught_by_rectangles_of_masks_is_fed_by_the_host_which_finds_them(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HeldData, "fits", lambda *_: True)  # as on a GPU with room
    for output, kind in (({}, DeviceBatch), ({"location": 0.4}, Batch)):
        recipe = recipe_with(loss={"each_map": {"bce": 1}, "output": output})
        sources, _ = read_sources(recipe, data_root)
        (shown,) = batches(launch("cpu", recipe), recipe, sources, range(1), workers=0)
        assert type(shown) is kind


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"validation": {"size": 60, "every": 2}},
            r"validation\.size: the network takes no 60, .*: pad to 64",
        ),
        (
            {"validation": {"size": 100, "every": 2}},
            r"takes no 100, 100 is not a multiple of 32, as a bundle wants: pad to 128",
        ),
        ({"crop": 72}, r"crop: the network takes no 72, .*: pad to 80"),
        ({"network": {"name": "minet", "in_channels": 1}}, "the network takes no 64"),
    ],
)
def test_a_size_that_the_network_does_not_take_is_found_before_the_first_step(
    changes: dict[str, Any], said: str, data_root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        train(recipe_with(**changes), data_root=data_root, out=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_rehearsal_draws_nothing_and_moves_nothing(data_root: Path) -> None:
    recipe = recipe_with(validation={"size": SIDE, "every": 2, "best": "max_f"})
    held_out = read_sources(recipe, data_root)[1]
    run = begin(recipe, [], CPU)
    before = [t.clone() for n in (run.network, run.ema) for t in n.state_dict().values()]
    drawn = torch.get_rng_state()
    rehearse(run, held_out)
    assert torch.equal(torch.get_rng_state(), drawn)
    after = [t for n in (run.network, run.ema) for t in n.state_dict().values()]
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    sound = [replace(pair, mask=pair.mask * 0) for pair in held_out]
    with pytest.raises(
        ConfigurationError, match=r"best: max_f needs held-out images with a defect"
    ):
        rehearse(run, sound)
