"""Train a reference network by a recipe; stops and resumes exactly."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge.errors import ConfigurationError, TracksideError
from reference import checkpoint
from reference.data import READERS, Pair, Source, batch, split_sd900
from reference.evaluate import evaluate, network_predictor
from reference.losses import deep_supervision
from reference.networks import build
from reference.recipe import Recipe


class TrainingDiverged(TracksideError, RuntimeError):
    """The loss is no longer a number; the message says what to try."""


@dataclass
class Run:
    """What a checkpoint holds: the network, its averaged twin, the optimizer, the place reached."""

    network: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Adam
    iteration: int = 0
    best: float = 0.0

    def save(self, path: Path, recipe: Recipe, metrics: dict[str, float]) -> None:
        names = [name for name, _ in self.network.named_parameters()]
        moments = self.optimizer.state_dict()["state"]
        optimizer = {
            f"{name}.{key}": moments[i][key] for i, name in enumerate(names) for key in moments[i]
        }
        groups = {
            "model": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": optimizer,
        }
        record = {
            "recipe": recipe.model_dump(mode="json"),
            "iteration": self.iteration,
            "best": self.best,
            "metrics": metrics,
        }
        checkpoint.save(path, groups, record)

    def restore(self, path: Path) -> None:
        groups, record = checkpoint.load(path)
        self.network.load_state_dict(groups["model"])
        self.ema.load_state_dict(groups["ema"])
        state: dict[int, dict[str, Tensor]] = {}
        for i, (name, _) in enumerate(self.network.named_parameters()):
            keys = ("step", "exp_avg", "exp_avg_sq")
            state[i] = {key: groups["optimizer"][f"{name}.{key}"] for key in keys}
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})
        self.iteration, self.best = record["iteration"], record["best"]


def start(recipe: Recipe, resume: Path | None) -> Run:
    """A fresh run, or the one a checkpoint left."""
    torch.manual_seed(recipe.seed)
    network = build(**recipe.network).to(memory_format=torch.channels_last)  # 5x faster on CPU
    ema = build(**recipe.network).to(memory_format=torch.channels_last)
    ema.load_state_dict(network.state_dict())
    run = Run(network, ema.eval(), torch.optim.Adam(network.parameters(), recipe.learning_rate))
    if resume is not None:
        run.restore(resume)
    return run


def read_sources(recipe: Recipe, data_root: Path) -> tuple[list[Source], list[Pair]]:
    """The training sources and the validation pairs of a recipe."""
    sources, validation = [], []
    for section in recipe.data:
        pairs = READERS[section.layout](data_root / section.path)
        if section.layout == "sd900":
            pairs, held_out = split_sd900(pairs)
            validation += held_out
        sources.append(Source(pairs, section.share, section.zoom))
    if not validation:
        raise ConfigurationError("no data set of the recipe has held-out images: add sd900")
    return sources, validation


def train(recipe: Recipe, *, data_root: Path, out: Path, resume: Path | None = None) -> Run:
    """Run a recipe to its last iteration; `last` and `best` checkpoints and a log go to `out`."""
    run = start(recipe, resume)
    sources, validation = read_sources(recipe, data_root)
    out.mkdir(parents=True, exist_ok=True)
    log = (out / "log.jsonl").open("a", buffering=1)
    started, losses = time.monotonic(), []
    while run.iteration < recipe.iterations:
        losses.append(step(run, recipe, sources))
        if run.iteration % recipe.validation.every == 0 or run.iteration == recipe.iterations:
            metrics = validate(run, recipe, validation)
            best = metrics["s_measure"] > run.best
            run.best = max(run.best, metrics["s_measure"])
            run.save(out / "last.safetensors", recipe, metrics)
            if best:
                run.save(out / "best.safetensors", recipe, metrics)
            line: dict[str, Any] = {"iteration": run.iteration, "loss": sum(losses) / len(losses)}
            line |= metrics | {"seconds": round(time.monotonic() - started, 1)}
            print(json.dumps(line), file=log)
            print(json.dumps(line), flush=True)
            losses = []
    return run


def step(run: Run, recipe: Recipe, sources: list[Source]) -> float:
    """One optimizer step; everything random in it follows from the seed and the iteration."""
    torch.manual_seed(recipe.seed * 1_000_003 + run.iteration)  # dropout
    images, masks = batch(sources, seed=recipe.seed, iteration=run.iteration, crop=recipe.crop)
    x = (torch.from_numpy(images).float().unsqueeze(1) / 255 - recipe.mean) / recipe.std
    x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    target = torch.from_numpy(masks).float().unsqueeze(1)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(recipe, run.iteration)
    run.network.train()
    loss = deep_supervision(run.network(x), target)
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"the loss is {loss.item()} at iteration {run.iteration}: lower learning_rate "
            f"({recipe.learning_rate}) and resume from last.safetensors"
        )
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    run.iteration += 1
    average(run.ema, run.network, min(recipe.ema, run.iteration / (run.iteration + 10)))
    return loss.item()


def learning_rate(recipe: Recipe, iteration: int) -> float:
    """Linear warm-up, constant, linear decay to nothing over the last `decay` iterations."""
    warm = min(1.0, (iteration + 1) / recipe.warmup)
    decay = min(1.0, (recipe.iterations - iteration) / recipe.decay)
    return recipe.learning_rate * warm * decay


@torch.no_grad()
def average(ema: nn.Module, network: nn.Module, keep: float) -> None:
    """Move the averaged weights a step towards the network's; counters are copied."""
    for mean, now in zip(ema.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(now, 1 - keep)
        else:
            mean.copy_(now)


def validate(run: Run, recipe: Recipe, pairs: list[Pair]) -> dict[str, float]:
    """Metrics of the averaged weights on the held-out pairs."""
    size = recipe.validation.size
    predict = network_predictor(run.ema, size=size, mean=recipe.mean, std=recipe.std)
    return {name: round(value, 5) for name, value in evaluate(predict, pairs).items()}
