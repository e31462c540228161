"""From people's word to a bundle, step after step; what is done already is not done again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from benchmarks.adapt.asked import Asked, Store, lookout_of, old_bundle, stores_of
from benchmarks.adapt.choice import chosen
from benchmarks.adapt.decision import Guarded, objections
from benchmarks.adapt.guard import (
    Source,
    at_network_scale,
    guarded,
    labelled_source,
    simulated_sources,
)
from benchmarks.adapt.judging import Judged, count, judged
from benchmarks.adapt.others import good_rail, marked_pictures
from benchmarks.adapt.packing import packed
from benchmarks.adapt.page import report_page
from benchmarks.adapt.people import Heard, Said, hear
from benchmarks.adapt.recipe import GOOD, PICTURES, REVIEWED, Made, Replay, recipe_for, replay
from benchmarks.adapt.result import Result
from benchmarks.adapt.sides import held_out_by_run
from benchmarks.adapt.training import checkpoint_of, trained
from benchmarks.adapt.written import Picture, as_shown, write_pictures
from edge.assembly.camera import rail_plane
from edge.bundle import Bundle, open_bundle
from edge.errors import UsageError
from edge.files import write_whole
from edge.network import network_of
from quantize.steps import Step, steps
from reference.data import Pair
from reference.recipe import Recipe, read_sources
from reference.trained import checkpoint as checkpoints

PLAN, PAGE, JSON = "plan.json", "report.html", "adapt.json"
MIXED = "taken of what was learned"  # by a bundle's provenance
Tell = Callable[[str], None]


def adapt(asked: Asked, tell: Tell) -> Result:
    """Do what is left to do. UsageError and ConfigurationError before anything takes long."""
    task = _prepared(asked, tell)
    # Shown live, and so not among the steps, which keep the converters' own words from people.
    best = trained(task.recipe, task.checkpoint, asked.work, task.data, asked.effort)
    with steps() as step:
        return _held_against(task, best, step)


@dataclass(frozen=True)
class _Task:
    """All that is known before the training."""

    asked: Asked
    stores: Sequence[Store]
    old: Bundle
    checkpoint: Path
    said: Sequence[Said]
    made: Sequence[Made]
    replayed: Replay
    recipe: Recipe
    data: Path
    told: dict[str, str]


def _prepared(asked: Asked, tell: Tell) -> _Task:
    stores = stores_of(asked)
    running = old_bundle(asked, stores)
    checkpoint = checkpoint_of(running, asked.checkpoint)
    _, record = checkpoints.load(checkpoint)
    stored = Recipe.model_validate(record["recipe"])
    with steps() as step:
        with step("Read what people said"):
            heard = hear(stores)
            said = held_out_by_run(heard.said)
            asked.work.mkdir(parents=True, exist_ok=True)
            _goes_on(asked, running, said)
            running.save(asked.work / "old.bundle")
            old = open_bundle(asked.work / "old.bundle")
        data = asked.work / "data"
        with step("Write and render the pictures"):
            made = list(_made(asked, stores, said, old, data))
            replayed = replay(stored, asked, data, old.manifest.input)
    for each in _told(heard, said, replayed):
        tell(each)
    recipe = recipe_for(stored, made, replayed, asked, old.manifest.input)
    told = _facts(asked, old, heard, said, replayed)
    return _Task(asked, stores, old, checkpoint, said, made, replayed, recipe, data, told)


def _held_against(task: _Task, best: Path, step: Step) -> Result:
    asked, old, said = task.asked, task.old, task.said
    candidate = asked.work / "candidate.bundle"
    if not candidate.exists():
        origin = {"adapted from": f"{old.manifest.name}, sha256 {old.digest}"}
        origin |= {"reviewed": f"{len(said)} events, sha256 {_digest(said)}"}
        with step("Choose how much of it is taken, and the threshold"):
            choice = chosen(old, task.checkpoint, best, task.data, asked.work)
        origin[MIXED] = f"{choice.share:.0%}"
        packing = packed(choice, old, asked, task.data, candidate, origin=origin, step=step)
        if packing.failures:
            failures = tuple(packing.failures)
            refused = Result(asked.out.stem, False, failures, None, None, task.told)
            return _finish(asked, refused, [], {}, None)
    new = open_bundle(candidate)
    guards = _guards(task, new, step)
    with step("Judge what people said by both"):
        events = _judged(task.stores, said, old, new)
    held = count(each for each in events if each.side == "val")
    learned = count(each for each in events if each.side == "train")
    against = tuple(objections(held, guards, asked.limits))
    digest = None if against else new.digest
    told = task.told | {MIXED: new.manifest.provenance[MIXED]}
    result = Result(asked.out.stem, not against, against, held, learned, told, digest)
    return _finish(asked, result, events, guards, new)


def _goes_on(asked: Asked, old: Bundle, said: Sequence[Said]) -> None:
    """UsageError where the folder is of other reviews, another bundle or other wishes."""
    effort = asked.effort
    plan = {
        "format": 1,
        "bundle": old.digest,
        "said": _digest(said),
        "pictures": [str(each) for each in (*asked.pictures, *asked.good)],
        "data_root": str(asked.data_root),
        "iterations": effort.iterations,
        "seed": effort.seed,
        "targets": effort.targets,
        "guard": effort.guard_defects,
    }
    path = asked.work / PLAN
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != plan:
        raise UsageError(
            f"{asked.work} is of other reviews, another bundle or other options: give another -o, "
            "or remove it"
        )
    write_whole(path, json.dumps(plan, indent=1))


def _digest(said: Sequence[Said]) -> str:
    told = [(each.store, each.event.id, each.event.utc, each.side, each.review) for each in said]
    return sha256(repr(told).encode()).hexdigest()


def _told(heard: Heard, said: Sequence[Said], replayed: Replay) -> Iterator[str]:
    held = [each for each in said if each.side == "val"]
    yield (
        f"{len(said)} reviewed events, {sum(not each.has_defect for each in said)} of them sound; "
        f"{len(held)} held out, {sum(not each.has_defect for each in held)} of them sound"
    )
    if heard.without_picture:
        yield (
            f"NOTE: {heard.without_picture} reviewed events have no picture any more: adapt or "
            "export before the store gives pictures up (max_age_days, max_size_mb)"
        )
    if heard.gone:
        yield f"NOTE: {heard.gone} reviewed events have left the store"
    if replayed.missing:
        yield (
            f"NOTE: {', '.join(replayed.missing)}, which the network was taught by, is not here: "
            "give the folder that holds it with --data-root, and less is forgotten"
        )


def _made(
    asked: Asked, stores: Sequence[Store], said: Sequence[Said], old: Bundle, data: Path
) -> Iterator[Made]:
    spec = old.manifest.input

    def reviewed() -> Iterator[Picture]:
        for each in said:
            if each.side != "between":
                plane = rail_plane(each.lookout.camera)
                yield as_shown(
                    each.name,
                    each.image(colour=spec.channels == 3),
                    each.drawn(),
                    each.side,
                    lookout=each.lookout,
                    scale_um=(plane.along_um, plane.across_um),
                    spec=spec,
                )

    def others(places: Sequence[Path], one: Callable[..., Iterator[Picture]]) -> Iterator[Picture]:
        for number, place in enumerate(places):
            yield from one(place, lookout_of(asked, stores), spec, prefix=str(number))

    for name, pictures in (
        (REVIEWED, reviewed()),
        (PICTURES, others(asked.pictures, marked_pictures)),
        (GOOD, others(asked.good, good_rail)),
    ):
        count_of, weak = write_pictures(pictures, data / name)
        if count_of:
            yield Made(name, weak)


def _guards(task: _Task, new: Bundle, step: Step) -> dict[str, Guarded]:
    sources, old = list[Source](), task.old
    if any(section.layout == "simulated" for section in task.replayed.sections):
        sources += simulated_sources(old, task.recipe.names)
    labelled = labelled_source(old, list(_held_out(task)), task.data / "guard")
    found, effort = dict[str, Guarded](), task.asked.effort
    for source in (*sources, *([labelled] if labelled else [])):
        both = []
        for bundle in (old, new):
            with step(f"Look at {source.name} by {bundle.path.stem}"):
                engine, kept = task.stores[0].config.engine, task.asked.work / "guard"
                both.append(
                    guarded(
                        source,
                        bundle,
                        engine,
                        kept,
                        defects=effort.guard_defects,
                        at_once=effort.processes,
                    )
                )
        found[source.name] = Guarded(*both)
    return found


def _held_out(task: _Task) -> Iterator[Pair]:
    """What is real and was never trained on, but for what people said of events."""
    size = task.recipe.validation.size
    real = {section.path for section in task.replayed.real}
    own = {each.path for each in task.made} - {REVIEWED}
    for section in task.recipe.data:
        if section.path not in real | own:
            continue
        alone = task.recipe.model_copy(update={"data": [section]})
        _, held_out = read_sources(alone, task.data)
        zoom = section.zoom if section.path in real else (1.0, 1.0)
        yield from at_network_scale(held_out, zoom, size)


def _judged(
    stores: Sequence[Store], said: Sequence[Said], old: Bundle, new: Bundle
) -> list[Judged]:
    engine = stores[0].config.engine
    networks = [network_of(engine, bundle) for bundle in (old, new)]
    try:
        return list(judged(said, *networks))
    finally:
        for network in networks:
            network.engine.close()


def _facts(
    asked: Asked, old: Bundle, heard: Heard, said: Sequence[Said], replayed: Replay
) -> dict[str, str]:
    def listed(some: Sequence[object]) -> str:
        return ", ".join(map(str, some)) or "none"

    return {
        "adapted": f"{old.manifest.name}, sha256 {old.digest}",
        "reviewed": f"{len(said)} events of {listed(asked.sources)}",
        "without a picture any more": str(heard.without_picture),
        "marked pictures": listed(asked.pictures),
        "good rail": listed(asked.good),
        "taught by before": listed(list(dict.fromkeys(s.path for s in replayed.sections))),
        "of that not here": listed(replayed.missing),
        "training": f"{asked.effort.iterations} iterations at most, seed {asked.effort.seed}",
    }


def _finish(
    asked: Asked,
    result: Result,
    events: Sequence[Judged],
    guards: dict[str, Guarded],
    new: Bundle | None,
) -> Result:
    write_whole(asked.work / PAGE, report_page(result, events, guards))
    write_whole(asked.work / JSON, result.as_json(guards) + "\n")
    if result.better and new is not None:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        new.save(asked.out)
        return replace(result, bundle=new.digest)
    return result
