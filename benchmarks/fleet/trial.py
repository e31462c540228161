"""Fifty boxes: a bad release stops at the canary, a good one reaches all, whatever is killed."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.fleet.plant import CANARY, Plant, now, wait_until
from edge.bundle import Bundle, open_bundle, write_bundle
from edge.depot.mqtt_reports import MqttReports, mqtt_reports
from edge.depot.watch import Watch
from edge.fleet import FleetFolder, FleetStatus
from edge.network import SHIPPED

_SEED = 1


class Trial:
    """Of one plant; every step is struck in its midst."""

    def __init__(self, home: Path, boxes: int, patience_s: float) -> None:
        self._plant = Plant(home, boxes)
        self._home, self._patience_s = home, patience_s
        self._chance = random.Random(_SEED)
        self._watch = Watch(self._plant.depot, timedelta())
        self._reports: MqttReports
        self._steps: list[dict[str, Any]] = []
        self._without: set[str] = set()
        self._strikes = 0

    def run(self) -> dict[str, Any]:
        """What came of it."""
        strip = open_bundle(SHIPPED["strip"])
        strip.of_version(101).save(self._home / "good.bundle")
        bad = _wrong(strip.of_version(102), self._home / "bad.bundle")
        self._plant.start()
        try:
            with mqtt_reports("127.0.0.1", self._plant.broker.port, "plant/+") as kept:
                self._reports = kept
                self._step("the first, to all", self._home / "good.bundle", self._all_run(1))
                self._step("a bad one", bad.path, lambda: self._state(2) == "stopped")
                took = [name for name, each in self._statuses().items() if each.refused]
                self._step("a good one after it", self._better(strip), self._all_run(3))
            self._without |= set(self._plant.without_bundle())
        finally:
            self._plant.stop()
        return {
            "boxes": len(self._plant.boxes),
            "steps": self._steps,
            "struck": self._strikes,
            "tried the bad one": took,
            "ever without a bundle": sorted(self._without),
            "passed": all(step["came about"] for step in self._steps)
            and set(took) <= set(CANARY)
            and not self._without,
            "processors": os.cpu_count(),
        }

    def _step(self, name: str, bundle: Path, done: Callable[[], bool]) -> None:
        """Publish, and let the watch send it on; kill once in each ring."""
        begun_s = time.monotonic()
        release = self._plant.depot.publish(bundle=bundle, lines={}, now=now())
        struck: set[int] = set()

        def look() -> bool:
            ring = self._plant.depot.release(release.number).ring
            if ring not in struck and time.monotonic() - begun_s > 2:
                struck.add(ring)
                self._strike()
            self._watch.look(self._reports.reports(), now())
            return done()

        came = wait_until(look, self._patience_s)
        self._steps.append(
            {"step": name, "came about": came, "s": round(time.monotonic() - begun_s, 1)}
        )

    def _strike(self) -> None:
        self._strikes += 1
        self._without |= set(self._plant.strike(self._chance))

    def _statuses(self) -> dict[str, FleetStatus]:
        return {
            name: FleetFolder(path.parent / "fleet").shown(name)
            for name, path in self._plant.lines.items()
        }

    def _all_run(self, number: int) -> Callable[[], bool]:
        return lambda: all(each.runs == number for each in self._statuses().values())

    def _state(self, number: int) -> str:
        return self._plant.depot.release(number).state

    def _better(self, strip: Bundle) -> Path:
        path = self._home / "better.bundle"
        strip.of_version(103).save(path)
        return path


def _wrong(bundle: Bundle, path: Path) -> Bundle:
    """Whole and signed, and its network does not answer as its golden pair says."""
    files = {name: bundle.read(name) for name in bundle.manifest.files}
    golden = bundle.manifest.golden.output
    picture = cv2.imdecode(np.frombuffer(files[golden], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    files[golden] = cv2.imencode(".png", np.asarray(255 - picture, np.uint8))[1].tobytes()
    return write_bundle(bundle.manifest, files, path)
