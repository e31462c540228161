"""Recipes: what each setting does to a step, and that the papers' own take one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks import training_step
from edge.errors import ConfigurationError, UsageError
from reference.data import Pair, Source, batch
from reference.losses import Truth, supervise
from reference.losses.supervision import OUTPUT_LOSSES
from reference.networks import build
from reference.networks.layers import NetworkError
from reference.recipe import Recipe, changed, read_recipe
from reference.trained import network_input
from reference.training.optimizer import Length, build_optimizer, learning_rate, set_learning_rate
from reference.training.run import begin
from reference.training.train import classes_of, launch
from reference.training.trainer import Trainer
from stands.places import RECIPES, ROOT
from stands.tiny_recipe import CPU, RECIPE, SIDE, recipe_with

PAPERS = ("minet_paper", "nadinet", "csepnet", "lsanet", "dms")  # whose recipes they are

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever


def test_dms_learns_the_class_too_of_images_without_a_defect_in_one_stage() -> None:
    image, mask = np.full((32, 32), 90, np.uint8), np.zeros((32, 32), np.uint8)
    image[8:20, 8:12], defect = 30, mask.copy()
    defect[8:20, 8:12] = 1
    pairs = [Pair("a", image, defect, "crack"), Pair("b", image, mask, "free")]
    sources = [Source(pairs, 2, (1.0, 1.0))]
    recipe = recipe_with(
        network={"name": "dms", "bidirectional": False, "classes": 2},
        loss={"each_map": {"bce": 1}, "output": {"classification": 0.01}},
        crop=32,
    )
    run = begin(recipe, classes_of(sources, recipe), CPU)
    assert run.classes == ["crack", "free"]
    heads = [output.classify for output in run.network.top_down.outputs]
    before = [head.bias.clone() for head in heads]
    trainer = Trainer(launch("cpu", recipe), run, run.network, Length(1, 1), None)
    assert trainer.step(batch(sources, seed=0, iteration=0, crop=recipe.crop)).isfinite()
    assert all(not torch.equal(head.bias, bias) for head, bias in zip(heads, before, strict=True))
    network = {"name": "dms", "classes": 6}
    with pytest.raises(
        ConfigurationError, match=r"names 6 classes, the data has 2 \(crack, free\)"
    ):
        classes_of(sources, recipe.model_copy(update={"network": network}))


LENGTH = Length(iterations=100, epoch=10)


@pytest.mark.parametrize(
    ("changes", "iteration", "rate"),
    [
        ({"warmup": 4}, 0, 0.25),
        ({"warmup": 4}, 3, 1),
        ({"decay": 50}, 50, 1),
        ({"decay": 50}, 75, 0.5),
        ({"schedule": {"name": "poly", "power": 0.9}}, 50, 0.5**0.9),
        ({"schedule": {"name": "poly", "power": 0.9, "per": "epoch"}}, 59, 0.5**0.9),
        ({"schedule": {"name": "cosine", "floor": 0.1}}, 0, 1),
        ({"schedule": {"name": "cosine", "floor": 0.1}}, 50, 0.55),
        ({"schedule": {"name": "cosine", "floor": 0.1, "per": "epoch"}}, 9, 1),
    ],
)
def test_the_learning_rate_is_the_one_worked_out_by_hand(
    changes: dict[str, Any], iteration: int, rate: float
) -> None:
    recipe = recipe_with(**{"warmup": 1, "decay": 1, "learning_rate": 1.0, **changes})
    assert learning_rate(recipe, LENGTH, iteration) == pytest.approx(rate)


def test_an_epoch_is_as_many_whole_batches_as_the_first_data_set_fills() -> None:
    recipe = recipe_with(iterations=None, epochs=3)
    assert Length.of(recipe, images=25, share=10) == Length(iterations=6, epoch=2)
    with pytest.raises(ValueError, match="either `iterations` or `epochs`"):
        recipe_with(epochs=3)


def test_biases_and_norms_are_spared_decay_and_biases_have_their_own_rate() -> None:
    section = {"name": "sgd", "weight_decay": 0.1, "undecayed": ["bias", "norm"], "bias_rate": 2}
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    optimizer = build_optimizer(network, recipe_with(optimizer=section))
    set_learning_rate(optimizer, 0.5)
    (weight, bias), (gamma, beta) = (list(module.parameters()) for module in network)
    settings = {
        id(p): (group["weight_decay"], group["lr"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    expected = {weight: (0.1, 0.5), gamma: (0, 0.5), bias: (0, 1.0), beta: (0, 1.0)}
    assert settings == {id(p): setting for p, setting in expected.items()}


def test_an_image_is_scaled_as_the_recipe_says() -> None:
    image = torch.tensor([[[0, 51], [102, 204]]], dtype=torch.uint8)  # N,H,W: 0, .2, .4, .8
    plain = network_input(image, recipe_with(mean=0.2, std=0.5))
    assert plain.shape == (1, 3, 2, 2)
    assert plain[0, 2].flatten().tolist() == pytest.approx([-0.4, 0, 0.4, 1.2])
    each = recipe_with(mean=(0.0, 0.2, 0.4), std=(1.0, 2.0, 4.0), divide_by_maximum=True)
    scaled = network_input(image, each)
    assert scaled[0, :, 1, 1].tolist() == pytest.approx([1, 0.4, 0.15])
    assert network_input(image * 0, each).isfinite().all()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_recipe_reads_and_its_network_builds(path: Path) -> None:
    recipe = read_recipe(path)
    with torch.device("meta"):
        network = build(**recipe.network)
        size = recipe.crop
        network.eval()(torch.empty(1, 3, size, size))


def rows_of_the_papers() -> Iterator[tuple[str, Path, list[str]]]:
    """Each row of docs/papers.md that settings make: its name, its recipe, and what it sets."""
    recipe = Path()
    for line in (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines():
        linked = re.search(r"\(\.\./reference/recipes/(\w+)\.yaml\)", line)
        if line.startswith("## "):
            recipe = RECIPES / f"{linked[1]}.yaml" if linked else Path()
        if not line.startswith("| ") or not recipe.name:
            continue
        table, row, settings = (cell.strip() for cell in line.strip("|").split("|"))
        changes = re.findall(r"`([\w.]+=[^`]+)`", settings)
        if changes or linked or settings.startswith("the recipe"):
            own = RECIPES / f"{linked[1]}.yaml" if linked else recipe
            yield f"{recipe.stem}, table {table}, {row}", own, changes


ROWS = {name: (path, changes) for name, path, changes in rows_of_the_papers()}


def test_every_papers_tables_have_rows_that_settings_make() -> None:
    counts = [sum(name.startswith(f"{paper},") for name in ROWS) for paper in PAPERS]
    assert dict(zip(PAPERS, counts, strict=True)) == {
        "minet_paper": 15, "nadinet": 11, "csepnet": 15, "lsanet": 14, "dms": 11,
    }  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_a_row_of_a_papers_table_is_made_by_the_settings_beside_it(name: str) -> None:
    path, changes = ROWS[name]
    recipe = changed(read_recipe(path), changes)
    if recipe.network["name"] == "lsanet":  # what a row leaves out, its losses must not want
        assert supervised(recipe).isfinite()
        return
    with torch.device("meta"):
        output = build(**recipe.network).eval()(torch.empty(2, 3, SIDE, SIDE))
        truth = Truth(torch.empty(2, 1, SIDE, SIDE), torch.empty(2, dtype=torch.long))
    for loss in recipe.loss.output:
        assert OUTPUT_LOSSES[loss](output, truth).shape == ()


def supervised(recipe: Recipe) -> torch.Tensor:
    """What a recipe's network pays for one small defect."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 8:20, 8:12] = 1
    with torch.no_grad():
        output = build(**recipe.network)(mask.expand(-1, 3, -1, -1))
        truth = Truth(mask, torch.zeros(1, dtype=torch.long), boxes=mask)
        return supervise(output, truth, recipe.loss)


@pytest.mark.parametrize("name", PAPERS)
def test_a_step_of_each_papers_recipe_moves_the_network(name: str) -> None:
    recipe = read_recipe(RECIPES / f"{name}.yaml").model_copy(update={"crop": SIDE, "warmup": 1})
    image = np.full((SIDE, SIDE), 90, np.uint8)
    mask = np.zeros_like(image)
    image[8:20, 8:12], mask[8:20, 8:12] = 30, 1
    pairs = [Pair("a", image, mask, "crack"), Pair("b", image, mask * 0, "free")]
    augment = recipe.data[0].augment.model_copy(update={"stretch": SIDE})
    sources = [Source(pairs, 2, (1.0, 1.0), augment)]
    run = begin(recipe, ["crack", "free"] if name == "dms" else [], CPU)
    trainer = Trainer(launch("cpu", recipe), run, run.network, LENGTH, None)
    before = [parameter.detach().clone() for parameter in run.network.parameters()]
    assert trainer.step(batch(sources, seed=0, iteration=0, crop=recipe.crop)).isfinite()
    moved = [
        not torch.equal(old, new) for old, new in zip(before, run.network.parameters(), strict=True)
    ]
    assert np.mean(moved) > 0.9  # a bias before a normalisation has no gradient


def test_a_mistake_in_a_recipe_is_named_with_its_line_and_the_choices(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    text = yaml.safe_dump({**RECIPE, "loss": {"each_map": {"bse": 1}}}, sort_keys=False)
    path.write_text(text.replace("sd900\n", "sd901\n", 1))
    with pytest.raises(ConfigurationError) as raised:
        read_recipe(path)
    said = str(raised.value)
    assert "data[0].layout: unknown: choose from sd900, " in said
    assert "'bce', 'iou', 'ssim'" in said
    with pytest.raises(ValueError, match="has no `name`"):
        recipe_with(network={})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": -1}, r":\d+: seed: should be greater than or equal to 0"),
        ({"learning_rate": float("inf")}, r":\d+: learning_rate: should be a finite number"),
        (
            {"data": [RECIPE["data"][0] | {"zoom": [2, 1]}]},
            r":\d+: data\[0\].zoom: 2 is above 1: write the smaller first",
        ),
        (
            {"data": [RECIPE["data"][0] | {"augment": {"noise": {"range": [0.5, 0.1]}}}]},
            r":\d+: data\[0\].augment.noise.range: 0.5 is above 0.1: write the smaller first",
        ),
        (
            {"data": [RECIPE["data"][0] | {"augment": {"noise": {"range": [-0.5, 0.1]}}}]},
            r":\d+: data\[0\].augment.noise: its range begins at -0.5: begin at 0 or above",
        ),
    ],
)
def test_a_number_that_no_step_could_use_is_named(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    with pytest.raises(ConfigurationError, match=said):
        read_recipe(path)


@pytest.mark.parametrize(
    ("network", "remedy"),
    [
        ({"name": "munet"}, "network 'munet' is unknown: choose one of minet, "),
        ({"name": ["minet"]}, r"network \['minet'\] is unknown: choose one of minet, "),
        ({"name": "minet", "align_corners": [1]}, "align_corners should be a valid boolean"),
        ({"name": "minet", "dropout": 2}, "cannot be built with dropout 2: dropout probability"),
        ({"name": "nadinet", "fuse_groups": 3}, "cannot be built with fuse_groups 3: .*divisible"),
        ({"name": "dms", "classes": -1}, "cannot be built with classes -1"),
    ],
)
def test_a_network_that_cannot_be_built_says_which_argument_is_wrong(
    network: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(NetworkError, match=remedy):
        build(**network)


def test_the_command_line_changes_single_settings_of_a_recipe() -> None:
    recipe = read_recipe(RECIPES / "lsanet.yaml")
    wanted = ["crop=128", "data.0.share=4", "data.0.augment.stretch=128", "iterations=30"]
    smaller = changed(recipe, [*wanted, "validation.size=128", "network.lam=matmul"])
    assert (smaller.crop, smaller.data[0].share, smaller.data[0].augment.stretch) == (128, 4, 128)
    assert (smaller.iterations, smaller.epochs, smaller.validation.size) == (30, None, 128)
    assert smaller.network == {"name": "lsanet", "lam": "matmul"}
    assert changed(recipe, []) == recipe
    for change, said in (
        ("crop", "write KEY=VALUE"),
        ("data.7.share=2", "the recipe has no data.7.share"),
        ("crpo=3", "crpo: Extra inputs are not permitted"),
        ("crop=-3", "crop: Input should be greater than 0"),
    ):
        with pytest.raises(UsageError, match=said):
            changed(recipe, [change])


def test_a_step_of_every_papers_recipe_can_be_timed() -> None:
    for recipe in map(read_recipe, RECIPES.glob("*.yaml")):
        classes = training_step.classes_of(recipe)
        shown = training_step.batch_of(changed(recipe, ["crop=32"]), classes)
        assert len(shown.images) == len(shown.class_names) == sum(s.share for s in recipe.data)
        if "classification" in recipe.loss.output:
            assert set(shown.class_names) <= set(classes) and len(classes) == 6


def test_xavier_takes_the_mix_for_as_many_convolutions_as_it_has_channels() -> None:
    run = begin(recipe_with(initialisation="xavier"), [], CPU)
    weight = run.network.get_submodule("stages.4.1.mix.0").weight
    bound = (6 / (4 + 1)) ** 0.5  # of four inputs and one output
    assert 0.9 * bound < weight.abs().max() <= bound


def test_kaiming_is_of_the_new_layers_and_leaves_the_backbone_alone() -> None:
    network = {"name": "minet", "backbone": "squeezenet1_1"}
    plain, anew = (
        begin(recipe_with(network=network, initialisation=how), [], CPU).network.state_dict()
        for how in (None, "kaiming")
    )
    same = {name for name, tensor in plain.items() if torch.equal(tensor, anew[name])}
    assert {name for name in plain if name.startswith("backbone.")} <= same
    wide = anew["decoders.3.1.1.0.weight"]  # 256,512,1,1
    assert "decoders.3.1.1.0.weight" not in same
    assert wide.std().item() == pytest.approx((2 / wide.shape[1]) ** 0.5, rel=0.05)
