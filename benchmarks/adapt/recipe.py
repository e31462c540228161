"""What is trained, and on what: the old network's own recipe, with what people said in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.adapt.asked import Asked
from edge.bundle import InputSpec
from edge.errors import UsageError
from edge.simulation import SimulatedLine, surfaces_of
from edge.simulation.dataset import write_dataset
from reference.recipe import DataSection, HoldOut, LossSection, Recipe

REVIEWED, PICTURES, GOOD = "reviewed", "pictures", "good"
_SHARES = {REVIEWED: 5, PICTURES: 2, GOOD: 1}
_REPLAYED = 5  # images of each batch, of what the network was taught by before
# Where the data is not here it is rendered, so much that a run looks at a frame twice or so: a few
# hundred would be learned by heart, and small scratches forgotten. Of them some choose the best.
_FRAMES_A_STEP, _LEAST_FRAMES, _HELD_OUT, _MOST_HELD = 2.4, 96, 0.25, 96
_SEED = 500_000  # of rail that nothing else looks at
_PER_METRE = 10.0
_SMALLEST = 0.25  # of the usual size: what is small is forgotten first
_ZOOM = (0.9, 1.15)  # a camera's scale is known, and its height is not to the last part
_CROP = 224  # pixels a side: larger ones teach no more in a step, and cost more
_EVERY = 40
_PATIENCE = 4
# Where the recipe taught only a part of the network, what all of it was taught by before.
_MAPS = LossSection(each_map={"bce": 4, "iou": 1}, first_map={"ssim_half": 1, "structure": 4})
_PARTS = ("decoders", "heads", "namer")  # of MINet: how it reads what its encoder sees
_BOXES = LossSection(boxes={"outside": 2, "hardest": 0.25, "holds": 0.5})


@dataclass(frozen=True)
class Made:
    """A folder of pictures that was written for this training."""

    path: str
    weak: bool  # some have boxes alone


@dataclass(frozen=True)
class Replay:
    """What the old network was taught by, as far as it is here."""

    sections: tuple[DataSection, ...]
    real: tuple[DataSection, ...]  # of them, those that nobody rendered
    missing: tuple[str, ...]


def replay(stored: Recipe, asked: Asked, data: Path, spec: InputSpec) -> Replay:
    """Each data set of the recipe: where it lies, or rendered anew if it is the simulator's.

    UsageError where nothing is here: a network that sees only what is new forgets the rest.
    """
    here, real, missing = list[DataSection](), list[DataSection](), list[str]()
    rendered = set[str]()
    for section in stored.data:
        place = None if asked.data_root is None else asked.data_root / section.path
        if place is not None and place.is_dir():
            link = data / "given" / section.path
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(place.resolve())
            here.append(section.model_copy(update={"path": f"given/{section.path}"}))
            if stored.validation.best == "found":  # whole pictures, looked at in windows
                here[-1] = here[-1].model_copy(update={"tiles": max(spec.height, spec.width)})
            if section.layout != "simulated":
                real.append(here[-1])
        elif section.layout == "simulated":
            frames = max(_LEAST_FRAMES, round(_FRAMES_A_STEP * asked.effort.iterations))
            if section.path not in rendered:
                _render(data / "rendered" / section.path, stored, spec, frames)
                rendered.add(section.path)
            here.append(
                section.model_copy(
                    update={
                        "path": f"rendered/{section.path}",
                        "hold_out": HoldOut(images=min(_MOST_HELD, round(_HELD_OUT * frames))),
                    }
                )
            )
        elif section.path not in missing:
            missing.append(section.path)
    if not here:
        raise UsageError(
            f"nothing that the network was taught by is here ({', '.join(missing)}), and it would "
            "forget what it knew: give the folder that holds it with --data-root"
        )
    return Replay(tuple(_shared(here)), tuple(real), tuple(missing))


def _render(out: Path, stored: Recipe, spec: InputSpec, frames: int) -> None:
    if (out / "whole").exists():
        return
    surfaces = surfaces_of(stored.names)
    template = SimulatedLine(
        _SEED,
        surface="track" if surfaces == ("track",) else "rail",
        width_px=spec.width,
        um_per_px=round(spec.um_per_px),
        defects_per_metre=_PER_METRE,
        distractors_per_metre=_PER_METRE,
        smallest=_SMALLEST,
    )
    for _ in write_dataset(out, template, frames=frames, lines=frames // 2, height_px=spec.height):
        pass
    (out / "whole").touch()  # what a kill left half is rendered again


def _shared(sections: Sequence[DataSection]) -> Iterator[DataSection]:
    """As many of each batch as is replayed, shared out as the recipe shares them."""
    total = sum(section.share for section in sections)
    for section in sections:
        share = max(1, round(section.share * _REPLAYED / total))
        yield section.model_copy(update={"share": share})


def recipe_for(
    stored: Recipe, made: Sequence[Made], replayed: Replay, asked: Asked, spec: InputSpec
) -> Recipe:
    """The same network, going on from its weights, a little further."""
    iterations = asked.effort.iterations
    how = stored.data[0].augment.model_copy(update={"stretch": None, "aim": 0.0, "rotate_deg": 0.0})
    own = [
        {
            "layout": "coco",
            "path": each.path,
            "share": _SHARES[each.path],
            "zoom": _ZOOM,
            "augment": how.model_dump(),
            "boxes": "hold" if each.weak else "filled",
            "tiles": max(spec.height, spec.width),
        }
        for each in made
    ]
    weak = any(each.weak for each in made) or bool(stored.loss.boxes)
    return Recipe.model_validate(
        stored.model_dump(mode="json")
        | {
            "data": [*own, *(each.model_dump(mode="json") for each in replayed.sections)],
            "least_defective": 1,
            "start_from": None,
            "teacher": None,
            "initialisation": None,
            "trains": _parts(stored),
            "crop": min(_CROP, spec.height),
            "loss": _loss(stored, weak=weak).model_dump(),
            "validation": {
                "size": spec.height,
                "every": min(_EVERY, max(1, iterations // 2)),
                "best": "iou_pooled",
                "patience": _PATIENCE,
            },
            "learning_rate": 0.002,
            "warmup": min(20, iterations),
            "schedule": {"name": "constant"},
            "iterations": iterations,
            "epochs": None,
            "decay": max(1, iterations * 2 // 3),
            "ema": 0.98,
            "seed": asked.effort.seed,
        }
    )


def _parts(stored: Recipe) -> tuple[str, ...]:
    """Of MINet its encoder stays to the bit: what it tells apart is not forgotten, and a step takes
    half as long. Any other network is trained whole.
    """
    if stored.network["name"] != "minet":
        return ()
    return _PARTS if stored.network.get("class_maps") else _PARTS[:2]


def _loss(stored: Recipe, *, weak: bool) -> LossSection:
    """As it was taught; of the whole network where only its names were."""
    loss = stored.loss
    if not loss.each_map:
        loss = loss.model_copy(update={"each_map": _MAPS.each_map, "first_map": _MAPS.first_map})
    if weak and not loss.boxes:
        loss = loss.model_copy(update={"boxes": _BOXES.boxes})
    return loss
