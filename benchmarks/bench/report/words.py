"""What a record says, in words and figures that the terminal and the page share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.bench.machine import was_throttled
from benchmarks.bench.rounds import RUNS, SECONDS
from benchmarks.bench.schema import BenchRecord, Machine, Row
from benchmarks.bench.spread import NOISY_SPREAD, Ratio, ratio, ratio_in_one_run

_MUCH_STOLEN = 0.01
_MUCH_WAITED = 0.05
_BUSY_BEFORE = 0.5  # load average for each processor


COSTS = (
    "ms to load and to infer first, MB resident, kB of files, times the roofline, "
    "mask overlap with the golden output and the simulated truth, verdicts like the truth's"
)


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one size and number of threads, which took turns with each other, the fastest first.

    Other papers' networks, which have sizes of their own, are with the first size they ran beside.
    """
    found: dict[tuple[int, tuple[int, int]], list[Row]] = {}
    for row in rows:
        if not is_for_scale(row):
            found.setdefault((row.threads, row.size), []).append(row)
    for row in filter(is_for_scale, rows):
        beside = next((key for key in found if key[0] == row.threads), (row.threads, row.size))
        found.setdefault(beside, []).append(row)
    return [sorted(members, key=lambda row: row.p50_ms) for members in found.values()]


def is_for_scale(row: Row) -> bool:
    """Another paper's network, with random weights."""
    return row.accuracy is None


def title(rows: Sequence[Row]) -> str:
    """What the rows of a group share."""
    first = next((row for row in rows if not is_for_scale(row)), rows[0])
    return f"{size(first)}, {counted(first.threads, 'thread')}, {first.mode}"


def name(row: Row) -> str:
    """What tells a row from the others of its group."""
    graph = "" if row.graph == "deploy" else f", {row.graph} graph"
    if is_for_scale(row):
        return f"{row.network} at {size(row)}, {row.engine} {row.precision}"
    return f"{row.bundle or row.network}, {row.engine} {row.precision}{graph}"


def size(row: Row) -> str:
    height, width = row.size
    return f"{width}x{height}"


def marks(row: Row) -> str:
    """A letter for each reason to distrust a row."""
    said = (("s", row.short), ("u", not row.steady), ("n", row.noisy))
    return "".join(letter for letter, holds in said if holds)


def times_fastest(row: Row, fastest: Row) -> Ratio:
    """By how much a row is slower than its group's first, round against round where it can be."""
    if len(row.round_p50_ms) != len(fastest.round_p50_ms):
        return ratio(fastest.round_p50_ms, row.round_p50_ms)
    return ratio_in_one_run(row.round_p50_ms, fastest.round_p50_ms)


def latency_cells(row: Row, fastest: Row) -> dict[str, str]:
    """Of the inference, by heading, in milliseconds; the ratio with what holds 95% of it."""
    times = times_fastest(row, fastest)
    is_fastest = row is fastest
    return {
        "p50": _ms(row.p50_ms),
        "p90": _ms(row.p90_ms),
        "p99": _ms(row.p99_ms),
        "p99.9": _ms(row.p999_ms),
        "max": _ms(row.max_ms),
        "ratio": "1" if is_fastest else f"{times.value:.2f}",
        "95%": "" if is_fastest else f"{times.low:.2f}-{times.high:.2f}",
        "": marks(row),
    }


def path_cells(row: Row) -> dict[str, str]:
    """Of each stage the median, then of the whole, in milliseconds; the mean processor time."""
    cells = {stage: _ms(ms) for stage, ms in row.stage_p50_ms.items()}
    cells["whole"] = _ms(row.whole_path.p50_ms)
    cells["p99"] = _ms(row.whole_path.p99_ms)
    cells["cpu"] = _ms(row.cpu_ms)
    cells["frames/s"] = f"{row.fps:.1f}"
    if row.paced:
        cells["missed"] = f"{row.paced.misses} of {row.paced.frames}"
    return cells


def cost_cells(row: Row) -> dict[str, str]:
    """What a row takes of the machine, and how right its answers are."""
    cells = {
        "load": f"{row.load_ms:.0f}",
        "first": f"{row.first_ms:.1f}",
        "MB": f"{row.rss_mb:.0f}",
        "kB": f"{row.artefact_bytes / 1000:.0f}",
        "roofline": "" if row.roofline_ratio is None else f"{row.roofline_ratio:.1f}",
        "golden": "",
        "names": "",
        "simulated": "",
        "verdicts": "",
    }
    if row.accuracy:
        golden = row.accuracy.golden_iou
        cells["golden"] = "" if golden is None else f"{golden:.3f}"
        names = row.accuracy.golden_names
        cells["names"] = "" if names is None else f"{names:.0%}"
        cells["simulated"] = f"{row.accuracy.simulated_iou:.3f}"
        cells["verdicts"] = f"{row.accuracy.verdict_agreement:.0%}"
    return cells


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def remarks(record: BenchRecord) -> Iterator[str]:
    """What a reader must know before quoting a figure."""
    rows, machine = record.rows, record.machine
    if not record.complete:
        yield "Stopped before the end: this is what was measured so far."
    noisy = sum(row.noisy for row in rows)
    if 2 * noisy > len(rows):
        yield (
            f"Too noisy to trust: the rounds of {noisy} of {len(rows)} rows differ by more than "
            f"{NOISY_SPREAD:.0%}. Trust the ratios within their intervals; for milliseconds stop "
            "what else runs here and measure again."
        )
    if any(row.short for row in rows):
        yield f"s: short, fewer than {RUNS} runs or less than {SECONDS:g} s."
    if any(not row.steady for row in rows):
        yield "u: never steady, the warm-up ended with medians that still differed."
    if noisy:
        yield f"n: noisy, the middle half of its rounds spans more than {NOISY_SPREAD:.0%}."
    if any(row.p999_ms is None for row in rows):
        yield "A percentile that so few runs cannot show is left out: p99.9 takes 1000."
    waited = _waited_share(rows)
    if waited > _MUCH_WAITED:
        yield (
            f"Other processes had the processor for {waited:.0%} of the time that was measured: "
            "the column cpu is without them."
        )
    yield from disturbances(machine)


def _waited_share(rows: Sequence[Row]) -> float:
    """Of the rows that work without a pause on one thread: what they were not let work."""
    busy = [row for row in rows if row.mode == "latency" and row.threads == 1]
    elapsed_ms = sum(1000 * row.runs / row.fps for row in busy)
    return 1 - sum(row.cpu_ms * row.runs for row in busy) / elapsed_ms if busy else 0.0


def disturbances(machine: Machine) -> Iterator[str]:
    """What else the machine was at, while it was measured."""
    busy = machine.before.load_average[:1]
    if busy and busy[0] > _BUSY_BEFORE * machine.processors:
        yield f"The machine was busy before the run: load average {busy[0]:.2f}."
    if machine.stolen_share is not None and machine.stolen_share > _MUCH_STOLEN:
        yield f"The hypervisor took {machine.stolen_share:.1%} of the processors' time away."
    if was_throttled(machine):
        yield "The processor was throttled: cool it and measure again."
    if "powersave" in machine.governor and machine.architecture != "x86_64":
        yield "The governor is powersave: set it to performance and measure again."


def machine_facts(record: BenchRecord) -> Iterator[tuple[str, str]]:
    """Name and text, a line each: of the machine, and of the run."""
    yield from facts_of(record.machine)
    for bundle in record.bundles:
        yield f"bundle {bundle.name}", f"sha256 {bundle.sha256}"
    for threads, ceiling in record.roofline.items():
        int8 = f", INT8 {ceiling.int8_gemm_gops:.0f} GOP/s ({ceiling.int8_gemm_by})"
        yield (
            f"ceiling, {counted(int(threads), 'thread')}",
            f"FP32 {ceiling.sgemm_gflops:.0f} GFLOP/s{int8 if ceiling.int8_gemm_by else ''}, "
            f"copy {ceiling.copy_gb_per_s:.1f} GB/s",
        )
    yield "date", f"{record.machine.date}, {record.seconds:.0f} s"
    yield "command", record.command


def facts_of(machine: Machine) -> Iterator[tuple[str, str]]:
    """What was measured on, and with which versions."""
    before, after = machine.before, machine.after
    virtual = ", virtual" if machine.virtual else ""
    yield "processor", f"{machine.cpu}, {machine.processors} processors{virtual}"
    yield "instruction sets", " ".join(machine.instruction_sets) or "none of those looked for"
    yield "memory", f"{machine.memory_mb / 1000:.1f} GB"
    yield "governor", ", ".join(machine.governor) or "unreadable"
    yield "frequency", _before_after(before.frequency_mhz, after.frequency_mhz, "MHz")
    zones = before.temperature_c.keys() & after.temperature_c.keys()
    for zone in sorted(zones):
        yield zone, _before_after(before.temperature_c[zone], after.temperature_c[zone], "°C")
    yield "throttled", _throttled(machine)
    load = (" ".join(f"{value:.2f}" for value in r.load_average) for r in (before, after))
    yield "load average", " before, ".join(load) + " after"
    if machine.stolen_share is not None:
        yield "time stolen", f"{machine.stolen_share:.1%}"
    yield "system", machine.system
    yield "versions", ", ".join(f"{name} {version}" for name, version in machine.versions.items())


def _throttled(machine: Machine) -> str:
    if machine.after.throttle_count is None and machine.after.throttle_flags is None:
        return "unreadable"
    return "yes" if was_throttled(machine) else "no"


def _before_after(before: float | None, after: float | None, unit: str) -> str:
    if before is None or after is None:
        return "unreadable"
    return f"{before:.0f} {unit} before, {after:.0f} {unit} after"


def counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
