"""`trackside adapt`: what people said makes a better bundle, or none and the reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.adapt.asked import Asked, Effort, Limits, Store
from benchmarks.adapt.choice import CHOSEN
from benchmarks.adapt.decision import Guarded, objections
from benchmarks.adapt.guard import guarded, simulated_sources
from benchmarks.adapt.judging import Count
from benchmarks.adapt.people import Said, hear
from benchmarks.adapt.run import JSON, PAGE, adapt
from benchmarks.adapt.sides import held_out_by_run
from benchmarks.adaptation import keep_run, said_of
from edge.assembly import simulated_line
from edge.bundle import Bundle, open_bundle, write_bundle
from edge.bundle import Limits as Smallest
from edge.errors import TracksideError, UsageError
from edge.line_file import LineSettings, NativeSettings, SyntheticSettings, read_line
from edge.network import network_of
from edge.review import REVIEWS, Call, Mark, Review, add_reviews
from edge.store import picture_path, read_events
from edge.types import State
from quantize.deploy import read_trained
from quantize.describe import Purpose, input_spec
from quantize.pack import Wishes, build
from quantize.parity import simulated
from quantize.steps import steps
from quantize.targets import choose, of_pairs
from reference.trained import checkpoint
from stands.places import ROOT
from stands.waiting import eventually

torch.set_num_threads(1)  # beside other work on the machine, two wait for each other for ever

SIDE, RUNS, FRAMES = 128, 3, 60
SHIPPED = ROOT / "reference" / "checkpoints" / "minet_strip.safetensors"
ITERATIONS = 90


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network at a small size as a bundle, and a line that it runs on painted rail."""
    root = tmp_path_factory.mktemp("adapt")
    groups, record = checkpoint.load(SHIPPED)
    record["recipe"]["validation"]["size"] = SIDE
    checkpoint.save(root / "old.safetensors", {"ema": groups["ema"]}, record)
    trained = read_trained(root / "old.safetensors")
    spec = input_spec(trained, 250)
    frames = list(simulated(spec, 24, classes=trained.classes, renamed=trained.recipe.renamed))
    shown = [frame for frame in frames if frame.mask.any()]
    purpose = Purpose("small", 250, 0.5, Smallest(min_area_mm2=8, min_extent_mm=4))
    wishes = Wishes(targets=["native"], max_drop={"S": 1.0}, frames=0)
    chosen = choose(of_pairs(frames), spec, count=24, seed=0)
    with steps() as step:
        build(trained, chosen, shown, purpose, wishes, out=root / "small.bundle", step=step)
    line = yaml.safe_load((ROOT / "edge" / "examples" / "steel.yaml").read_text(encoding="utf-8"))
    line["cameras"]["top"] |= {"height_px": SIDE, "width_px": SIDE, "paint_per_metre": 12}
    line |= {"bundle": "small.bundle", "engine": {"type": "native"}}
    line["store"] = {"path": "events", "ok_every": 20}
    (root / "line.yaml").write_text(yaml.safe_dump(line), encoding="utf-8")
    return root


def at_seed(config: LineSettings, seed: int) -> LineSettings:
    camera = config.lookout().camera.model_copy(update={"seed": seed})
    return config.model_copy(update={"cameras": {"top": camera}})


@pytest.fixture(scope="module")
def reviewed(root: Path) -> Path:
    """The line file of three runs, of whose rejects somebody has said what they are."""
    config = read_line(root / "line.yaml")
    assert config.store is not None
    network = network_of(config.engine, open_bundle(root / "small.bundle"))
    for run in range(RUNS):
        keep_run(at_seed(config, 90 + run), network, FRAMES)
    network.engine.close()
    events = read_events(config.store.path)
    rejected = [each for each in events if each.state is State.NG]
    for number, run in enumerate(sorted({each.run for each in rejected})):
        camera = at_seed(config, 90 + number).lookout().camera
        assert isinstance(camera, SyntheticSettings)
        own = [each for each in rejected if each.run == run][:14]
        add_reviews(config.store.path, [said_of(each, simulated_line(camera)) for each in own])
    return root / "line.yaml"


def command(line: Path, out: Path, **options: object) -> list[str]:
    """The whole command, small."""
    asked = {
        "checkpoint": line.parent / "old.safetensors",
        "targets": "native",
        "iterations": ITERATIONS,
        "guard": 20,
        "threads": 1,
        "max-drop": "S=0.2",
        "may-lose": 100,
        "may-let-by": 100,
        "a90-may-grow": 100,
    } | options
    given = [text for name, value in asked.items() for text in (f"--{name}", str(value))]
    return ["adapt", str(line), "-o", str(out), *given]


def ran(arguments: list[str], **how: Any) -> subprocess.Popen[str]:
    program = "import sys; from edge.cli.app import main; sys.argv[0] = 'trackside'; main()"
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=surroundings, text=True, **how
    )


def asked_of(line: Path, out: Path, **changes: Any) -> Asked:
    """The same for whoever calls it in this process."""
    effort = Effort(ITERATIONS, "native", 20, 1, "cpu", 1, False, 0)
    asked = Asked(
        sources=(line,),
        out=out,
        line=None,
        camera=None,
        bundle=None,
        checkpoint=line.parent / "old.safetensors",
        pictures=(),
        good=(),
        data_root=None,
        effort=effort,
        limits=Limits(100.0, 100.0, "S=0.2", 100),
    )
    return replace(asked, **changes)


def test_what_people_said_makes_a_better_bundle_also_after_a_kill_in_the_middle(
    reviewed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "better.bundle"
    work = out.with_suffix(".adapt")
    first = ran(command(reviewed, out), stdout=subprocess.DEVNULL)
    kept = work / "run" / "last.safetensors"
    eventually(lambda: kept.exists() or first.poll() is not None, 600)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL and not out.exists()
    log = (work / "run" / "log.csv").read_text(encoding="utf-8").splitlines()

    told = list[str]()
    result = adapt(asked_of(reviewed, out), told.append)

    goes_on = (work / "run" / "log.csv").read_text(encoding="utf-8").splitlines()
    assert goes_on[: len(log)] == log and len(goes_on) > len(log)
    assert result.objections == () and result.better
    held = result.held_out
    assert held is not None and held.of > 0
    assert held.wrong_new < held.wrong_old and held.false_new < held.false_old
    made = open_bundle(out)
    assert made.digest == result.bundle
    assert made.manifest.provenance["adapted from"].startswith("small, sha256 ")
    assert made.manifest.provenance["golden pair"] == "a frame of the simulated line"
    said = json.loads((work / JSON).read_text(encoding="utf-8"))
    assert set(said["guard"]) == {
        "small defects of the simulated line",
        "usual defects on simulated rail",
        "usual defects on simulated strip",
    }
    page = (work / PAGE).read_text(encoding="utf-8")
    assert "data:image/jpeg" in page and "held out" in page and "http" not in page

    before = (work / CHOSEN).stat().st_mtime_ns
    again = adapt(asked_of(reviewed, out), told.append)
    assert again.held_out == held and (work / CHOSEN).stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="is of other reviews, another bundle or other options"):
        adapt(asked_of(reviewed, out, good=(tmp_path,)), told.append)


def test_a_bundle_that_nothing_shows_to_be_better_is_refused_and_its_report_stays(
    reviewed: Path, tmp_path: Path
) -> None:
    line = Path(shutil.copytree(reviewed.parent, tmp_path / "agreed"), reviewed.name)
    store = line.parent / "events"
    (store / REVIEWS).unlink()
    rejected = [each for each in read_events(store) if each.state is State.NG]
    word = ("Kim", "command", Call.DEFECT)
    add_reviews(store, [Review(each.id, each.utc, each.utc, *word) for each in rejected])
    out = tmp_path / "none.bundle"
    done = ran(command(line, out, iterations=2), stderr=subprocess.PIPE)
    _, said = done.communicate()
    assert done.returncode == 1
    assert "held-out events rightly, so nothing shows that another is better" in said
    assert not out.exists()
    work = out.with_suffix(".adapt")
    assert (work / CHOSEN).exists() and "is refused" in (work / PAGE).read_text(encoding="utf-8")
    told = json.loads((work / JSON).read_text(encoding="utf-8"))
    assert told["better"] is False and told["bundle"] is None


def test_whatever_people_said_a_bundle_that_finds_less_is_refused(
    root: Path, tmp_path: Path
) -> None:
    old = open_bundle(root / "small.bundle")
    least = Smallest(min_area_mm2=25, min_extent_mm=4)
    blind = old.manifest.model_copy(update={"limits": least})
    files = {name: old.read(name) for name in blind.files}
    worse = write_bundle(blind, files, tmp_path / "worse.bundle")
    source, *_ = simulated_sources(old, old.manifest.classes)

    def looked_by(bundle: Bundle) -> Any:
        return guarded(source, bundle, NativeSettings(), tmp_path, defects=60, at_once=1)

    guards = {"simulated": Guarded(looked_by(old), looked_by(worse))}
    better = Count(9, 8, 0, 0, 0, 0, 0)
    refused = list(objections(better, guards, Limits()))
    assert any("points less, and 1 may be lost" in each for each in refused)
    guards = {"simulated": Guarded(looked_by(old), looked_by(old))}
    assert list(objections(better, guards, Limits())) == []
    looked = looked_by(old)
    calls = looked.false_calls.model_copy(update={"count": looked.false_calls.count + 30})
    guards = {"simulated": Guarded(looked, looked.model_copy(update={"false_calls": calls}))}
    (refused_for,) = objections(better, guards, Limits())
    assert refused_for.endswith("more in a kilometre, and 50 may be")
    assert [*objections(better, guards, Limits(calls_per_km=10_000))] == []
    guards = {"simulated": Guarded(looked, looked)}
    lets_by = Count(9, 8, 0, 0, 1, 0, 0)
    assert [*objections(lets_by, guards, Limits())] == [
        "1 held-out events with a defect are let by, and 0 were before: mark more defects"
    ]


def test_no_run_is_on_both_sides_and_of_one_alone_a_metre_lies_between(reviewed: Path) -> None:
    config = read_line(reviewed)
    assert config.store is not None
    said = hear([Store(config.store.path, config)]).said

    def sides(some: list[Said]) -> dict[str, set[int]]:
        return {
            side: {each.event.run for each in some if each.side == side}
            for side in ("train", "val", "between")
        }

    of_runs = sides(held_out_by_run(said))
    assert of_runs["train"] | of_runs["val"] == {each.event.run for each in said}
    assert not of_runs["train"] & of_runs["val"] and not of_runs["between"]

    one = [
        replace(each, event=replace(each.event, run=1, start_um=at, end_um=at + 88_000))
        for at, each in zip(range(0, 10**9, 300_000), said, strict=False)
    ]
    cut = held_out_by_run(one)
    assert {each.side for each in cut} == {"train", "val", "between"}
    first_um = min(each.event.start_um for each in cut if each.side == "val")
    last_um = max(each.event.end_um for each in cut if each.side == "train")
    assert last_um + 1_000_000 <= first_um


def test_what_was_said_of_something_else_is_named_and_counted_before_any_training(
    reviewed: Path, tmp_path: Path
) -> None:
    config = read_line(reviewed)
    assert config.store is not None
    store = config.store.path
    one, *others = read_events(store)
    unreviewed = next(each for each in others if each.state is State.OK)
    beyond = Review(
        unreviewed.id,
        unreviewed.utc,
        unreviewed.utc,
        "b",
        "command",
        Call.MARKED,
        None,
        (Mark("crack", (SIDE - 4, 0, 8, 8)),),
    )
    gone = Review(10_000, one.utc, one.utc, "b", "command", Call.SOUND)
    add_reviews(store, [beyond, gone])
    out = asked_of(reviewed, tmp_path / "x.bundle")
    with pytest.raises(TracksideError, match=r"1 reviewed events cannot .* event \d+: the mark"):
        adapt(out, print)
    add_reviews(store, [replace(beyond, call=Call.WITHDRAWN, marks=())])
    assert hear([Store(store, config)]).gone == 1

    picture = picture_path(store, one.id, "frame.png")
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    try:
        with pytest.raises(TracksideError, match=rf"event {one.id}: .*withdraw what was said"):
            adapt(out, print)
    finally:
        picture.write_bytes(whole)
    with pytest.raises(UsageError, match="does not say how its frames are judged: give --line"):
        adapt(replace(out, sources=(store,)), print)
    with pytest.raises(UsageError, match="was not made of"):
        adapt(replace(out, checkpoint=SHIPPED), print)
    with pytest.raises(UsageError, match=r"is not here \(sha256"):
        adapt(replace(out, checkpoint=None), print)
