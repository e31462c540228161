"""The new network for all engines of the old one's bundle, behind the gates of `quantize`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.adapt.asked import Asked
from benchmarks.adapt.choice import Choice
from edge.bundle import Bundle
from edge.files import write_whole
from quantize.deploy import read_trained
from quantize.describe import Purpose, input_spec
from quantize.inputs import read_inputs
from quantize.pack import GOLDEN_PAIR, SIMULATED_FRAME, Packing, Wishes, build
from quantize.parity import parse_limits
from quantize.steps import Step
from quantize.targets import choose, fitting, parse_targets

_CALIBRATED_ON = 200  # images
_SIMULATED = 120  # frames that engines are compared on besides


def packed(
    choice: Choice,
    old: Bundle,
    asked: Asked,
    data: Path,
    out: Path,
    *,
    origin: Mapping[str, str],
    step: Step,
) -> Packing:
    """Good for what the old one is good for; nothing is written if an engine loses too much."""
    manifest = old.manifest
    with step("Read the checkpoint and the images"):
        trained = read_trained(choice.checkpoint)
        candidates, held_out = read_inputs(trained.recipe, data, None, None)
        spec = input_spec(trained, manifest.input.um_per_px)
        shown = choose(
            fitting(candidates, spec), spec, count=_CALIBRATED_ON, seed=asked.effort.seed
        )
    simulated = any(each.layout == "simulated" for each in trained.recipe.data)
    wishes = Wishes(
        targets=parse_targets(asked.effort.targets),
        max_drop=parse_limits(asked.limits.max_drop),
        frames=_SIMULATED if simulated else 0,
        golden=_golden(old, data),
        also=[(each.height, each.width) for each in manifest.other_sizes],
    )
    purpose = Purpose(
        asked.out.stem,
        manifest.input.um_per_px,
        choice.threshold,
        manifest.limits.model_copy(update={"found": []}),  # what was measured was of the old one
        manifest.input.follow,
        manifest.output.clip,
        origin,
    )
    return build(trained, shown, held_out, purpose, wishes, out=out, step=step)


def _golden(old: Bundle, data: Path) -> Path | None:
    """The picture that the old bundle shows already: nobody's is shown that was not before. Of
    simulated frames, which are nobody's, the new network has the one that it is surest of itself.
    """
    if old.manifest.provenance.get(GOLDEN_PAIR) == SIMULATED_FRAME:
        return None
    path = data / "golden.png"
    write_whole(path, old.read(old.manifest.golden.input))
    return path
