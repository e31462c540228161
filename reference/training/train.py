"""Train a reference network by a recipe; stops and resumes exactly."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision, Precision
from lightning_fabric.strategies.ddp import DDPStrategy
from rich.console import Console
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from edge.errors import ConfigurationError, TracksideError, UsageError
from reference.data import Pair, Source
from reference.evaluation import Said, evaluate, protocol_of, scoring_processes
from reference.kernels.cpu_kernels import use_kernels
from reference.networks.backbone_weights import left_new
from reference.recipe import Recipe, read_sources, refuse_too_few, told_of
from reference.trained import TrainedNetwork, open_network, write_origin
from reference.training.display import Display, JsonLines, LiveDisplay
from reference.training.feed import batches
from reference.training.journal import Journal
from reference.training.named_pieces import NamedPieces
from reference.training.optimizer import Length, learning_rate
from reference.training.outcomes import Watch
from reference.training.rehearsal import BUNDLED, rehearse
from reference.training.run import Run, backbone_of, begin
from reference.training.stop import StopRequest
from reference.training.track import Track, held_out_track
from reference.training.trainer import Trainer

_CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
INSTALLED = {  # by the words that a recipe starts from
    "strip": _CHECKPOINTS / "minet_line.safetensors",
    "rail": _CHECKPOINTS / "minet_rail.safetensors",
}
LOGGED = (
    "mae",
    "s_measure",
    "weighted_f",
    "max_f",
    "iou",
    "iou_pooled",
    "false_reject_rate",
    "escape_rate",
    "found",
    "named_right",
    "classification_accuracy",
)


class TrainingStopped(TracksideError, RuntimeError):
    """Someone asked it to stop; the message says how to go on."""


@contextmanager
def _flushing() -> Iterator[None]:
    """A weight that has all but died must not cost ten times a live one's time."""
    np.finfo(np.float64), np.finfo(np.float32)  # numpy warns if it first looks after the next line
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)  # whoever trains does other things, too


@_flushing()
def train(
    recipe: Recipe,
    *,
    data_root: Path,
    out: Path,
    recipe_folder: Path = Path(),
    resume: Path | None = None,
    start_from: Path | None = None,
    backbone_weights: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    compiled: bool = False,
    kernels: bool = False,
    as_json: bool = False,
    tensorboard: bool = False,
) -> Run:
    """Run a recipe to its last iteration; checkpoints, log and pictures go to `out`.

    Paths in the recipe start at `recipe_folder`. Under `torchrun` each process takes its part of
    every batch, and the first one validates and writes. A terminal shows it live, unless `as_json`;
    what is no terminal gets a JSON object a validation.
    """
    last = out / "last.safetensors"
    _check_beginning(last, resume, start_from or backbone_weights)
    fabric = launch(device, recipe)
    sources, validation = read_data(recipe, data_root)
    track = held_out_track(recipe, data_root, validation)
    start_from = start_from or first_weights(recipe, recipe_folder)
    classes = classes_of(sources, recipe)
    run = begin(
        recipe,
        classes,
        fabric.device,
        resume=resume,
        start_from=start_from,
        backbone_weights=backbone_weights,
        processes=fabric.world_size,
    )
    say((*told_of(recipe, data_root), *remarks(run, start_from or resume, backbone_weights)))
    length = Length.of(recipe, len(sources[0].pairs), sources[0].share)
    remaining = still_to_do(run, length)
    rehearse(run, validation)
    if kernels:
        use_kernels(run.network, fabric.device, recipe.precision)
    if fabric.world_size > 1 and fabric.device.type == "cuda":  # the others' images count too
        convert = nn.SyncBatchNorm.convert_sync_batchnorm
        run.network = convert(run.network)  # type: ignore[no-untyped-call]
    network = torch.compile(run.network) if compiled else run.network
    assert isinstance(network, nn.Module)  # what is compiled stays a module
    forward = fabric.setup_module(network)
    teacher = teacher_of(recipe, recipe_folder, fabric)
    trainer = Trainer(fabric, run, forward, length, teacher)
    journal = None
    if fabric.is_global_zero:
        write_origin(out, data_root, recipe_folder)
        journal = Journal(out, recipe, run.iteration, length.iterations, resumed_from=resume)
        journal.show_on([*displays_of(journal, as_json=as_json, tensorboard=tensorboard)])
    pending: list[Tensor] = []
    scored_here = len(validation) if journal is not None else 0
    with (
        StopRequest() as stop,
        scoring_processes(scored_here) as pool,
        journal or nullcontext(),
    ):
        for batch in batches(fabric, recipe, sources, remaining, workers):
            pending.append(trainer.step(batch))
            at_end = run.iteration == length.iterations
            validating = at_end or run.iteration % recipe.validation.every == 0
            if not (validating or len(pending) >= patience(fabric)):
                continue
            trainer.settle(pending)
            stopping = any_says(fabric, stop.made)
            if journal is not None:
                journal.advance(run.iteration, run.losses[-1])
                if validating:
                    validate(trainer, validation, journal, track, pool)
                elif stopping:
                    run.save(last, {})
            fabric.barrier()
            if stopping and not at_end:
                raise TrainingStopped(f"stopped at {run.iteration}: go on with --resume {last}")
            if validating and any_says(fabric, journal is not None and journal.no_better):
                break
    return run


def _check_beginning(last: Path, resume: Path | None, weights: Path | None) -> None:
    """A run begins once, or goes on with what it had."""
    if resume is None and last.exists():
        raise UsageError(f"{last} is there: go on with --resume {last}, or give another --out")
    if resume is not None and weights is not None:
        raise UsageError("--resume brings all weights: leave out --start-from, --backbone-weights")


def first_weights(recipe: Recipe, folder: Path) -> Path | None:
    """The checkpoint that a recipe starts from: one that is installed, by its name, or a path."""
    if recipe.start_from is None:
        return None
    return INSTALLED.get(recipe.start_from, folder / recipe.start_from)


def displays_of(journal: Journal, *, as_json: bool, tensorboard: bool) -> Iterator[Display]:
    """Where the run is shown: a person's terminal is told, and a script, each in its own way."""
    console, story = Console(stderr=True), journal.story
    if console.is_terminal and not as_json:
        yield LiveDisplay(console, story, journal.folder, journal.reached)
    if as_json or not sys.stdout.isatty():
        yield JsonLines()
    if tensorboard:
        # It is an extra, and loads for seconds.
        from reference.training.tensorboard_display import TensorBoardDisplay  # noqa: PLC0415

        yield TensorBoardDisplay(journal.folder / "tensorboard", journal.reached)


def read_data(recipe: Recipe, data_root: Path) -> tuple[list[Source], list[Pair]]:
    """What is trained on, and what chooses the best; ConfigurationError where the one teaches
    nothing, or the other is none though it is wanted.
    """
    sources, held_out = read_sources(recipe, data_root)
    refuse_too_few(sources, recipe)
    # Without held-out images there is no best: only who says so wants none.
    if not held_out and any(section.hold_out != "none" for section in recipe.data):
        raise ConfigurationError(
            "no data set of the recipe has held-out images: write `hold_out: N` under one to draw "
            "some, or `hold_out: none` under each to train on all and keep the last"
        )
    return sources, held_out


def launch(device: str, recipe: Recipe) -> Fabric:
    """The device, and torchrun's other processes where there are some."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigurationError("there is no CUDA device here: take --device cpu")
    _choose_arithmetic(recipe)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    # These put out what a recipe may have no loss on: its parameters go without a gradient.
    unused = recipe.network["name"] in ("lsanet", "dms")
    fabric = Fabric(
        accelerator=device,
        devices=here,
        num_nodes=processes // here,
        strategy=DDPStrategy(find_unused_parameters=unused) if processes > 1 else "auto",
        plugins=_mixed(recipe, device),
    )
    fabric.launch()
    return fabric


def _mixed(recipe: Recipe, device: str) -> Precision | None:
    """In what precision layers calculate; the run itself scales its losses and remembers by what.

    Fabric's own choice of `fp16` would become another, with a word, on a CPU.
    """
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if recipe.precision == "bf16":
        return MixedPrecision("bf16-mixed", kind)
    if recipe.precision == "fp16":
        return MixedPrecision("16-mixed", kind, GradScaler(kind, enabled=False))
    return None


def _choose_arithmetic(recipe: Recipe) -> None:
    """How a GPU calculates: in whole single precision, unless the recipe says otherwise.

    Its fastest kernels add in another order each time. Only a `deterministic` run is the same run
    again, on the same device and release, and so only such a one is resumed to the same weights.
    """
    torch.backends.cudnn.benchmark = not recipe.deterministic  # every batch has one shape
    torch.backends.cudnn.deterministic = recipe.deterministic
    if recipe.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(recipe.deterministic)
    # cuDNN's own default would round the inputs of convolutions to 10 bits, unasked.
    torch.backends.cudnn.allow_tf32 = recipe.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = recipe.precision == "tf32"


def classes_of(sources: list[Source], recipe: Recipe) -> list[str]:
    """The classes that the network learns to name, if the recipe has it learn any."""
    if "classification" not in recipe.loss.output:
        return []
    names = sorted({pair.class_name for source in sources for pair in source.pairs})
    named = recipe.network.get("classes", len(names))
    if named != len(names):
        raise ConfigurationError(
            f"the network names {named} classes, the data has {len(names)} ({', '.join(names)}): "
            f"write classes: {len(names)} under network"
        )
    return names


def still_to_do(run: Run, length: Length) -> range:
    """The iterations that are left of a run."""
    if run.iteration >= length.iterations:
        name = "epochs" if run.recipe.iterations is None else "iterations"
        raise UsageError(
            f"the checkpoint is at iteration {run.iteration}, and the recipe ends at "
            f"{length.iterations}: raise its `{name}`"
        )
    return range(run.iteration, length.iterations)


def teacher_of(recipe: Recipe, folder: Path, fabric: Fabric) -> TrainedNetwork | None:
    """Whose answers are learned beside the masks."""
    if recipe.teacher is None:
        return None
    return open_network(folder / recipe.teacher.checkpoint, fabric.device)


def patience(fabric: Fabric) -> int:
    """Iterations between looks at the loss: a GPU that is asked for it waits for all its work."""
    return 1 if fabric.device.type == "cpu" else 20


def any_says(fabric: Fabric, so: bool) -> bool:
    """Whether to stop: what one process is asked or finds, all do."""
    flag = torch.tensor(float(so), device=fabric.device)
    return bool(fabric.all_reduce(flag, reduce_op="sum"))


def say(lines: Iterable[str]) -> None:
    """To whoever began the run, whatever its output goes to."""
    for line in lines:
        print(line, file=sys.stderr)


def remarks(run: Run, weights: Path | None, backbone_weights: Path | None) -> Iterator[str]:
    """What a person should know before the first step."""
    if (said := begins_at_random(run, weights)) is not None:
        yield said
    if backbone_weights is not None and (new := left_new(backbone_weights)):
        yield (
            f"NOTE: of the backbone {len(new)} normalisations BEGIN ANEW: its file has "
            f"convolutions alone. {run.backbone_weights} is not ImageNet's weights of this network"
        )
    if (size := run.recipe.validation.size) % BUNDLED:
        yield (
            f"NOTE: validation.size {size} is no multiple of {BUNDLED}, as a bundle's network "
            "wants: for one, train with another size, or pack it with quantize --size"
        )


def begins_at_random(run: Run, weights: Path | None) -> str | None:
    """What is said of a backbone whose paper begins with ImageNet's weights, and that has none."""
    if run.backbone_weights is not None or weights is not None or not backbone_of(run.network):
        return None
    kind = run.recipe.network.get("backbone", "its backbone")
    return (
        f"NOTE: {run.recipe.network['name']} begins with {kind} at random, where its paper begins "
        "with ImageNet's weights: give them with --backbone-weights FILE, or expect less of it"
    )


def enter(
    trainer: Trainer, journal: Journal, figures: dict[str, float], *, better: bool = False
) -> None:
    """A line of the log; the losses begin anew after it."""
    run = trainer.run
    row = {
        "iteration": run.iteration,
        "loss": sum(run.losses) / len(run.losses),
        "learning_rate": learning_rate(run.recipe, trainer.length, run.iteration - 1),
    }
    journal.enter(row | figures, better=better)
    run.losses = []


def at_once(trainer: Trainer) -> int:
    """Images that are looked at together: as many as in a step, for which there is room."""
    recipe = trainer.run.recipe
    on_cpu = trainer.fabric.device.type == "cpu"
    return 1 if on_cpu else sum(section.share for section in recipe.data)


def _numbers(run: Run, said: Iterable[Said]) -> Iterator[Said]:
    """What is said, as long as it is numbers."""
    for one in said:
        if not np.isfinite(one.probability).all():
            raise run.diverged(f"the answer is no number after iteration {run.iteration}")
        yield one


def validate(
    trainer: Trainer,
    pairs: list[Pair],
    journal: Journal,
    track: Track | None = None,
    pool: Executor | None = None,
) -> None:
    """Measure the averaged weights on the held-out pairs, write it down, keep the best.

    Only the figure that decides is measured, and what is cheap: while it is, a GPU has nothing to
    do. `trackside evaluate` measures all there are.

    Without such pairs there is nothing to measure and no best: the last is what is kept.
    """
    run = trainer.run
    if not pairs:
        enter(trainer, journal, {})
        run.save(journal.folder / "last.safetensors", {})
        journal.page()
        return
    run.catch_up()
    trained = TrainedNetwork(run.ema, run.recipe, tuple(run.classes))
    images, watched = (pair.image for pair in pairs), run.recipe.validation
    watch, pieces = Watch(pairs), NamedPieces(pairs, run.recipe)
    said = _numbers(run, trained.look_at_all(images, at_once=at_once(trainer)))
    evaluated = evaluate(
        pieces.look(watch.look(said)),
        pairs,
        protocol_of(watched.protocol),
        figures={watched.best},
        pool=pool,
    )
    metrics = {name: round(value, 5) for name, value in evaluated.items()}
    if run.recipe.names:
        metrics["named_right"] = round(pieces.share, 5)
    if track is not None:  # which says of its own how much is named right
        metrics |= track.figures(run.ema, run.recipe)
    figure = metrics[run.recipe.validation.best]
    better, run.best = figure > run.best, max(figure, run.best)
    logged = {name: metrics[name] for name in LOGGED if name in metrics}
    enter(trainer, journal, logged | {watched.best: figure}, better=better)
    journal.picture(trained.look, pairs, run.iteration)
    if better:
        journal.keep(watch.outcomes(run.iteration))
    # The best first: a run killed in between goes on from `last` and comes here again.
    for name in ("best", "last") if better else ("last",):
        run.save(journal.folder / f"{name}.safetensors", metrics)
    journal.page()
