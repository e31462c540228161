"""A training run's state: what a checkpoint holds, and how a run begins or goes on."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edge.errors import ConfigurationError, TracksideError
from reference.networks import build
from reference.networks.backbone_weights import BackboneWeightsError, load_backbone_weights
from reference.networks.backbones import Backbone
from reference.networks.minet import WeightedSum
from reference.recipe import Recipe
from reference.trained import CheckpointError, checkpoint, laid_out, memory_format
from reference.training.optimizer import are_whole, build_optimizer, moments, restore_moments
from reference.training.resumption import check_classes, check_unchanged

NAMERS = ("namer.", "name.")  # of the networks' own parameters


class TrainingDiverged(TracksideError, RuntimeError):
    """What is learned is no longer a number; the message says what to try."""


@dataclass
class Run:
    """The network, its averaged twin, the optimizer, and the place reached."""

    recipe: Recipe
    network: nn.Module
    ema: nn.Module
    optimizer: Optimizer
    classes: list[str]  # that the network names, if it does
    backbone_weights: str | None = None  # the file's name and its SHA-256
    iteration: int = 0
    best: float = 0.0
    losses: list[float] = field(default_factory=list)  # since the last validation
    processes: int = 1  # that train it together
    scaler: GradScaler | None = None  # of losses, in half precision

    def save(self, path: Path, metrics: dict[str, float]) -> None:
        """Write a checkpoint that `restore` and the other rooms read."""
        self.catch_up()
        weights = [*self.network.parameters(), *self.ema.parameters()]
        if not torch.stack([w.detach().isfinite().all() for w in weights]).all():
            raise self.diverged(f"a weight is no number after iteration {self.iteration}")
        groups = {
            "model": self.network.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": moments(self.optimizer, self.network),
        }
        record = {
            "recipe": self.recipe.model_dump(mode="json"),
            "backbone_weights": self.backbone_weights,
            "classes": self.classes,
            "commit": commit(),
            "iteration": self.iteration,
            "best": self.best,
            "losses": self.losses,
            "processes": self.processes,
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "metrics": metrics,
        }
        checkpoint.save(path, groups, record)

    def restore(self, path: Path) -> None:
        """Go on exactly where a checkpoint was written."""
        groups, record = checkpoint.load(path)
        stored = Recipe.model_validate(record["recipe"])
        check_unchanged(stored, self.recipe, path)
        check_classes(record.get("classes", []), self.classes, path)
        if record.get("processes", 1) != self.processes:
            raise CheckpointError(
                f"{path} was trained by {record.get('processes', 1)} processes, which see other "
                f"batches than {self.processes}: start as many, or take the weights with "
                "--start-from"
            )
        saved = groups.get("optimizer", {})
        # A scaler that begins too large leaves out the first steps.
        stepped = self.scaler is None
        whole = are_whole(saved, self.optimizer, self.network, stepped=stepped)
        if "model" not in groups or not whole:
            raise CheckpointError(
                f"{path} holds less than a run goes on with: take its weights with --start-from"
            )
        self.network.load_state_dict(groups["model"])
        self.ema.load_state_dict(groups["ema"])
        restore_moments(self.optimizer, self.network, saved)
        if self.scaler is not None:
            self.scaler.load_state_dict(record["scaler"])
        self.iteration = record["iteration"]
        # A figure of another kind or size is no measure of those to come.
        watched, watching = stored.validation, self.recipe.validation
        kinds = [(own.size, own.best, own.protocol) for own in (watched, watching)]
        if kinds[0] == kinds[1]:
            self.best = record["best"]
        # Absent from the first checkpoints, which were written at validations alone.
        self.losses = record.get("losses", [])
        self.backbone_weights = record.get("backbone_weights")

    def diverged(self, what: str) -> TrainingDiverged:
        """The error of having learned too fast."""
        recipe = self.recipe
        return TrainingDiverged(
            f"{what}: lower learning_rate ({recipe.learning_rate}) or clip ({recipe.clip}), or "
            "take precision fp32, and begin anew, by --start-from last.safetensors if there is one"
        )

    @torch.no_grad()
    def average(self) -> None:
        """Move the averaged weights a step towards the network's; counters are copied.

        The first steps average over few: a network that has just begun is not worth remembering.
        Where none is remembered nothing is moved until somebody looks.
        """
        if not self.recipe.ema:
            return
        keep = min(self.recipe.ema, self.iteration / (self.iteration + 10))
        pairs = list(
            zip(self.ema.state_dict().values(), self.network.state_dict().values(), strict=True)
        )
        means, now = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
        average(list(means), list(now), 0)
        for counted, count in pairs:
            if not counted.is_floating_point():
                counted.copy_(count)

    @torch.no_grad()
    def catch_up(self) -> None:
        """Have the averaged weights ready to be looked at: where none is remembered, a copy."""
        if not self.recipe.ema:
            self.ema.load_state_dict(self.network.state_dict())


def begin(
    recipe: Recipe,
    classes: list[str],
    device: torch.device,
    *,
    resume: Path | None = None,
    start_from: Path | None = None,
    backbone_weights: Path | None = None,
    processes: int = 1,
) -> Run:
    """A fresh run, one from another's weights, or the one that a checkpoint left."""
    torch.manual_seed(recipe.seed)
    network = build(**recipe.network)
    if recipe.initialisation == "xavier":
        _xavier(network)
    elif recipe.initialisation == "kaiming":
        _kaiming(network)
    if backbone_weights is not None and resume is None:
        backbone = backbone_of(network)
        if backbone is None:
            name = recipe.network["name"]
            raise BackboneWeightsError(f"this {name} has no backbone: leave out --backbone-weights")
        load_backbone_weights(backbone, backbone_weights)
    if start_from is not None and resume is None:
        groups, _ = checkpoint.load(start_from)
        # What names classes begins afresh on a network that named none.
        fresh = {k: v for k, v in network.state_dict().items() if k.startswith(NAMERS)}
        checkpoint.fill(network, fresh | groups["ema"], start_from)
    _hold(network, recipe.trains)
    layout = memory_format(recipe, device)
    laid_out(network.to(device), layout)
    ema = laid_out(build(**recipe.network).to(device), layout)
    ema.load_state_dict(network.state_dict())
    run = Run(recipe, network, ema.eval(), build_optimizer(network, recipe), classes)
    run.processes = processes
    if recipe.precision == "fp16":
        run.scaler = GradScaler(device.type)
    if backbone_weights is not None:
        digest = hashlib.sha256(backbone_weights.read_bytes()).hexdigest()
        run.backbone_weights = f"{backbone_weights.name} sha256 {digest}"
    if resume is not None:
        run.restore(resume)
    return run


def backbone_of(network: nn.Module) -> Backbone | None:
    """The part of a network that a paper takes from elsewhere, where there is one."""
    backbone = getattr(network, "backbone", None)
    return backbone if isinstance(backbone, Backbone) else None


def _hold(network: nn.Module, trained: tuple[str, ...]) -> None:
    """Keep all but what is trained from learning."""
    names = [name for name, _ in network.named_parameters()]
    if idle := [start for start in trained if not any(n.startswith(start) for n in names)]:
        raise ConfigurationError(
            f"trains: the network has no {', '.join(idle)}: its parts are "
            f"{', '.join(sorted({name.split('.')[0] for name in names}))}"
        )
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(not trained or name.startswith(trained))


def _xavier(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, WeightedSum):
            # The authors hold a convolution for each channel, of four inputs and one output.
            for weight in torch.split(module.weight, 1):
                nn.init.xavier_uniform_(weight)
            continue
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _kaiming(network: nn.Module) -> None:
    for name, module in network.named_modules():
        own = isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
        if own and not name.startswith("backbone."):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def commit() -> str:
    """The source that trains: its commit, or the release where it is not in its repository."""
    root = Path(__file__).parents[2]
    release = f"release {version('trackside')}"
    if not (root / ".git").exists():
        return release
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return release
    return described.stdout.strip()
