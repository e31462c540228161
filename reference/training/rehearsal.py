"""What would end a run only at its first validation, tried before its first step."""

from __future__ import annotations

import numpy as np
import torch

from edge.errors import ConfigurationError
from reference.data import Pair
from reference.evaluation import Said, evaluate, protocol_of
from reference.trained import network_input
from reference.training.run import Run

BUNDLED = 32  # a bundle's network takes pictures whose sides are multiples of it


def rehearse(run: Run, held_out: list[Pair]) -> None:
    """Have the averaged network answer at both sizes, and take the figure that decides the best.

    No random number is drawn and no weight moves: a run goes on exactly as it would have.
    """
    validation = run.recipe.validation
    if validation.best == "named_right" and not run.recipe.names:
        raise ConfigurationError(
            "validation.best: named_right needs a network that names classes: give it `class_maps` "
            "and the recipe `names`, or choose by another figure"
        )
    _answer(run, "validation.size", validation.size)
    _answer(run, "crop", run.recipe.crop)
    if not held_out:
        return
    shown = next((pair for pair in held_out if pair.mask.any()), held_out[0])
    of_names = {"found", "named_right", "classification_accuracy"}  # which a blank map has none of
    protocol = protocol_of(validation.protocol)
    known = evaluate([Said(np.zeros(shown.mask.shape, np.float32))], [shown], protocol)
    if validation.best not in of_names and validation.best not in known:
        raise ConfigurationError(
            f"validation.best: {validation.best} needs held-out images with a defect"
        )


@torch.inference_mode()
def _answer(run: Run, setting: str, size: int) -> None:
    device = next(run.ema.parameters()).device
    planes = (3,) if run.recipe.colour else ()
    image = torch.zeros(1, size, size, *planes, dtype=torch.uint8, device=device)
    try:
        run.ema(network_input(image, run.recipe))
    except (ArithmeticError, RuntimeError, ValueError) as error:  # the network's, or torch's own
        said = " ".join(str(error).split())
        if setting == "validation.size" and size % BUNDLED:  # what the network takes may be less
            padded = -(-size // BUNDLED) * BUNDLED
            said = f"{size} is not a multiple of {BUNDLED}, as a bundle wants: pad to {padded}"
        raise ConfigurationError(f"{setting}: the network takes no {size}, {said}") from error
