"""How long a step of training takes: torch's own blocks and the kernels of --kernels, in turns.

    python -m benchmarks.training_step reference/recipes/minet_line.yaml --rounds 9

Steps are whole: forward, loss, backward, optimizer, average, on images that are there already. On a
GPU there is one row, the recipe's own.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from reference.data import Batch
from reference.kernels.cpu_kernels import use_kernels
from reference.networks import complete
from reference.recipe import Recipe, changed, read_recipe
from reference.training.optimizer import Length
from reference.training.run import begin
from reference.training.train import launch
from reference.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", dest="changes", default=[])
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.set_flush_denormal(True)
    recipe = changed(read_recipe(asked.recipe), asked.changes)
    classes = classes_of(recipe)
    trainers = _trainers(recipe, asked.device, classes)
    batch = batch_of(recipe, classes)
    taken: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(asked.rounds + 1):  # the first is a warm-up
        for name, trainer in trainers.items():
            taken[name].append(_seconds(trainer, batch))
    images = len(batch.images)
    for name, seconds in taken.items():
        middle = statistics.median(seconds[1:])
        print(f"{name}: {middle * 1000:.0f} ms a step of {images}, {images / middle:.0f} images/s")
    if "kernels" in taken:
        pairs = zip(taken["torch"][1:], taken["kernels"][1:], strict=True)
        ratios = [stock / ours for stock, ours in pairs]
        print(
            f"torch takes {statistics.median(ratios):.2f} times as long as the kernels "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def classes_of(recipe: Recipe) -> list[str]:
    """Stand-ins for the classes that the network is taught, if it is."""
    if "classification" not in recipe.loss.output:
        return []
    return [f"class {n}" for n in range(complete(**recipe.network)["classes"])]


def _trainers(recipe: Recipe, device: str, classes: list[str]) -> dict[str, Trainer]:
    """By name; each with a network and an optimizer of its own."""
    fabric = launch(device, recipe)
    names = ["torch"] if fabric.device.type == "cpu" else [fabric.device.type]
    if names == ["torch"] and recipe.network["name"] == "minet" and recipe.precision == "fp32":
        names.append("kernels")
    trainers = {}
    for name in names:
        run = begin(copy.deepcopy(recipe), classes, fabric.device)
        if name == "kernels":
            use_kernels(run.network, fabric.device, recipe.precision)
        trainers[name] = Trainer(
            fabric, run, fabric.setup_module(run.network), Length(1000, 1), None
        )
    return trainers


def batch_of(recipe: Recipe, classes: list[str]) -> Batch:
    count = sum(section.share for section in recipe.data)
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (count, recipe.crop, recipe.crop), np.uint8)
    shown = [(classes or ["defect"])[n % max(1, len(classes))] for n in range(count)]
    return Batch(images, (images > 230).astype(np.uint8), shown)


def _seconds(trainer: Trainer, batch: Batch) -> float:
    begun = time.perf_counter()
    loss = trainer.step(batch)
    loss.item()  # a GPU is asked for it, and so has done its work
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
