"""How a line's health is counted, and what drift and the box are read from."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from edge.box import Box, Throttling
from edge.commissioning.commission import commission
from edge.errors import ConfigurationError, TracksideError
from edge.health import (
    BOUNDS_NS,
    ENOUGH,
    Health,
    Rejects,
    brightness_distribution,
    deadline_of,
    score_distribution,
    unfamiliar_distribution,
)
from edge.health.drift import DRIFTED, WINDOW, stability_index
from edge.health.times import Histogram
from edge.inspect import Baseline, look_at, read_baseline, usual_of, write_baseline
from edge.line_file import MetricsSettings, read_line
from edge.run import run_line
from edge.run.memory import give_back_memory
from edge.types import State, Stretch
from stands.inspections import (
    DIGEST,
    MS,
    NONE,
    NOTHING_ELSE,
    found_in,
    inspection,
    lost,
    recorded_line,
    write,
)
from stands.line_files import CAMERA, changed
from stands.places import EXAMPLES, STEEL_LINE
from stands.waiting import eventually


def test_a_histogram_counts_a_value_below_the_bound_it_reaches() -> None:
    histogram = Histogram()
    for ns in (0, BOUNDS_NS[0], BOUNDS_NS[0] + 1, BOUNDS_NS[-1] + 1):
        histogram.add(ns)
    counted = histogram.counted()
    assert (counted.counts[0], counted.counts[1], counted.counts[-1]) == (2, 1, 1)
    assert counted.count == 4
    assert counted.total_ns == 2 * BOUNDS_NS[0] + BOUNDS_NS[-1] + 2


def test_every_part_of_a_frames_time_is_one_stages() -> None:
    health = Health(lambda *_: 100 * MS, lambda: NONE, {CAMERA: None})
    seen = inspection(5)
    health.see(seen, seen.decided_ns + 3 * MS)
    stages = health.at(0).stages
    spent = {name: times.total_ns // MS for name, times in stages.items() if times.count}
    assert spent == {"capture": 2, "preprocess": 2, "infer": 4, "decide": 1, "actuate": 3}


def test_frames_are_counted_by_verdict_and_lost_or_late_ones_besides() -> None:
    health = Health(lambda *_: 10 * MS, lambda: NONE, {CAMERA: None})
    for seen in (
        inspection(0),
        inspection(1, latency_ns=10 * MS),
        inspection(2, state=State.NG, latency_ns=10 * MS + 1),
        lost(3),
    ):
        health.see(seen, seen.decided_ns)
    now = health.at(5 * MS)
    assert now.frames == {State.OK: 2, State.NG: 1, State.UNKNOWN: 1}
    assert (now.lost_frames, now.deadlines_missed) == (1, 1)
    assert now.last_frame_age_s == 0.002
    assert health.at(0).last_frame_age_s == 0  # asked for before the frame was done


def test_what_goes_on_is_counted_once_and_again_if_it_turns_out_to_be_a_defect() -> None:
    health = Health(lambda *_: 10 * MS, lambda: NONE, {CAMERA: None})
    seen = found_in(0)
    [joint] = seen.verdict.reported
    crush = replace(joint, class_name="crush", number=7, absorbed=(joint.number,))
    for defects, reported in (
        ([], [joint]),
        ([], [joint]),
        ([crush], []),
        ([], [joint]),
        ([crush], []),
    ):
        verdict = replace(seen.verdict, defects=tuple(defects), reported=tuple(reported))
        health.see(replace(seen, verdict=verdict), seen.decided_ns)
    counted = {(kind.name, kind.is_reported): n for kind, n in health.at(0).found.items()}
    assert counted == {("gap", True): 1, ("crush", False): 1}


def test_the_rejector_is_asked_by_the_loop_and_once_a_second_at_most() -> None:
    numbers = count()
    health = Health(
        lambda *_: 1, lambda: Rejects(next(numbers), fired=0, missed=0, pending=0), {CAMERA: None}
    )
    for now_ns in (0, 999 * MS, 1000 * MS, 1001 * MS):
        health.see(inspection(0), now_ns)
    for _ in range(3):
        assert health.at(0).rejects.ordered == 2  # once at the start, then at 0 s and at 1 s


def test_the_deadline_is_the_time_that_leaves_the_first_row_room() -> None:
    config = read_line(STEEL_LINE)  # 800 mm on, 20 mm of margin, 500 mm/s, 20 ms
    assert deadline_of(config)(CAMERA, Stretch(0, 88_000)) == 1364 * MS


def baseline(grey: int) -> Baseline:
    brightness, score = brightness_distribution(), score_distribution()
    unfamiliar = unfamiliar_distribution()
    for _ in range(WINDOW):
        brightness.add(grey)
        score.add(-5)
        unfamiliar.add(0.4)
    return Baseline(
        line="a",
        bundle=DIGEST,
        frames=WINDOW,
        brightness=brightness.counts,
        score=score.counts,
        unfamiliar=unfamiliar.counts,
        usual=usual_of([look_at(np.full((32, 32), grey, np.uint8))]),
        answers=NOTHING_ELSE,
    )


def test_a_lamp_that_fades_is_drift_of_brightness_and_of_nothing_else() -> None:
    health = Health(lambda *_: 1, lambda: NONE, {CAMERA: baseline(grey=100)})
    for index in range(WINDOW):
        if index < ENOUGH:
            assert health.at(0).cameras[CAMERA].drift == {}  # too few to say
        health.see(inspection(index), 0)
    assert health.at(0).cameras[CAMERA].drift == {"brightness": 0, "score": 0}
    for index in range(WINDOW):
        health.see(inspection(index, grey=60), 0)
    drift = health.at(0).cameras[CAMERA].drift
    assert drift["brightness"] > DRIFTED
    assert drift["score"] == 0


def test_rail_that_the_network_knows_less_and_less_is_drift_of_that() -> None:
    health = Health(lambda *_: 1, lambda: NONE, {CAMERA: baseline(grey=100)})
    for unfamiliar, is_drift in ((0.4, False), (0.9, True)):
        for index in range(WINDOW):
            health.see(replace(inspection(index), unfamiliar=unfamiliar), 0)
        drift = health.at(0).cameras[CAMERA].drift
        assert (drift["unfamiliar"] > DRIFTED) is is_drift
        assert drift["score"] == 0


def test_another_bundle_is_not_held_against_the_baseline_and_the_first_one_is_again() -> None:
    health = Health(lambda *_: 1, lambda: NONE, {CAMERA: baseline(grey=100)})
    other = replace(inspection(0, grey=60), bundle="cd" * 32)
    for seen, told in ((inspection(0), True), (other, False), (inspection(0), True)):
        for _ in range(WINDOW):
            health.see(seen, 0)
        assert health.at(0).bundle == seen.bundle
        assert health.at(0).cameras[CAMERA].drift == ({"brightness": 0, "score": 0} if told else {})


def test_drift_forgets_what_left_its_window_and_no_value_is_outside_its_bins() -> None:
    seen = brightness_distribution(length=3)
    for value in (-1e9, 0, 255.9, 1e9, 255.9):
        seen.add(value)
    assert sum(seen.counts) == seen.counts[-1] == 3


def test_two_draws_from_one_rail_are_no_drift() -> None:
    chance = np.random.default_rng(1)
    draws = []
    for _ in range(2):
        seen = score_distribution()
        for value in chance.normal(-6, 2, WINDOW):
            seen.add(value)
        draws.append(seen.counts)
    assert 0 < stability_index(*draws) < DRIFTED


def test_commissioning_records_what_the_line_sees_and_reads_it_again(tmp_path: Path) -> None:
    [recorded] = commission(read_line(recorded_line(tmp_path, 12)), 10, enough=10).values()
    write_baseline(recorded, tmp_path / "baseline.json")
    assert read_baseline(tmp_path / "baseline.json") == recorded
    assert sum(recorded.brightness) == sum(recorded.score) == recorded.frames == 10
    assert sum(recorded.unfamiliar) == 10


def test_a_line_is_held_against_its_baseline_until_it_is_commissioned_anew(
    tmp_path: Path,
) -> None:
    """The camera is turned upside down and moved: other columns are bright."""
    path = recorded_line(tmp_path, 12)
    line = changed(yaml.safe_load(path.read_text()), camera={"baseline": "baseline.json"})
    path.write_text(yaml.safe_dump(line))
    config = read_line(path)
    write_baseline(commission(config, frames=10, enough=10)[CAMERA], tmp_path / "baseline.json")
    assert run_line(config).states[State.UNKNOWN] == 0
    for image in (tmp_path / "frames").iterdir():
        turned = np.rot90(cv2.imread(str(image), cv2.IMREAD_GRAYSCALE), 2)
        cv2.imwrite(str(image), np.roll(turned, 12, axis=1))
    assert run_line(config).states[State.UNKNOWN] == 12
    write_baseline(commission(config, frames=10, enough=10)[CAMERA], tmp_path / "baseline.json")
    assert run_line(config).states[State.UNKNOWN] == 0


def test_commissioning_of_too_few_frames_records_nothing(tmp_path: Path) -> None:
    with pytest.raises(TracksideError, match=f"only 3 frames of top could be judged, and {ENOUGH}"):
        commission(read_line(recorded_line(tmp_path, 3)), frames=ENOUGH)


@pytest.mark.parametrize("text", [None, "", "{}", '{"format": 2}'])
def test_a_baseline_that_cannot_be_read_says_how_to_make_one(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "baseline.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match="trackside commission"):
        read_baseline(path)


def test_a_box_that_shows_nothing_is_not_said_to_be_cool(tmp_path: Path) -> None:
    box = Box(tmp_path)
    assert box.temperatures_c() == {}
    assert box.throttling() == Throttling(now=None, events=None)
    assert (box.governors(), box.clock_source(), box.available_bytes()) == (set(), None, None)
    assert box.name() == platform.machine()


def test_a_box_is_named_by_its_board_before_its_processor(tmp_path: Path) -> None:
    names = {"proc/cpuinfo": "processor\t: 0\nmodel name\t: Intel(R) N100\n"}
    assert write(tmp_path, names).name() == "Intel(R) N100"
    names = {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}
    assert write(tmp_path, names).name() == "Raspberry Pi 5 Model B Rev 1.0"


def test_an_intel_box_counts_its_throttling_and_names_its_zones(tmp_path: Path) -> None:
    zones, cpus = "sys/class/thermal/thermal_zone", "sys/devices/system/cpu/cpu"
    box = write(
        tmp_path,
        {
            f"{zones}0/temp": "71500\n",
            f"{zones}0/type": "x86_pkg_temp\n",
            f"{zones}1/temp": "27800\n",
            f"{zones}1/type": "x86_pkg_temp\n",
            f"{zones}2/type": "silent\n",
            f"{cpus}0/thermal_throttle/core_throttle_count": "3\n",
            f"{cpus}1/thermal_throttle/core_throttle_count": "4\n",
            f"{cpus}0/cpufreq/scaling_governor": "powersave\n",
            f"{cpus}1/cpufreq/scaling_governor": "powersave\n",
            "proc/meminfo": "MemTotal: 8 kB\nMemAvailable: 5 kB\n",
        },
    )
    assert box.temperatures_c() == {"x86_pkg_temp": 71.5, "x86_pkg_temp thermal_zone1": 27.8}
    assert box.throttling() == Throttling(now=None, events=7)
    assert (box.governors(), box.available_bytes()) == ({"powersave"}, 5120)


@pytest.mark.parametrize(("flags", "now"), [("0", False), ("50000", False), ("50005", True)])
def test_a_raspberry_pi_is_throttled_by_what_holds_now_not_by_what_once_did(
    tmp_path: Path, flags: str, now: bool
) -> None:
    box = write(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": f"{flags}\n"})
    assert box.throttling() == Throttling(now=now, events=None)


@pytest.mark.parametrize("name", ["jetson", "nuc", "raspberrypi"])
def test_what_an_example_says_of_health_and_of_whom_it_is_told_is_valid(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "a")
    monkeypatch.setenv("WEB_TOKEN", "9c1f0a7be2d84653a1c07f5e28b49d60")
    monkeypatch.setenv("METRICS_TOKEN", "5e0d7c3ab1f94826d07b3c9fe4a16285")
    before, start, after = (EXAMPLES / f"{name}.yaml").read_text().partition("# metrics:")
    path = tmp_path / "line.yaml"
    path.write_text(before + re.sub(r"^# ?", "", start + after, flags=re.MULTILINE))
    line = read_line(path)
    assert line.metrics is not None
    kept = {"token": None, "certificate": None, "key": None}
    assert line.metrics.model_copy(update=kept) == MetricsSettings()
    for section in (line.metrics, line.web):
        assert section is not None and section.address("any").certificate is not None
    assert line.mqtt is not None and line.mqtt.tls is not None
    assert line.web is not None and not line.web.on_this_box_alone


def test_this_process_occupies_memory_and_holds_files_open() -> None:
    assert Box().resident_bytes() > 10_000_000
    assert Box().open_files() > 2


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives memory back")
def test_memory_that_is_free_goes_back_to_the_system() -> None:
    blocks = [b"x" * 100_000 for _ in range(1000)]
    del blocks[:-1]  # the last one keeps the others' room from being given back by itself
    before = Box().resident_bytes()
    give_back_memory()
    assert before - Box().resident_bytes() > 50_000_000


_HEAPS = """
import re, threading
from edge.run.memory import share_memory
{first}
met = threading.Barrier(7)
def work():
    block = bytearray(50_000)  # of a heap
    met.wait(); met.wait()
threads = [threading.Thread(target=work, daemon=True) for _ in range(6)]
for thread in threads: thread.start()
met.wait()
import ctypes, os, tempfile
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile() as told:
    stream = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(told.read().count(b"<heap nr="))
met.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps for threads")
def test_threads_share_the_memory_that_is_free() -> None:
    heaps = []
    for first in ("", "share_memory()"):
        command = [sys.executable, "-c", _HEAPS.format(first=first)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        heaps.append(int(answer.stdout))
    assert heaps[0] > 2 >= heaps[1]


_POOL = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from edge.box import end_with_parent
with ProcessPoolExecutor(2, get_context("spawn"), end_with_parent) as pool:
    workers = {pool.submit(os.getpid).result()}
    while len(workers) < 2:
        workers |= {each.result() for each in [pool.submit(os.getpid) for _ in range(8)]}
    print(*workers, flush=True)
    time.sleep(600)
"""


def test_a_pools_workers_end_where_the_process_that_began_them_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _POOL], stdout=subprocess.PIPE, text=True) as pool:
        assert pool.stdout is not None
        workers = [Path("/proc", number) for number in pool.stdout.readline().split()]
        assert len(workers) == 2 and all(each.exists() for each in workers)
        pool.kill()
    eventually(lambda: not any(each.exists() for each in workers))
