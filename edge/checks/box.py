"""What is wrong with a machine, whatever line it runs, and what to do."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path

from edge.box import Box
from edge.checks.check import Check
from edge.errors import EngineUnavailable
from edge.line_file import RejectSettings

_HOT_C = 85
_LEAST_FREE_BYTES = 1_000_000_000
_LEAST_MEMORY_BYTES = 250_000_000
_SLOW_CLOCKS = {"acpi_pm", "hpet", "jiffies", "refined-jiffies"}
_TIME_ERROR = 5  # what ntp_adjtime answers where nothing keeps the clock


def check_processor() -> Check:
    """Whether the native engine has instructions to be fast with."""
    try:
        best, *others = import_module("edge.engines.native_engine").bodies()
    except EngineUnavailable as error:
        return Check("processor", False, str(error))
    if best != "portable":
        also = f", also {', '.join(others)}" if others else ""
        return Check("processor", True, f"the native engine runs on {best}{also}")
    return Check(
        "processor",
        False,
        "the native engine has no fast instructions here (AVX2, ARM's dot product): set "
        "engine.type to openvino, onnxruntime or litert",
    )


def check_governor(box: Box) -> Check:
    """Whether the processor runs at its full speed while there is work."""
    governors = box.governors()
    if not governors:
        return Check("governor", True, "this system shows none")
    detail = ", ".join(sorted(governors))
    if governors == {"performance"}:
        return Check("governor", True, detail)
    remedy = "frames wait for the clock to rise: cpupower frequency-set --governor performance"
    return Check("governor", False, f"{detail}: {remedy}")


def check_heat(box: Box) -> Check:
    """How hot the box is, and whether it slows down for it."""
    temperatures, throttling = box.temperatures_c(), box.throttling()
    hottest = max(temperatures.items(), key=lambda zone: zone[1], default=None)
    detail = "this system shows no temperature"
    if hottest is not None:
        detail = f"{hottest[0]} is at {hottest[1]:.0f} degrees"
    if throttling.now:
        return Check(
            "heat", False, f"{detail}, held back now: see to fan, heat sink and power supply"
        )
    if throttling.events:
        times = f"held back {throttling.events} times since it was started"
        return Check("heat", False, f"{detail}, {times}: see to fan, heat sink and dust")
    if hottest is not None and hottest[1] >= _HOT_C:
        return Check("heat", False, f"{detail}: see to fan, heat sink and dust")
    return Check("heat", True, f"{detail}, nothing holds the processor back")


def check_clock(box: Box) -> Check:
    """Positions are worked out from times, which must be quick and even to read."""
    source = box.clock_source()
    if source is None or source not in _SLOW_CLOCKS:
        return Check("clock", True, source or "this system shows no source")
    return Check(
        "clock",
        False,
        f"{source} is slow to read: see `dmesg | grep -i tsc`, and update the firmware or boot "
        "with tsc=reliable",
    )


def check_time(kept: bool) -> Check:
    """Reports and messages carry the time of day; the line itself does without."""
    if kept:
        return Check("time", True, "the time of day is kept by a time server")
    return Check(
        "time",
        False,
        "nothing keeps the time of day: install and enable systemd-timesyncd or chrony",
    )


def is_clock_kept() -> bool:
    """Whether a time server keeps the time of day; OSError where the kernel does not say."""
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.ntp_adjtime(ctypes.create_string_buffer(512))  # all zero: it only reads
    if state < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode.get(ctypes.get_errno(), "ntp_adjtime"))
    return bool(state != _TIME_ERROR)


def check_memory(box: Box) -> Check:
    """Whether enough memory is free for a line."""
    free = box.available_bytes()
    if free is None:
        return Check("memory", True, "this system shows none")
    detail = f"{free / 1e6:.0f} MB to be had"
    if free >= _LEAST_MEMORY_BYTES:
        return Check("memory", True, detail)
    return Check("memory", False, f"{detail}: stop other programs, or use a box with more")


def check_disk(folder: Path, free_bytes: int) -> Check:
    """Whether the disk of a folder has room for what a line keeps."""
    detail = f"{free_bytes / 1e9:.1f} GB free for {folder}"
    if free_bytes >= _LEAST_FREE_BYTES:
        return Check("disk", True, detail)
    return Check("disk", False, f"{detail}: delete what is not needed, or use a larger disk")


def check_disks(kept: Iterable[Path]) -> Iterator[Check]:
    """Where a line keeps these files, and where it is started."""
    for folder in sorted({Path.cwd(), *(path.parent for path in kept)}):
        yield check_disk(folder, shutil.disk_usage(_existing(folder)).free)


def check_writing(kept: Iterable[Path]) -> Check:
    """Whether all that the line keeps can be written: each file, and the folder it lies in."""
    asked = {_existing(path) for file in kept for path in (file, file.parent)}
    if refused := sorted(str(path) for path in asked if not os.access(path, os.W_OK)):
        remedy = (
            "mount its disk for writing, or ask as the user who runs the line, and give it to them"
        )
        return Check("writing", False, f"{', '.join(refused)} cannot be written by you: {remedy}")
    return Check("writing", True, "all that the line keeps can be written by you")


def check_device(path: Path, keys: Sequence[str]) -> Check:
    """Whether a device's file, which these keys of the line file name, is there and may be used."""
    named = f"{path} of {', '.join(keys)}"
    if not path.exists():
        return Check("device", False, f"{named} is not there: see to its cable and its name")
    if os.access(path, os.R_OK | os.W_OK):
        return Check("device", True, f"{named} may be read and written")
    group = path.group()
    return Check("device", False, f"{named} may not be opened: sudo adduser $USER {group}")


def check_realtime(reject: RejectSettings, limit: int) -> Check:
    """Whether the process may run at the priority that the line file gives the rejector."""
    detail = f"reject.priority is {reject.priority}, {limit} is allowed"
    if not reject.priority or limit == resource.RLIM_INFINITY or limit >= reject.priority:
        return Check("realtime", True, detail)
    return Check(
        "realtime",
        False,
        f"{detail}: set LimitRTPRIO={reject.priority} in the service, or rtprio in "
        "/etc/security/limits.d",
    )


def _existing(folder: Path) -> Path:
    """It, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.resolve().parents) if each.exists())
