"""What Linux says of the box itself: name, temperatures, throttling, governors, memory, files; and
how a process on it gives way to the line, or ends with whoever began it.

Every figure is read afresh from below a root, which is `/` but in tests; what a system does not
show is absent, never made up.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread

_CPU = "sys/devices/system/cpu"
_PI_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
_PI_NOW = 0xF  # under-voltage, frequency capped, throttled, at the soft temperature limit
_PAGE = os.sysconf("SC_PAGE_SIZE")


def give_way(kindness: int = 10, first_to_go: int = 500) -> None:
    """The line has the processor first, by so much of nice, and this process is killed before it
    where memory runs out: by so much of oom_score_adj, of 1,000.

    Of a processor that both want ten parts of eleven are the line's by a kindness of 10; by a
    greater one nothing else is ever done on a box that has much to do.
    """
    os.nice(kindness)
    with suppress(OSError):  # where /proc cannot be written, the system chooses by itself
        Path("/proc/self/oom_score_adj").write_text(str(first_to_go))


def end_with_parent() -> None:
    """Of a pool's worker, first of all: it waits for work from others' hands too, and so would wait
    for ever where the process that began it was killed.
    """

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(os.EX_UNAVAILABLE)

    Thread(target=watch, daemon=True).start()


@dataclass(frozen=True, slots=True)
class Throttling:
    """Whether heat or a weak supply holds the processor back; None where the system is silent."""

    now: bool | None
    events: int | None  # since the box was started


@dataclass(frozen=True, slots=True)
class BoxState:
    """This machine, and this process on it, at one moment; None where the system is silent."""

    memory_bytes: int  # which this process occupies
    open_files: int
    temperatures_c: dict[str, float]  # by zone
    throttled: bool | None
    throttle_events: int | None


@dataclass(frozen=True)
class Box:
    """This machine."""

    root: Path = field(default=Path("/"))

    def temperatures_c(self) -> dict[str, float]:
        """Degrees Celsius by zone."""
        found: dict[str, float] = {}
        for zone in sorted(self.root.glob("sys/class/thermal/thermal_zone*")):
            millidegrees = _number(zone / "temp")
            if millidegrees is not None:
                name = _text(zone / "type") or zone.name
                found[name if name not in found else f"{name} {zone.name}"] = millidegrees / 1000
        return found

    def throttling(self) -> Throttling:
        flags = _text(self.root / _PI_THROTTLED)
        counts = [
            _number(path)
            for path in self.root.glob(f"{_CPU}/cpu*/thermal_throttle/*_throttle_count")
        ]
        known = [count for count in counts if count is not None]
        return Throttling(
            now=None if not flags else bool(int(flags, 16) & _PI_NOW),
            events=sum(known) if known else None,
        )

    def state(self) -> BoxState:
        throttling = self.throttling()
        return BoxState(
            memory_bytes=self.resident_bytes(),
            open_files=self.open_files(),
            temperatures_c=self.temperatures_c(),
            throttled=throttling.now,
            throttle_events=throttling.events,
        )

    def governors(self) -> set[str]:
        """The frequency governors in force; none where the system shows none."""
        paths = self.root.glob(f"{_CPU}/cpu*/cpufreq/scaling_governor")
        return {name for name in map(_text, paths) if name}

    def name(self) -> str:
        """A board calls itself by name; a processor is named by its vendor, or by its kind."""
        if board := _text(self.root / "proc/device-tree/model"):  # a Raspberry Pi, a Jetson
            return board.strip("\0\n")
        for line in (_text(self.root / "proc/cpuinfo") or "").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
        return platform.machine()

    def clock_source(self) -> str | None:
        return _text(self.root / "sys/devices/system/clocksource/clocksource0/current_clocksource")

    def available_bytes(self) -> int | None:
        """Memory that can still be had without swapping."""
        for line in (_text(self.root / "proc/meminfo") or "").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return None

    def resident_bytes(self) -> int:
        """Of this process."""
        return int((self.root / "proc/self/statm").read_text().split()[1]) * _PAGE

    def open_files(self) -> int:
        """Of this process."""
        return sum(1 for _ in (self.root / "proc/self/fd").iterdir())


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:  # it is not there, or the sensor behind it does not answer
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text is not None and text.lstrip("-").isdigit() else None
