"""What forty reviews are worth: `python -m benchmarks.adaptation`.

The simulated line, on whose rail somebody has begun to paint marks, which the shipped bundle
rejects. What it rejects on four runs is kept as a line keeps it; forty of these events are called
what they truly are, by the simulator's truth; `trackside adapt` makes a bundle of that; and both
bundles look at rail that neither has seen.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import typer
import yaml

from benchmarks.qualify.looking import isolated, look
from benchmarks.qualify.simulated import box_of
from edge.assembly import simulated_line
from edge.bundle import open_bundle
from edge.inspect import make_inspector
from edge.line_file import EXAMPLES, LineSettings, SyntheticSettings, read_line
from edge.network import Network, network_of, resolve_bundle
from edge.review import Call, Mark, Review, add_reviews
from edge.review.marks import mark_of
from edge.simulation import SimulatedLine
from edge.store import EventStore, read_events
from edge.store.event import Event
from edge.types import Frame, State, Stretch

RUNS = 4
_SEED, _UNSEEN = 61_000, 71_000
_SURFACES = 12  # of unseen rail
_PAINT, _DEFECTS = 3.0, 2.0  # a metre
_DENSE = 5.0  # defects a metre of the rail without paint
_APART_UM = 8_000
_REACH = 400  # rows; nothing that begins further off reaches into a frame


def main(
    reviews: Annotated[int, typer.Option(min=8, help="How many events are reviewed.")] = 40,
    frames: Annotated[int, typer.Option(min=10, help="Of each run, at most.")] = 120,
    metres: Annotated[float, typer.Option(min=1, help="Of unseen rail, of each kind.")] = 250,
    work: Annotated[Path | None, typer.Option(help="A folder that stays; else none does.")] = None,
    options: Annotated[
        str, typer.Option(help="Of `trackside adapt`, besides.")
    ] = "--threads 2 --kernels",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Print what fell and what was lost, and exit 1 unless it is as promised."""
    with TemporaryDirectory() as folder:
        figures = measured(work or Path(folder), reviews, frames, metres, options.split())
    print(json.dumps(figures) if as_json else "\n".join(_told(figures)))
    sys.exit(0 if figures["as_promised"] else 1)


def measured(
    root: Path, reviews: int, frames: int, metres: float, options: list[str]
) -> dict[str, Any]:
    """All of it, in a folder."""
    line = root / "line.yaml"
    called = _reviewed(root, line, reviews, frames) if not line.exists() else {}
    new = root / "adapted.bundle"
    began_s = time.monotonic()
    command = [sys.executable, "-m", "edge.cli", "adapt", str(line), "-o", str(new), *options]
    done = subprocess.run(command, check=False, env=os.environ, stdout=sys.stderr)
    minutes = (time.monotonic() - began_s) / 60
    found: dict[str, Any] = {
        "called": called,
        "minutes": round(minutes, 1),
        "exit": done.returncode,
    }
    made = new if new.exists() else new.with_suffix(".adapt") / "candidate.bundle"
    config = read_line(line)
    for name, bundle in (("before", resolve_bundle("strip")), ("now", made)):
        network = network_of(config.engine, open_bundle(bundle))
        found[name] = _on_unseen_rail(config, network, metres).figures()
        network.engine.close()
    before, now = found["before"], found["now"]
    fell = 1 - now["paint_rejected"] / max(1, before["paint_rejected"])
    lost = {
        name: round(100 * (before["found"][name] - now["found"][name]) / of, 2)
        for name, of in before["of"].items()
    }
    promised = done.returncode == 0 and minutes <= 15 and fell >= 0.8 and max(lost.values()) <= 1
    return found | {"fell": round(fell, 3), "lost_points": lost, "as_promised": promised}


def _told(figures: dict[str, Any]) -> Iterator[str]:
    before, now = figures["before"], figures["now"]
    yield (
        f"adapted in {figures['minutes']} minutes (exit {figures['exit']}); marks of paint "
        f"rejected: {before['paint_rejected']} of {before['paint']} before, "
        f"{now['paint_rejected']} now, {figures['fell']:.0%} fewer"
    )
    for name, of in before["of"].items():
        lost = figures["lost_points"][name]
        yield (
            f"{name}: {before['found'][name]} of {of} found before, {now['found'][name]} now "
            f"({-lost:+.2f} points)"
        )
    yield (
        f"other false calls in {before['metres']:.0f} m without paint: {before['false_calls']} "
        f"before, {now['false_calls']} now"
    )


# --- what is kept and reviewed -------------------------------------------------------------------


def _reviewed(root: Path, path: Path, reviews: int, frames: int) -> dict[str, int]:
    root.mkdir(parents=True, exist_ok=True)
    events = root / "events"
    _write_line(path, _SEED, events)
    config = read_line(path)
    network = network_of(config.engine, open_bundle(resolve_bundle("strip")))
    for run in range(RUNS):
        keep_run(_at_seed(config, _SEED + run), network, frames)
    network.engine.close()
    rejected = [each for each in read_events(events) if each.state is State.NG]
    runs = sorted({each.run for each in rejected})
    lines = {
        run: simulated_line(_synthetic(_at_seed(config, _SEED + number)))
        for number, run in enumerate(runs)
    }
    chosen = [
        each
        for run in runs
        for each in [event for event in rejected if event.run == run][: reviews // RUNS]
    ]
    said = [said_of(each, lines[each.run]) for each in chosen]
    add_reviews(events, said)
    calls = [each.call.value for each in said]
    return {call: calls.count(call) for call in sorted(set(calls))}


def _write_line(path: Path, seed: int, events: Path) -> None:
    line = yaml.safe_load((EXAMPLES / "steel.yaml").read_text(encoding="utf-8"))
    line["cameras"]["top"] |= {
        "seed": seed,
        "paint_per_metre": _PAINT,
        "defects_per_metre": _DEFECTS,
    }
    line["store"] = {"path": str(events.resolve()), "ok_every": 20}
    path.write_text(yaml.safe_dump(line, sort_keys=False), encoding="utf-8")


def _at_seed(config: LineSettings, seed: int) -> LineSettings:
    camera = _synthetic(config).model_copy(update={"seed": seed})
    return config.model_copy(update={"cameras": {"top": camera}})


def _synthetic(config: LineSettings) -> SyntheticSettings:
    camera = config.lookout().camera
    assert isinstance(camera, SyntheticSettings)
    return camera


def keep_run(config: LineSettings, network: Network, frames: int) -> None:
    """A run, as fast as it can be looked at: kept as a line keeps it."""
    assert config.store is not None
    inspector, camera = (
        make_inspector(config.lookout(), network, lambda: 0, None),
        _synthetic(config),
    )
    with EventStore(config.store, lambda: datetime.now(timezone.utc)) as store:
        for frame in _frames(simulated_line(camera), frames, camera.height_px):
            store.record(inspector.inspect(frame))
            store.flush(10)


def said_of(event: Event, line: SimulatedLine) -> Review:
    """A careful person's word: a frame that shows a defect and paint has the defect marked."""
    start, end = (round(um / line.um_per_px) for um in (event.start_um, event.end_um))
    _, labels = line.render(start, end - start)
    kinds = [number for number in np.unique(labels).tolist() if number]
    call, marks = Call.SOUND, tuple[Mark, ...]()
    here = Stretch(event.start_um, event.end_um)
    painted = line.true_paint(start - _REACH, end + _REACH)
    if kinds and any(mark.stretch.overlaps(here) for mark in painted):
        call = Call.MARKED
        drawn = (mark_of(_NAMES[line.classes[kind - 1]], labels == kind) for kind in kinds)
        marks = tuple(mark for mark in drawn if mark is not None)
    elif kinds:
        call = Call.DEFECT
    return Review(event.id, event.utc, event.utc, "truth", "command", call, None, marks)


_NAMES = {
    "scratch": "scratches",
    "patch": "patches",
    "inclusion": "inclusion",
    "crack": "crack",
    "spall": "spall",
}


# --- unseen rail ---------------------------------------------------------------------------------


@dataclass
class _Seen:
    """What a bundle makes of it."""

    paint: int = 0
    paint_rejected: int = 0
    found: dict[str, int] = field(default_factory=dict)
    of: dict[str, int] = field(default_factory=dict)
    false_calls: int = 0
    metres: float = 0.0

    def figures(self) -> dict[str, Any]:
        return dict(vars(self))


def _on_unseen_rail(config: LineSettings, network: Network, metres: float) -> _Seen:
    """Half of it with paint and defects as before, half without paint and full of defects."""
    seen, camera = _Seen(), _synthetic(config)
    frames = round(metres / _SURFACES / (camera.height_px * camera.um_per_px / 1e6))
    for number in range(_SURFACES):
        painted = replace(simulated_line(camera), seed=_UNSEEN + number)
        dense = replace(painted, paint_per_metre=0.0, defects_per_metre=_DENSE)
        for line in (painted, dense):
            inspector = make_inspector(config.lookout(), network, lambda: 0, None)
            rows = frames * camera.height_px
            sight = look(inspector, _frames(line, frames, camera.height_px))
            defects = line.true_defects(0, rows)
            boxes = [box_of(each) for each in defects]
            marks = [box_of(each) for each in line.true_paint(0, rows)]
            for alone, box in zip(isolated([*marks, *boxes], _APART_UM), marks, strict=False):
                seen.paint += alone
                seen.paint_rejected += alone and sight.found(box)
            if line is dense:
                for alone, each, box in zip(
                    isolated(boxes, _APART_UM), defects, boxes, strict=True
                ):
                    if alone:
                        seen.of[each.kind] = seen.of.get(each.kind, 0) + 1
                        hit = int(sight.found(box))
                        seen.found[each.kind] = seen.found.get(each.kind, 0) + hit
                around = [box_of(each) for each in line.true_defects(-_REACH, rows + _REACH)]
                seen.false_calls += len(sight.false_calls(around))
                seen.metres += rows * line.um_per_px / 1e6
    return seen


def _frames(line: SimulatedLine, frames: int, height: int) -> Iterator[Frame]:
    for index in range(frames):
        image, _ = line.render(index * height, height)
        start_um = index * height * line.um_per_px
        stretch = Stretch(start_um, start_um + height * line.um_per_px)
        yield Frame(index, image, 0, stretch, line.um_per_px)


if __name__ == "__main__":
    typer.run(main)
