"""The optimizer of a recipe, and its learning rate at each iteration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, Adam, AdamW, Optimizer

from reference.recipe import OptimizerSection, Recipe


@dataclass(frozen=True)
class Length:
    """How long a run is."""

    iterations: int
    epoch: int  # iterations of one

    @classmethod
    def of(cls, recipe: Recipe, images: int, share: int) -> Length:
        """An epoch is as many whole batches as the first data set's images fill."""
        epoch = max(1, images // share)
        if recipe.iterations is not None:
            return cls(recipe.iterations, epoch)
        return cls((recipe.epochs or 0) * epoch, epoch)


def build_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """Parameters in groups by whether they decay and by their rate."""
    section = recipe.optimizer
    norms = {id(p) for m in network.modules() if isinstance(m, _BatchNorm) for p in m.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        bias = name.endswith("bias")
        spared = (bias and "bias" in section.undecayed) or (
            id(parameter) in norms and "norm" in section.undecayed
        )
        decay = 0.0 if spared else section.weight_decay
        groups.setdefault((decay, section.bias_rate if bias else 1.0), []).append(parameter)
    settings = [
        {"params": parameters, "weight_decay": decay, "rate": rate}
        for (decay, rate), parameters in groups.items()
    ]
    # On a GPU in one kernel for all parameters.
    fused = all(p.device.type == "cuda" for p in network.parameters()) or None
    return _make(section, settings, recipe.learning_rate, fused=fused)


def _make(
    section: OptimizerSection, groups: list[dict[str, object]], rate: float, *, fused: bool | None
) -> Optimizer:
    if section.name == "sgd":
        return SGD(groups, rate, momentum=section.momentum, fused=fused)
    kinds: dict[str, type[Adam]] = {"adam": Adam, "adamw": AdamW}
    return kinds[section.name](groups, rate, fused=fused)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """The run's rate, times each group's own."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def learning_rate(recipe: Recipe, length: Length, iteration: int) -> float:
    """Linear warm-up, the schedule, linear decay to nothing over the last `decay` iterations."""
    warm = min(1.0, (iteration + 1) / recipe.warmup)
    decay = min(1.0, (length.iterations - iteration) / recipe.decay)
    return recipe.learning_rate * warm * decay * _scheduled(recipe, length, iteration)


def _scheduled(recipe: Recipe, length: Length, iteration: int) -> float:
    """The part of the full rate that the schedule leaves."""
    schedule = recipe.schedule
    if schedule.per == "epoch":
        iteration -= iteration % length.epoch
    progress = iteration / length.iterations
    if schedule.name == "poly":
        return float((1 - progress) ** schedule.power)
    if schedule.name == "cosine":
        floor = schedule.floor / recipe.learning_rate
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2
    return 1.0


def moments(optimizer: Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimizer's state under `parameter.key` names."""
    return {
        f"{name}.{key}": value
        for name, parameter in network.named_parameters()
        for key, value in optimizer.state[parameter].items()
        if value is not None  # SGD without momentum
    }


def are_whole(
    saved: dict[str, Tensor], optimizer: Optimizer, network: nn.Module, *, stepped: bool
) -> bool:
    """Whether `moments` can have given these; a parameter that had no gradient has none.

    Before anything was `stepped`, none has.
    """
    momentum = optimizer.defaults.get("momentum")
    if momentum is None:
        kinds = {"step", "exp_avg", "exp_avg_sq"}
    else:
        kinds = {"momentum_buffer"} if momentum else set()
    names = {key.rpartition(".")[0] for key in saved}
    wanted = {f"{name}.{kind}" for name in names for kind in kinds}
    known = names <= dict(network.named_parameters()).keys()
    some = bool(names) == bool(kinds) or not (stepped or names)
    return known and wanted == saved.keys() and some


def restore_moments(optimizer: Optimizer, network: nn.Module, saved: dict[str, Tensor]) -> None:
    """Take back what `moments` gave, on the parameters' device."""
    parameters = dict(network.named_parameters())
    for key, value in saved.items():
        name, _, kind = key.rpartition(".")
        parameter = parameters[name]
        state = optimizer.state[parameter]
        # A fused optimizer counts its steps where its parameters are.
        state[kind] = value.to(parameter.device) if optimizer.defaults.get("fused") else value
        if value.shape == parameter.shape:
            # In the parameter's own memory format: unlike ones are stepped one by one.
            state[kind] = torch.empty_like(parameter).copy_(value)
