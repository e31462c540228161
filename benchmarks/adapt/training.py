"""The training itself: from the old network's weights, stopped when it gets no better."""

from __future__ import annotations

from pathlib import Path

import cv2
import torch

from benchmarks.adapt.asked import Effort
from benchmarks.adapt.choice import CHOSEN
from benchmarks.checkpoints import committed, made_of, wanted_by
from edge.bundle import Bundle
from edge.errors import TracksideError, UsageError
from edge.files import write_whole
from reference.recipe import Recipe
from reference.training.train import TrainingStopped, train

DONE = "done"  # beside the checkpoints of a run that is over
FOLDER = "run"


def checkpoint_of(bundle: Bundle, given: Path | None) -> Path:
    """What a bundle was made of; UsageError where that is not to be found, or is another's."""
    name, wanted = bundle.manifest.name, wanted_by(bundle)
    beside = bundle.path.with_suffix(".adapt") / CHOSEN
    tried = [given] if given is not None else [*committed(), beside]
    found = made_of(bundle, filter(Path.is_file, tried))
    if found is not None:
        return found
    if given is not None:
        raise UsageError(f"{name} was not made of {given}: its checkpoint's sha256 is {wanted}")
    raise UsageError(
        f"the checkpoint that {name} was made of is not here (sha256 {wanted or 'unknown'}): give "
        "it with --checkpoint"
    )


def trained(recipe: Recipe, checkpoint: Path, work: Path, data: Path, effort: Effort) -> Path:
    """The best weights; a run that was interrupted goes on, one that is over is not begun again."""
    out = work / FOLDER
    best, last = out / "best.safetensors", out / "last.safetensors"
    if not (out / DONE).exists():
        if effort.threads is not None:
            torch.set_num_threads(effort.threads)
            cv2.setNumThreads(effort.threads)
        try:
            train(
                recipe,
                data_root=data,
                out=out,
                recipe_folder=work,
                resume=last if last.exists() else None,
                start_from=None if last.exists() else checkpoint,
                device=effort.device,
                kernels=effort.kernels,
            )
        except TrainingStopped as stopped:
            raise TracksideError("stopped: the same command goes on there") from stopped
        write_whole(out / DONE, "")
    if not best.exists():
        raise TracksideError(
            f"nothing that it learned found anything of what is held out: see {out}/report.html, "
            "and what was reviewed"
        )
    return best
