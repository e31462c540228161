"""Runs the plant through its schedule, and gathers the evidence."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import yaml

from benchmarks.ports import free_port
from benchmarks.soak.broker import MOSQUITTO, Broker, Subscriber
from benchmarks.soak.evidence import Episode, Evidence
from benchmarks.soak.faults import FAULTS
from benchmarks.soak.plant import Clock, LineProcess, Plant, line_settings
from benchmarks.soak.schedule import Planned, Schedule
from benchmarks.soak.viewer import CAN_LOOK, Viewer
from benchmarks.soak.watch import Watch
from edge.errors import TracksideError

_TICK_S = 0.2
_SAMPLE_TICKS, _STORE_TICKS, _SCRAPE_TICKS = 5, 10, 25
_START_S = 60
_GRACE_S = 60  # for the last fault's recovery, beyond the end
_ARRIVAL_S = 1  # of what the broker has, at the subscriber

Say = Callable[[str], None]


def soak(
    folder: Path,
    schedule: Schedule,
    *,
    seed: int,
    chosen: Sequence[str],
    say: Say,
    rails: int = 1,
) -> tuple[Path, Evidence]:
    """The line's file, and all that is known of how it ran."""
    evidence = Evidence()
    with ExitStack() as stack:
        broker = None
        if MOSQUITTO is not None:
            broker = Broker(folder)
            broker.start()
            stack.callback(broker.kill)
            stack.callback(Subscriber(broker, evidence.heard).close)
        clock = Clock(folder) if "clock" in chosen else None
        port = free_port()
        path = folder / "line.yaml"
        page = free_port() if CAN_LOOK else None
        settings = line_settings(
            folder, seed=seed, broker=broker, metrics_port=port, page_port=page, rails=rails
        )
        path.write_text(yaml.safe_dump(settings))
        evidence.began_ns = time.monotonic_ns()
        line = LineProcess(path, folder / "line.log", clock.environment if clock else {})
        cameras = tuple(settings["cameras"])
        plant = Plant(folder, path, port, cameras, broker, clock, line, [])
        watch = Watch(plant, evidence)
        viewer = None if page is None else stack.enter_context(closing(Viewer(page)))
        try:
            _await_all(plant, evidence, viewer)
            _Course(plant, watch, evidence, schedule, random.Random(seed)).run(say)
        finally:
            evidence.ended_ns = time.monotonic_ns()
            evidence.exit_code = line.stop()
            watch.join()
        evidence.pictures_viewed = 0 if viewer is None else viewer.pictures
        time.sleep(_ARRIVAL_S)
    watch.gather_the_rest()
    return path, evidence


def _await_all(plant: Plant, evidence: Evidence, viewer: Viewer | None) -> None:
    """Frames, and whoever hears and looks."""
    give_up = time.monotonic() + _START_S
    while (
        len(evidence.cameras) < len(plant.cameras)
        or (plant.broker is not None and not evidence.heard)
        or (viewer is not None and not viewer.pictures)
    ):
        if not plant.line.is_running or time.monotonic() > give_up:
            raise TracksideError(f"the line does not start:\n{_log(plant)}")
        time.sleep(_TICK_S)


def _log(plant: Plant) -> str:
    return (plant.folder / "line.log").read_text()


class _Course:
    """Begins and ends the faults as they are due, and looks at the line all the time."""

    def __init__(
        self,
        plant: Plant,
        watch: Watch,
        evidence: Evidence,
        schedule: Schedule,
        chance: random.Random,
    ) -> None:
        self._plant, self._watch, self._evidence = plant, watch, evidence
        self._schedule, self._chance = schedule, chance
        self._to_come = list(schedule.faults)
        self._under_way: list[_UnderWay] = []
        self._begun_ns = time.monotonic_ns()

    def run(self, say: Say) -> None:
        self._evidence.complete_ns = self._begun_ns
        self._evidence.settled_ns = self._begun_ns + round(self._schedule.settled_s * 1e9)
        self._evidence.steady_ns = self._begun_ns + round(self._schedule.steady_s * 1e9)
        tick = 0
        try:
            while not self._is_over():
                self._begin(say)
                self._end(say)
                self._look(tick)
                tick += 1
                time.sleep(_TICK_S)
        finally:
            for each in self._under_way:
                each.end()

    @property
    def _elapsed_s(self) -> float:
        return (time.monotonic_ns() - self._begun_ns) / 1e9

    def _is_over(self) -> bool:
        if not self._plant.line.is_running:
            self._evidence.last_words = _log(self._plant).splitlines()[-1:]
            return True
        over_s = self._elapsed_s - self._schedule.end_s
        return over_s >= (_GRACE_S if self._under_way else 0)

    def _begin(self, say: Say) -> None:
        while self._to_come and self._to_come[0].begin_s <= self._elapsed_s:
            begun = _UnderWay(self._to_come.pop(0), self._plant, self._chance)
            self._under_way.append(begun)
            self._evidence.episodes.append(begun.episode)
            say(f"{self._elapsed_s:7.1f} s  {begun.episode.fault}: {begun.episode.detail}")

    def _end(self, say: Say) -> None:
        for each in self._under_way:
            if each.planned.end_s <= self._elapsed_s:
                each.end()
        over = [each for each in self._under_way if each.episode.ended_ns is not None]
        if over and self._watch.is_well():
            for each in over:
                each.episode.well_ns = time.monotonic_ns()
                self._under_way.remove(each)
                recovery = f"well again after {each.episode.recovery_s:.1f} s"
                say(f"{self._elapsed_s:7.1f} s  {each.episode.fault}: {recovery}")

    def _look(self, tick: int) -> None:
        if tick % _SAMPLE_TICKS == 0:
            self._watch.sample()
        if tick % _STORE_TICKS == 0:
            self._watch.look_into_store()
        if tick % _SCRAPE_TICKS == 0:
            self._watch.scrape()


class _UnderWay:
    """A fault that has begun, and that the line has not recovered from."""

    def __init__(self, planned: Planned, plant: Plant, chance: random.Random) -> None:
        self.planned = planned
        self._stack = ExitStack()
        begun_ns = time.monotonic_ns()
        detail = self._stack.enter_context(FAULTS[planned.fault](plant, chance))
        self.episode = Episode(planned.fault, detail, begun_ns)

    def end(self) -> None:
        if self.episode.ended_ns is None:
            self._stack.close()
            self.episode.ended_ns = time.monotonic_ns()
