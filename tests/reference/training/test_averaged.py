"""`trackside average`: the mean of several runs' weights, and runs that have none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edge.errors import UsageError
from reference.commands import average
from reference.trained import CheckpointError, checkpoint, open_network
from reference.training.run import begin
from stands.tiny_recipe import CPU, recipe_with


def a_run(path: Path, **changes: Any) -> Path:
    """A run's checkpoint, its weights as they began: another seed, other weights."""
    recipe = recipe_with(**changes)
    torch.manual_seed(recipe.seed)
    begin(recipe, [], CPU).save(path, {"mae": 0.1})
    return path


def ema(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(path)[0]["ema"]


def test_the_mean_of_runs_is_weight_by_weight_and_one_named_twice_counts_twice(
    tmp_path: Path,
) -> None:
    one, other = a_run(tmp_path / "one.safetensors"), a_run(tmp_path / "two.safetensors", seed=6)
    average([one, other, other], tmp_path / "mean.safetensors")
    first, second, mean = (ema(tmp_path / f"{n}.safetensors") for n in ("one", "two", "mean"))
    moved = [name for name in first if not torch.equal(first[name], second[name])]
    assert len(moved) > 10
    for name in moved:
        torch.testing.assert_close(mean[name], (first[name] + 2 * second[name]) / 3)
    average([one, one], tmp_path / "same.safetensors")
    assert all(torch.equal(t, first[n]) for n, t in ema(tmp_path / "same.safetensors").items())
    assert open_network(tmp_path / "mean.safetensors", CPU).recipe == recipe_with()
    made_of = checkpoint.load(tmp_path / "mean.safetensors")[1]["average_of"]
    assert [each["name"] for each in made_of] == ["one.safetensors", *["two.safetensors"] * 2]


def test_a_run_starts_from_a_mean_and_goes_on_from_none(tmp_path: Path) -> None:
    one, mean = a_run(tmp_path / "one.safetensors"), tmp_path / "mean.safetensors"
    average([one, one], mean)
    begin(recipe_with(), [], CPU, start_from=mean)
    with pytest.raises(CheckpointError, match="take its weights with --start-from"):
        begin(recipe_with(), [], CPU, resume=mean)


def test_runs_that_have_no_mean_are_refused(tmp_path: Path) -> None:
    one, mean = a_run(tmp_path / "one.safetensors"), tmp_path / "mean.safetensors"
    summed = a_run(tmp_path / "sum.safetensors", network={"name": "minet", "mi": "sum"})
    darker = a_run(tmp_path / "dark.safetensors", mean=0.4)
    for other, part in ((summed, "network"), (darker, "mean")):
        with pytest.raises(CheckpointError, match=f"has another `{part}` than"):
            average([one, other], mean)
    with pytest.raises(UsageError, match="two checkpoints or more"):
        average([one], mean)
    assert not mean.exists()
