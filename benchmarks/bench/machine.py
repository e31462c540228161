"""The machine in the record, read from where Linux says it: /proc and /sys."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import fmean

from benchmarks.bench.schema import Machine, Reading
from edge.box import Box

PACKAGES = (
    "trackside",
    "numpy",
    "opencv-python-headless",
    "openvino",
    "onnxruntime",
    "ai-edge-litert",
    "tflite-runtime",
    "torch",
)
# What a kernel for these networks may use, in x86's words and in ARM's.
_SETS = (
    *("avx2", "fma", "avx_vnni", "avx_vnni_int8", "avx512f", "avx512bw", "avx512_vnni"),
    *("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)
_IS_A_CORE = re.compile(r"cpu\d+ ")
_THROTTLED_NOW, _THROTTLED_SINCE_START = 0xF, 0xF0000  # of the Raspberry Pi's word


@dataclass(frozen=True)
class Probe:
    """Reads below `root`, which is / but for a machine that is described in a folder."""

    root: Path = Path("/")

    def machine(self, date: str, before: Reading, after: Reading, stolen: float | None) -> Machine:
        """All of it, once the run is over."""
        flags = self._flags()
        return Machine(
            date=date,
            cpu=Box(self.root).name(),
            architecture=platform.machine(),
            processors=len(os.sched_getaffinity(0)),
            virtual="hypervisor" in flags,
            instruction_sets=[name for name in _SETS if name in flags],
            memory_mb=self._memory_mb(),
            governor=sorted(set(self._each_processor("cpufreq/scaling_governor"))),
            max_frequency_mhz=_mean_mhz(self._each_processor("cpufreq/cpuinfo_max_freq")),
            system=f"{platform.platform()}, Python {platform.python_version()}",
            versions={name: found for name in PACKAGES if (found := _version(name))},
            before=before,
            after=after,
            stolen_share=stolen,
        )

    def reading(self) -> Reading:
        """What changes while a machine works."""
        load = self._text("proc/loadavg") or ""
        mhz = _mean_mhz(self._each_processor("cpufreq/scaling_cur_freq"))
        if mhz is None:
            mhz = _mean([float(text) for text in self._cpu_info("cpu MHz")])
        counts = [
            int(count)
            for kind in ("core", "package")
            for count in self._each_processor(f"thermal_throttle/{kind}_throttle_count")
        ]
        flags = self._text("sys/devices/platform/soc/soc:firmware/get_throttled")
        return Reading(
            load_average=[float(text) for text in load.split()[:3]],
            frequency_mhz=mhz,
            temperature_c=dict(self._temperatures()),
            throttle_count=sum(counts) if counts else None,
            throttle_flags=flags and flags.strip(),
        )

    def ticks(self) -> tuple[int, int]:
        """Processor time that the hypervisor took away, and all there was."""
        first = (self._text("proc/stat") or "cpu").splitlines()[0]
        spent = [int(text) for text in first.split()[1:9]]
        return (spent[7], sum(spent)) if len(spent) == 8 else (0, 0)

    def core_ticks(self) -> list[tuple[int, int]]:
        """Of each processor the time in which it worked, for whomever, and all there was."""
        lines = (self._text("proc/stat") or "").splitlines()
        spent = [list(map(int, line.split()[1:9])) for line in lines if _IS_A_CORE.match(line)]
        return [(sum(each) - each[3] - each[4], sum(each)) for each in spent]  # idle, and for disks

    def physical_first(self) -> list[int]:
        """The processors this process may use: one of each core, then their siblings."""
        cores: dict[str, list[int]] = {}
        for number in sorted(os.sched_getaffinity(0), reverse=True):  # 0 takes most interrupts
            path = f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list"
            cores.setdefault(self._text(path) or str(number), []).append(number)
        first = [siblings[0] for siblings in cores.values()]
        return first + [number for siblings in cores.values() for number in siblings[1:]]

    def _flags(self) -> set[str]:
        lines = [*self._cpu_info("flags"), *self._cpu_info("Features")]
        return set(lines[0].split()) if lines else set()

    def _cpu_info(self, key: str) -> Iterator[str]:
        for line in (self._text("proc/cpuinfo") or "").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                yield value.strip()

    def _memory_mb(self) -> int:
        found = re.search(r"MemTotal:\s+(\d+) kB", self._text("proc/meminfo") or "")
        return int(found[1]) // 1000 if found else 0

    def _temperatures(self) -> Iterator[tuple[str, float]]:
        for zone in sorted(self.root.glob("sys/class/thermal/thermal_zone*")):
            kind, millidegrees = _text(zone / "type"), _text(zone / "temp")
            if kind and millidegrees:
                yield f"{zone.name} {kind.strip()}", int(millidegrees) / 1000

    def _each_processor(self, name: str) -> list[str]:
        paths = self.root.glob(f"sys/devices/system/cpu/cpu[0-9]*/{name}")
        return [text.strip() for path in sorted(paths) if (text := _text(path))]

    def _text(self, path: str) -> str | None:
        return _text(self.root / path)


def stolen_share(before: tuple[int, int], after: tuple[int, int]) -> float | None:
    """Between two readings of `ticks`."""
    total = after[1] - before[1]
    return round((after[0] - before[0]) / total, 4) if total else None


def was_throttled(machine: Machine) -> bool:
    """Whether the processor was held back for its heat while it was measured."""
    before, after = machine.before, machine.after
    if after.throttle_flags is not None:
        word, earlier = int(after.throttle_flags, 16), int(before.throttle_flags or "0", 16)
        since = word & ~earlier & _THROTTLED_SINCE_START
        return bool((word | earlier) & _THROTTLED_NOW or since)
    if after.throttle_count is not None:
        return after.throttle_count > (before.throttle_count or 0)
    return False


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:  # absent, or not for everyone to read
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _mean_mhz(kilohertz: list[str]) -> float | None:
    return _mean([int(text) / 1000 for text in kilohertz])


def _mean(values: list[float]) -> float | None:
    return round(fmean(values), 1) if values else None
