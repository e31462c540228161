"""The reject-timing benchmark: what it counts, and that it runs. How fast it is nobody asserts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import tracker_speed
from benchmarks.reject_timing import Run, compare


def run_of(orders: list[tuple[int, int]], pulses: list[tuple[int, int]]) -> Run:
    run = Run("any", 1.0)
    compare(orders, pulses, run)
    return run


def test_each_end_of_a_pulse_is_held_against_its_order() -> None:
    run = run_of([(0, 100), (1000, 1100)], [(5, 107), (998, 1100)])
    assert run.errors_mm == [0.005, 0.007, 0.002, 0.0]
    assert (run.missed, run.false) == (0, 0)


def test_an_order_without_a_pulse_is_missed_and_a_pulse_without_an_order_false() -> None:
    run = run_of([(0, 100), (1000, 1100), (2000, 2100)], [(10, 110), (1100, 1200), (2010, 2110)])
    assert (run.missed, run.false) == (1, 1)
    assert run.errors_mm == [0.01] * 4


def test_a_pulse_that_lasts_over_two_orders_serves_both() -> None:
    run = run_of([(0, 100), (120, 220), (1000, 1100)], [(1, 221)])
    assert run.errors_mm == [0.001, 0.001]
    assert (run.missed, run.false) == (1, 0)


def test_it_runs_and_leaves_figures_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="pip install 'trackside[onnxruntime]'")
    figures, picture = tmp_path / "timing.json", tmp_path / "timing.svg"
    options = ["--speeds", "0.1", "--seconds", "1", "--load", "1", "--only", "thread"]
    options += ["--only", "process", "--json", str(figures), "--picture", str(picture)]
    command = [sys.executable, "-m", "benchmarks.reject_timing", *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stderr
    assert "process" in ran.stdout
    record = json.loads(figures.read_text())
    assert [run["bench"] for run in record["runs"]] == ["thread", "process"]
    for run in record["runs"]:
        assert run["skipped"] is None
        assert run["orders"] > 20
        assert list(run["error_mm"]) == ["p50", "p99", "p99.9", "max"]
    assert {"cpu", "python", "spinning processes"} <= record["machine"].keys()
    assert ElementTree.fromstring(picture.read_text()).tag == "{http://www.w3.org/2000/svg}svg"


def test_every_order_of_the_trackers_benchmark_has_an_outcome() -> None:
    assert tracker_speed.run(990) > 0
