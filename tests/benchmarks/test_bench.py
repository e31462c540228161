"""The bench: what it measures, what it refuses, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from benchmarks.bench.line.record import LineRecord
from benchmarks.bench.machine import Probe, was_throttled
from benchmarks.bench.peers import find_checkpoint
from benchmarks.bench.plan import parse_engines, parse_numbers
from benchmarks.bench.process import Worker
from benchmarks.bench.roofline import SIDE, int8_weights, matmul_integer
from benchmarks.bench.schema import BenchRecord, Form
from benchmarks.bench.spread import percentiles, ratio, ratio_in_one_run
from benchmarks.bench.torch_engine import network_of
from benchmarks.bench.workshop import Workshop
from edge.bundle import open_bundle
from edge.engines import open_engine
from edge.errors import EngineError, UsageError
from edge.line_file import OnnxRuntimeSettings, read_line, width_of
from edge.network import check_golden, resolve_bundle
from reference.networks import build, logit_maps
from stands.bundles import HEIGHT, make_bundle
from stands.places import ROOT

QUICK = ("--runs", "3", "--seconds", "0.1", "--frames", "2")
SIX_ROUNDS = ("--runs", "6", "--seconds")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle") / "a.bundle").path


def bench(*arguments: str | Path, missing: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge.cli", "bench", *map(str, arguments)]
    path = {"PYTHONPATH": str(missing)} if missing else {}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | path
    )


def record_of(*arguments: str | Path, missing: Path | None = None) -> BenchRecord:
    answer = bench(*arguments, *QUICK, "--json", "-", missing=missing)
    assert answer.returncode == 0, answer.stderr
    return BenchRecord.model_validate_json(answer.stdout)


def without(folder: Path, module: str) -> Path:
    """A folder that, first on the path, makes `module` one that is not installed."""
    (folder / f"{module}.py").write_text(
        f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')"
    )
    return folder


def test_a_run_measures_every_artefact_and_writes_table_page_section_and_record(
    bundle: Path, tmp_path: Path
) -> None:
    page, section = tmp_path / "page.html", tmp_path / "section.md"
    record_file = tmp_path / "record.json"
    written = ("--json", record_file, "--html", page, "--markdown", section)
    answer = bench(bundle, *QUICK, *written)
    assert answer.returncode == 0, answer.stderr
    record = BenchRecord.model_validate_json(record_file.read_bytes())
    assert [(row.engine, row.precision) for row in record.rows] == [
        ("openvino", "fp32"),
        ("onnxruntime", "fp32"),
        ("litert", "fp32"),
        ("litert", "int8"),
    ]
    for row in record.rows:
        assert row.runs >= 3
        assert row.p50_ms <= row.max_ms == row.quantiles_ms[-1]
        assert set(row.stage_p50_ms) == {"preprocess", "quality", "infer", "mask", "decide"}
        assert row.accuracy and row.accuracy.golden_iou and row.accuracy.golden_iou > 0.9
        assert row.rss_mb > 10 and row.artefact_bytes > 0
    assert record.complete and record.roofline["1"].int8_gemm_gops
    assert "smoother, litert int8" in answer.stdout
    assert ("s: short" in answer.stdout) == any(row.short for row in record.rows)
    assert section.read_text().count("| smoother, litert int8 |") == 3
    html = page.read_text()
    assert html.count("<svg") >= 3
    assert "http" not in html and "<script" not in html


def test_names_are_held_to_the_golden_pair_of_a_bundle_that_gives_some(
    bundle: Path, tmp_path: Path
) -> None:
    naming = make_bundle(tmp_path / "naming.bundle", naming=1).path
    for path, same in ((bundle, None), (naming, 1.0)):
        record = record_of(path, "--engine", "onnxruntime")
        assert [row.accuracy and row.accuracy.golden_names for row in record.rows] == [same]


def test_the_published_schema_describes_the_record() -> None:
    schema = json.loads(bench("--schema").stdout)
    assert {"machine", "roofline", "rows", "left_out"} <= set(schema["required"])
    asked = "engine precision graph threads size mode p50_ms p90_ms p99_ms p999_ms max_ms fps"
    costs = "load_ms first_ms rss_mb artefact_bytes roofline_ratio accuracy"
    assert set(f"{asked} {costs}".split()) <= set(schema["$defs"]["Row"]["required"])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "name a bundle"),
        (("BUNDLE", "--mode", "fast"), 2, "fast"),
        (("BUNDLE", "--json", "no-such-folder/x.json"), 2, "no-such-folder"),
        (("no-such.bundle",), 78, "no-such.bundle"),
        (("--compare", "BUNDLE", "BUNDLE"), 78, "trackside bench --json"),
    ],
)
def test_a_mistake_is_named_and_has_its_exit_code(
    arguments: tuple[str, ...], code: int, said: str, bundle: Path
) -> None:
    answer = bench(*(str(bundle) if a == "BUNDLE" else a for a in arguments))
    assert answer.returncode == code
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ("tea", "tea"),
        ("openvino:GPU", "openvino:device=GPU"),
        ("openvino:device=TPU", "GPU"),
        ("litert:precision=int4", "int8"),
        ("litert:threads=2", "an option of their own"),
    ],
)
def test_an_engine_that_makes_no_sense_is_a_usage_error(engines: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_engines(engines)


@pytest.mark.parametrize("numbers", ["0", "large", "", "1,-2", "1.5"])
def test_sizes_and_threads_are_whole_numbers_above_0(numbers: str) -> None:
    with pytest.raises(UsageError, match="whole numbers above 0"):
        parse_numbers("--threads", numbers)


def test_a_bundle_that_fails_its_golden_pair_is_not_measured(tmp_path: Path) -> None:
    wrong = make_bundle(tmp_path / "wrong.bundle", answering=-1).path
    answer = bench(wrong, *QUICK)
    assert answer.returncode == 78
    assert "answers the golden input with IoU" in answer.stderr
    assert answer.stdout == ""


def test_an_engine_that_is_not_installed_is_left_out_unless_it_was_named(
    bundle: Path, tmp_path: Path
) -> None:
    absent = without(tmp_path, "openvino")
    named = bench(bundle, *QUICK, "--engine", "openvino", missing=absent)
    assert named.returncode == 78
    assert "trackside[openvino]" in named.stderr
    record = record_of(bundle, missing=absent)
    assert {row.engine for row in record.rows} == {"onnxruntime", "litert"}
    (left_out,) = record.left_out
    assert "openvino" in left_out.what and "trackside[openvino]" in left_out.reason
    assert record.roofline["1"].int8_gemm_by == "ONNX Runtime"


def test_peers_are_left_out_with_the_remedy_where_pytorch_is_missing(tmp_path: Path) -> None:
    absent = without(tmp_path, "torch")
    record = record_of("strip", "--engine", "litert", "--peers", missing=absent)
    assert [row.engine for row in record.rows] == ["litert"]
    (left_out,) = record.left_out
    assert left_out.what == "peers of strip"
    assert "trackside[quantize]" in left_out.reason


def test_another_size_is_measured_where_the_engine_can_reshape(bundle: Path) -> None:
    record = record_of(bundle, "--size", "64", "--engine", "openvino,onnxruntime")
    (row,) = record.rows
    assert (row.engine, row.size) == ("openvino", (64, 64))
    assert row.accuracy and row.accuracy.golden_iou is None
    (left_out,) = record.left_out
    assert "onnxruntime" in left_out.what and "64x64" in left_out.what
    assert "pack a bundle of this size, or add --peers" in left_out.reason


TWO_CAMERAS = """\
name: two
bundle: {bundle}
cameras:
  left: {{type: synthetic, seed: 1, height_px: 32, width_px: 48, overlap_mm: 4, fps: 100}}
  right:
    type: synthetic
    seed: 2
    height_px: 64
    width_px: 96
    rejects: [mark]
    tiles: {{overlap_px: 8}}
engine: {{type: litert}}
encoder: {{type: simulated, speed_mm_s: 200}}
reject:
  output: {{type: gpiod, chip: /dev/none, line: 1}}
  offset_mm: 1000
  delay_ms: 5
  also:
    - name: mark
      output: {{type: gpiod, chip: /dev/none, line: 2}}
      offset_mm: 9
      delay_ms: 5
heartbeat: {{output: {{type: gpiod, chip: /dev/none, line: 3}}}}
rules: {{reject_if: {{min_area_mm2: 5}}}}
"""


def test_a_whole_line_is_measured_from_memory_flat_out_and_at_its_own_pace(
    bundle: Path, tmp_path: Path
) -> None:
    line, section = tmp_path / "line.yaml", tmp_path / "section.md"
    line.write_text(TWO_CAMERAS.format(bundle=bundle))
    ways = ("--seconds", "0.5", "--json", "-", "--markdown", section)
    answer = bench("--mode", "line", line, *ways)
    assert answer.returncode == 0, answer.stderr
    record = LineRecord.model_validate_json(answer.stdout)
    assert (record.line, record.speed_mm_s, record.engine) == ("two", 200, "litert fp32")
    flat_out, paced = record.runs
    assert [run.pace for run in record.runs] == ["flat out", "line"]
    for run in record.runs:
        assert list(run.cameras) == ["left", "right"]
        assert run.frames == sum(each.frames for each in run.cameras.values())
        assert list(run.stages) == ["preprocess", "quality", "infer", "mask", "decide"]
        assert len(run.core_shares) == os.cpu_count() and run.busy_cores > 0
        assert run.order.max_ms >= run.verdict.p50_ms > 0
        assert run.rate.mm_per_s == min(each.rate.mm_per_s for each in run.cameras.values())
        for each, pixels in zip(run.cameras.values(), (32 * 48, 64 * 96), strict=True):
            seen = each.rate.megapixels_per_s * run.seconds * 1e6 / pixels
            assert each.frames - each.unknown - 1 <= round(seen) <= each.frames
    for each, new_mm in zip(flat_out.cameras.values(), (8 - 4, 16), strict=True):
        assert each.rate.mm_per_s == pytest.approx(each.rate.frames_per_s * new_mm, rel=0.02)
        assert (each.unknown, each.missed, each.dropped) == (0, 0, 0)
    # Nobody can reject a frame of 16 mm by an actuator that is 9 mm on.
    assert paced.cameras["right"].missed == paced.cameras["right"].frames
    tables = section.read_text()
    assert tables.count("| left |") == tables.count("| all |") == 2
    assert "At the line's pace, 200 mm/s" in tables and "At the line's pace" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("a.yaml", "b.yaml"), 2, "name one line file"),
        (("a.yaml", "--engine", "native"), 2, "--engine says nothing of a line: leave it out"),
        (("no-such.yaml",), 78, "no-such.yaml: no such file"),
    ],
)
def test_what_a_line_cannot_be_asked_is_named(
    arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = bench("--mode", "line", *arguments)
    assert (answer.returncode, answer.stdout) == (code, "")
    assert said in answer.stderr and "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("name", "cameras", "columns"),
    [("wide", 1, 4096), ("wide-two-cameras", 2, 2080), ("four-cameras", 4, 352)],
)
def test_the_lines_that_figures_are_given_of_can_be_run(
    name: str, cameras: int, columns: int
) -> None:
    line = read_line(ROOT / "benchmarks" / "lines" / f"{name}.yaml")
    assert len(line.cameras) == cameras
    assert {width_of(each) for each in line.cameras.values()} == {columns / 4}


def test_every_frame_misses_a_deadline_that_nobody_can_keep(bundle: Path) -> None:
    record = record_of(bundle, "--engine", "litert", "--mode", "paced", "--speed", "1e7")
    for row in record.rows:
        assert row.paced and row.paced.misses == row.paced.frames == row.runs
        assert row.paced.period_ms == pytest.approx(HEIGHT * 0.25 / 1e4)
        # Frames wait for those before them, and their time runs while they wait.
        assert row.whole_path.p50_ms > sum(row.stage_p50_ms.values())


def test_throughput_fills_the_machine_and_threads_are_a_table_each(bundle: Path) -> None:
    processors = len(os.sched_getaffinity(0))
    arguments = ("--engine", "onnxruntime", "--mode", "throughput", "--threads", "1,2", "--pin")
    record = record_of(bundle, *arguments)
    one, two = record.rows
    assert (one.threads, one.streams) == (1, processors)
    assert (two.threads, two.streams) == (2, max(1, processors // 2))
    assert len(one.pinned_to) == processors
    assert set(record.roofline) == {"1", "2"}


@contextmanager
def started(
    bundle: Path, *arguments: str | Path
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A bench in the midst of its first round, and its workers' processes."""
    command = [sys.executable, "-m", "edge.cli", "bench", bundle, "--frames", "2", *arguments]
    # Tests that run in the background ignore it, and what they start would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr
            for _ in range(4):  # the fourth row has begun, so three have measured something
                while "Measure" not in (line := process.stderr.readline()):
                    assert line, "it ended before it measured"
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            yield process, [int(child) for child in children.split()]
        finally:
            process.kill()


def is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def ended(processes: list[int]) -> bool:
    deadline = time.monotonic() + 30
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(is_alive, processes))


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop_it_ends_with_what_was_measured_so_far(
    told: signal.Signals, bundle: Path, tmp_path: Path
) -> None:
    record_file = tmp_path / "record.json"
    with started(bundle, "--json", record_file, *SIX_ROUNDS, "6") as (process, workers):
        process.send_signal(told)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Stopped before the end" in out
    record = BenchRecord.model_validate_json(record_file.read_bytes())
    assert not record.complete
    assert record.rows
    assert len(workers) == 5 and ended(workers)  # four rows and the ceiling


def test_an_engine_that_crashes_is_left_out_and_the_others_go_on(
    bundle: Path, tmp_path: Path
) -> None:
    record_file = tmp_path / "record.json"
    with started(bundle, "--json", record_file, *SIX_ROUNDS, "1") as (process, workers):
        os.kill(workers[1], signal.SIGKILL)  # the first row's; the ceiling's came before it
        process.communicate(timeout=120)
    assert process.returncode == 0
    record = BenchRecord.model_validate_json(record_file.read_bytes())
    assert record.complete
    assert {row.engine for row in record.rows} == {"onnxruntime", "litert"}
    (left_out,) = record.left_out
    assert "openvino fp32" in left_out.what and "killed by signal 9" in left_out.reason


def test_no_worker_outlives_a_bench_that_was_killed(bundle: Path) -> None:
    with started(bundle, *SIX_ROUNDS, "6") as (process, workers):
        process.kill()
        process.wait(timeout=30)
    assert ended(workers)


def test_a_worker_that_dies_says_how() -> None:
    with pytest.raises(EngineError, match="killed by signal 6"):
        Worker(os.abort)


def test_a_percentile_that_nobody_has_seen_is_none() -> None:
    few, many = percentiles(range(1, 101)), percentiles(range(1, 1001))
    assert (few.p50_ms, few.p99_ms, few.p999_ms, few.max_ms) == (50.5, 99.01, None, 100)
    assert many.p999_ms == pytest.approx(999.001)
    assert percentiles(range(9)).p90_ms is None


def test_a_ratio_knows_how_sure_it_is() -> None:
    rng = np.random.default_rng(3)
    drift = 1 + rng.random(20)  # the machine, which disturbs both alike
    rounds = 10 * drift * rng.normal(1, 0.01, 20), 11 * drift * rng.normal(1, 0.01, 20)
    apart, in_turns = ratio(*map(list, rounds)), ratio_in_one_run(rounds[1], rounds[0])
    assert not apart.is_a_difference
    assert in_turns.is_a_difference
    assert in_turns.low < 1.1 < in_turns.high
    assert in_turns.value == pytest.approx(1.1, rel=0.02)


def test_two_records_are_compared_row_by_row(bundle: Path, tmp_path: Path) -> None:
    before, after = tmp_path / "a.json", tmp_path / "b.json"
    record = record_of(bundle, "--engine", "litert")
    before.write_text(record.model_dump_json())
    slower = [
        row.model_copy(update={"round_p50_ms": [2 * p50_ms for p50_ms in row.round_p50_ms]})
        for row in record.rows[:1]
    ]
    after.write_text(record.model_copy(update={"rows": slower}).model_dump_json())
    said = bench("--compare", before, after).stdout
    assert "2.000" in said and "= 1.000" in said
    assert "only in A: smoother, litert int8" in said


def test_the_byte_product_of_the_ceiling_is_the_right_one() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (SIDE, SIDE), np.uint8)
    session = onnxruntime.InferenceSession(matmul_integer())
    (product,) = session.run(None, {"a": pixels})
    assert np.array_equal(product, pixels.astype(np.int32) @ int8_weights().astype(np.int32))


def test_a_board_tells_what_it_is_and_that_it_was_throttled(tmp_path: Path) -> None:
    files = {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd asimddp crc32\n",
        "proc/loadavg": "0.10 0.20 0.30 1/100 4242\n",
        "proc/meminfo": "MemTotal:        8000000 kB\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "2400000\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "81300\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    probe = Probe(tmp_path)
    cool = probe.reading()
    (tmp_path / "sys/devices/platform/soc/soc:firmware/get_throttled").write_text("80000\n")
    machine = probe.machine("2026-01-01", cool, probe.reading(), None)
    assert machine.cpu == "Raspberry Pi 5 Model B Rev 1.0"
    assert machine.instruction_sets == ["asimd", "asimddp"]
    assert (machine.governor, machine.max_frequency_mhz) == (["ondemand"], 2400)
    assert machine.before.temperature_c == {"thermal_zone0 cpu-thermal": 81.3}
    assert was_throttled(machine)
    assert not was_throttled(probe.machine("2026-01-01", cool, cool, None))


@pytest.mark.parametrize("form", ["released", "official"])
def test_a_published_form_answers_as_the_network_itself(form: Form) -> None:
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.manual_seed(0)
        wanted = logit_maps(build("minet", align_corners=False).eval()(image))[0]
        [answer] = network_of({"name": "minet", "align_corners": False}, form, None)(image)
    torch.testing.assert_close(answer, wanted, rtol=1e-4, atol=1e-5)


def test_the_workshop_makes_peers_that_engines_run_as_pytorch_does() -> None:
    shipped = open_bundle(resolve_bundle("strip"))
    arguments = json.loads(shipped.manifest.provenance["network"])
    trained = find_checkpoint(shipped, None)
    workshop = Workshop(shipped.manifest, arguments, trained)
    macs = workshop.source("official", (64, 64)).manifest.macs
    assert macs and macs == workshop.source("released", (64, 64)).manifest.macs
    for precision in ("fp32", "int8"):
        peer = workshop.bundle("official", (64, 64), "onnxruntime", precision)
        assert (peer.manifest.input.channels, peer.manifest.macs) == (3, macs)
        engine = open_engine(OnnxRuntimeSettings(precision=precision), peer)
        if precision == "fp32":
            assert check_golden(peer, engine).mae < 0.002  # its golden output has 8 bits
        engine.close()
