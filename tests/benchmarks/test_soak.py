"""The soak: a short one in which all holds, and that each of its invariants can fail."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from copy import copy
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("paho.mqtt", reason="pip install 'trackside[mqtt]'")
pytest.importorskip("prometheus_client", reason="pip install 'trackside[metrics]'")
pytest.importorskip("scipy", reason="pip install 'trackside[evaluate]'")
from benchmarks.loop_cost import lines, loop_cost
from benchmarks.soak.broker import MOSQUITTO
from benchmarks.soak.evidence import Evidence, Sample
from benchmarks.soak.figures import blocks_slope, memory_slope
from benchmarks.soak.invariants import blocks_are_flat, memory_is_flat
from benchmarks.soak.judgement import Judgement, judge
from benchmarks.soak.picture import draw
from benchmarks.soak.report import markdown, record
from benchmarks.soak.run import soak
from benchmarks.soak.schedule import schedule
from edge.line_file import LineSettings, read_line
from edge.types import State
from firmware_bridge.ledger import EntryKind

FAULTS = ("camera stopped", "broker", "clock")
MINUTE_NS = 60_000_000_000

Ran = tuple[LineSettings, Evidence]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    if MOSQUITTO is None:
        pytest.skip("apt-get install mosquitto")
    if shutil.which("cc") is None:
        pytest.skip("apt-get install gcc: the line's clock is stepped by a library")
    folder = tmp_path_factory.mktemp("soak")
    (folder / "disk").mkdir()
    path, evidence = soak(
        folder, schedule(FAULTS, 13, seed=7), seed=7, chosen=FAULTS, say=lambda _: None, rails=2
    )
    return read_line(path), evidence


def failing(judgement: Judgement) -> list[str]:
    return [finding.name for finding in judgement.findings if not finding.holds]


def test_a_line_one_of_whose_cameras_fails_and_its_broker_too_keeps_every_invariant(
    ran: Ran,
) -> None:
    config, evidence = ran
    judgement = judge(config, evidence)
    assert failing(judgement) == []
    assert {episode.fault for episode in evidence.episodes} == set(FAULTS)
    [failed] = [each.camera for each in evidence.episodes if each.camera is not None]
    assert failed in {each.camera for each in evidence.judged if each.state is State.UNKNOWN}
    kept = record(judgement, evidence, command="soak", seed=7, minutes=0.2)
    assert "| every message arrived, in order | holds |" in markdown(kept)
    assert ElementTree.fromstring(draw(evidence)).tag == "{http://www.w3.org/2000/svg}svg"


def without_edges(config: LineSettings, evidence: Evidence) -> LineSettings:
    """The first two of a pin's, and its last."""
    left = [edge for edge in evidence.edges if edge[0] == "left"]
    right = [edge for edge in evidence.edges if edge[0] == "right"]
    evidence.edges = [*left[:2], left[-1], *right]
    return config


def with_the_actuator_elsewhere(config: LineSettings, evidence: Evidence) -> LineSettings:
    """That of the right rail, which comes second."""
    [right] = config.reject.also
    also = (right.model_copy(update={"offset_mm": right.offset_mm - 120}),)
    return config.model_copy(update={"reject": config.reject.model_copy(update={"also": also})})


def stuck_at_reject(config: LineSettings, evidence: Evidence) -> LineSettings:
    left = [edge for edge in evidence.edges if edge[0] == "left"]
    evidence.edges = [*left[:3], *(edge for edge in evidence.edges if edge[0] == "right")]
    return config


def with_an_order_forgotten(config: LineSettings, evidence: Evidence) -> LineSettings:
    forgotten = next(e.number for e in evidence.ledger if e.kind is EntryKind.ORDER)
    evidence.ledger = [e for e in evidence.ledger if e.number != forgotten]
    return config


def with_an_outcome_twice(config: LineSettings, evidence: Evidence) -> LineSettings:
    evidence.ledger.append(next(e for e in evidence.ledger if e.kind is EntryKind.FIRED))
    return config


def with_a_row_lost(config: LineSettings, evidence: Evidence) -> LineSettings:
    bad = next(row for row in evidence.kept if row.state is not State.OK)
    evidence.kept.remove(bad)
    return config


def with_a_picture_lost(config: LineSettings, evidence: Evidence) -> LineSettings:
    evidence.kept[0] = replace(evidence.kept[0], pictures_missing=1)
    return config


def with_a_message_lost(config: LineSettings, evidence: Evidence) -> LineSettings:
    del evidence.heard[len(evidence.heard) // 2]
    return config


def with_messages_out_of_order(config: LineSettings, evidence: Evidence) -> LineSettings:
    verdicts = [i for i, message in enumerate(evidence.heard) if message.topic == "verdict/left"]
    i, j = verdicts[5], verdicts[6]
    evidence.heard[i], evidence.heard[j] = evidence.heard[j], evidence.heard[i]
    return config


def with_a_frame_twice(config: LineSettings, evidence: Evidence) -> LineSettings:
    evidence.judged.insert(5, evidence.judged[4])
    return config


def with_files_left_open(config: LineSettings, evidence: Evidence) -> LineSettings:
    evidence.samples = [
        replace(sample, files=sample.files + 3 * (sample.at_ns > evidence.settled_ns))
        for sample in evidence.samples
    ]
    return config


def with_no_recovery(config: LineSettings, evidence: Evidence) -> LineSettings:
    evidence.episodes[0] = replace(evidence.episodes[0], well_ns=None)
    return config


def fault_of_a_camera(evidence: Evidence) -> tuple[str, int, int]:
    """Which one, from when, until when."""
    [episode] = [each for each in evidence.episodes if each.camera is not None]
    assert episode.camera is not None and episode.well_ns is not None
    return episode.camera, episode.begun_ns, episode.well_ns


def with_both_cameras_blind(config: LineSettings, evidence: Evidence) -> LineSettings:
    _, begun_ns, well_ns = fault_of_a_camera(evidence)
    evidence.judged = [
        replace(s, state=State.UNKNOWN) if begun_ns <= s.decided_ns <= well_ns else s
        for s in evidence.judged
    ]
    return config


def with_the_other_rail_rejected(config: LineSettings, evidence: Evidence) -> LineSettings:
    failed, begun_ns, well_ns = fault_of_a_camera(evidence)
    other = "left" if failed == "right" else "right"
    kept = [e for e in evidence.edges if e[0] != other or not begun_ns <= e[1] <= well_ns]
    evidence.edges = [*kept, (other, begun_ns, True), (other, well_ns, False)]
    evidence.edges.sort(key=lambda edge: edge[1])
    sound = config.cameras[other].model_copy(update={"defects_per_metre": 0.0})  # so: without cause
    return config.model_copy(update={"cameras": {**config.cameras, other: sound}})


def with_a_camera_that_sees_through_its_fault(
    config: LineSettings, evidence: Evidence
) -> LineSettings:
    failed, begun_ns, well_ns = fault_of_a_camera(evidence)
    evidence.judged = [
        replace(s, state=State.OK)
        if s.camera == failed and begun_ns <= s.decided_ns <= well_ns
        else s
        for s in evidence.judged
    ]
    return config


@pytest.mark.parametrize(
    ("spoil", "fails"),
    [
        (without_edges, "every true defect"),
        (with_the_actuator_elsewhere, "every true defect"),
        (stuck_at_reject, "every true defect"),
        (with_an_order_forgotten, "every order"),
        (with_an_outcome_twice, "every order"),
        (with_a_row_lost, "every NG and UNKNOWN frame"),
        (with_a_picture_lost, "every NG and UNKNOWN frame"),
        (with_a_message_lost, "every message"),
        (with_messages_out_of_order, "every message"),
        (with_a_frame_twice, "all rail"),
        (with_files_left_open, "open files"),
        (with_no_recovery, "the line was well again"),
        (with_both_cameras_blind, "a camera that fails"),
        (with_the_other_rail_rejected, "a camera that fails"),
        (with_a_camera_that_sees_through_its_fault, "a camera that fails"),
    ],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_an_invariant_that_is_broken_is_said(
    ran: Ran, spoil: Callable[[LineSettings, Evidence], LineSettings], fails: str
) -> None:
    config, evidence = ran[0], copy(ran[1])
    for name, value in vars(evidence).items():
        if isinstance(value, list):
            setattr(evidence, name, list(value))
    config = spoil(config, evidence)
    judgement = judge(config, evidence)
    assert any(name.startswith(fails) for name in failing(judgement)), judgement.findings


def grown(mb_an_hour: float) -> Evidence:
    """Half an hour of samples, with the steps of an allocator in them."""
    chance = random.Random(1)
    evidence = Evidence(ended_ns=30 * MINUTE_NS)
    for second in range(1800):
        step_mb = 2 if chance.random() < 0.1 else 0
        megabytes = 150 + mb_an_hour * second / 3600 + step_mb
        evidence.samples.append(Sample(second * 10**9, round(megabytes * 1e6), 20, 10, 0.0))
    return evidence


@pytest.mark.parametrize("mb_an_hour", [0.0, 5.0, -3.0])
def test_the_slope_of_memory_is_found_below_its_noise(mb_an_hour: float) -> None:
    slope = memory_slope(grown(mb_an_hour))
    assert slope is not None
    assert slope.low - 0.01 <= mb_an_hour <= slope.high + 0.01
    assert abs(slope.an_hour - mb_an_hour) < 0.5


def test_a_seed_gives_one_schedule_and_each_fault_before_any_comes_again() -> None:
    names = [str(number) for number in range(7)]
    plan = schedule(names, 1800, seed=3)
    assert plan == schedule(names, 1800, seed=3) != schedule(names, 1800, seed=4)
    order = [planned.fault for planned in plan.faults]
    assert all(sorted(order[i : i + 7]) == names for i in range(0, len(order) - 6, 7))
    assert plan.settled_s <= plan.faults[0].begin_s
    assert all(p.end_s < q.begin_s for p, q in zip(plan.faults, plan.faults[1:], strict=False))
    assert plan.faults[-1].end_s < plan.end_s


def test_a_fault_that_nobody_knows_cannot_be_left_out() -> None:
    command = [sys.executable, "-m", "benchmarks.soak", "--faults", "--without", "weather"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert ran.returncode == 2
    assert "weather" in ran.stderr and "broker" in ran.stderr


def test_memory_that_surely_grows_is_said() -> None:
    assert memory_is_flat(memory_slope(grown(0.0))).holds
    assert not memory_is_flat(memory_slope(grown(20.0))).holds


@pytest.mark.parametrize(("kept_of_each", "holds"), [(0, True), (4, False)])
def test_what_is_kept_of_every_order_is_said(kept_of_each: int, holds: bool) -> None:
    chance, evidence = random.Random(1), Evidence(ended_ns=30 * MINUTE_NS)
    for second in range(1800):
        orders = 2 * second
        under_way = chance.randrange(20_000)
        evidence.blocks.append((second * 10**9, 400_000 + under_way + kept_of_each * orders))
    assert blocks_are_flat(blocks_slope(evidence)).holds == holds


def test_the_loop_beyond_the_engine_is_taken_from_the_heartbeat(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    with ExitStack() as stack:
        (name, line), *_ = lines(tmp_path, stack)
    cost = loop_cost(name, {**line, "engine": {"type": "auto"}}, tmp_path, seconds=2)
    assert cost.frames > 2
    assert 0 < cost.overhead["p50"] <= cost.overhead["max"]
