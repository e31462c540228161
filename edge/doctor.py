"""`trackside doctor`: what is wrong with this box, for any line or for one, and what to do."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import socket
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from edge.box import Box
from edge.bridge_config import RejectConfig
from edge.check import Check, first_frame
from edge.config import LineConfig
from edge.drift import read_baseline
from edge.engines import AutoSettings
from edge.errors import ConfigurationError, EngineUnavailable, TracksideError
from edge.manifest import EngineName
from edge.network import load_network
from edge.quality import faults

_HOT_C = 85
_LEAST_FREE_BYTES = 1_000_000_000
_LEAST_MEMORY_BYTES = 250_000_000
_SLOW_CLOCKS = {"acpi_pm", "hpet", "jiffies", "refined-jiffies"}
_CONNECT_S = 5
_TIME_ERROR = 5  # what ntp_adjtime answers where nothing keeps the clock


def examine(config: LineConfig | None, box: Box) -> Iterator[Check]:
    """Everything that can be told without moving anything; no output is claimed."""
    if config is None or config.engine.type in {"auto", "native"}:
        yield check_processor()
    yield check_engines(config)
    yield check_governor(box)
    yield check_heat(box)
    yield check_clock(box)
    yield check_time(_is_clock_kept())
    yield check_memory(box)
    yield from check_disks(config)
    if config is None:
        yield tried("bundle", lambda: _golden(AutoSettings(), "shipped", None))
        return
    yield tried("bundle", lambda: _golden(config.engine, config.bundle, config.bundle_key))
    for device in sorted(_devices(config.model_dump())):
        yield check_device(Path(device))
    yield check_realtime(config.reject, resource.getrlimit(resource.RLIMIT_RTPRIO)[0])
    yield tried("camera", lambda: _sight(config))
    if config.metrics is not None:
        yield tried("metrics", lambda: _installed("prometheus_client", "metrics"))
    if config.mqtt is not None:
        yield tried("mqtt", lambda: _installed("paho.mqtt", "mqtt"))
        yield check_broker(config.mqtt.host, config.mqtt.port)
    if config.web is not None:
        yield tried("web", lambda: _installed("starlette", "web"))
    if (path := config.health.baseline) is not None:
        yield tried("baseline", lambda: f"{read_baseline(path).frames} frames")


def tried(name: str, look: Any) -> Check:
    """What `look` says is fine, unless it raises; its errors carry their remedy."""
    try:
        found = look()
    except (TracksideError, OSError) as error:
        return Check(name, False, str(error))
    return found if isinstance(found, Check) else Check(name, True, found)


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


def check_engines(config: LineConfig | None) -> Check:
    """Whether what the line file asks for is installed."""
    present, absent = [], []
    for name in get_args(EngineName):
        try:
            import_module(f"edge.engines.{name}_engine")
        except ImportError:
            absent.append(name)
        else:
            present.append(name)
    detail = f"installed: {', '.join(present)}"
    if config is not None and config.engine.type in absent:
        wanted = config.engine.type
        return Check("engines", False, f"{detail}: pip install 'trackside[{wanted}]'")
    return Check("engines", True, detail)


def check_governor(box: Box) -> Check:
    governors = box.governors()
    if not governors:
        return Check("governor", True, "this system shows none")
    detail = ", ".join(sorted(governors))
    if governors == {"performance"}:
        return Check("governor", True, detail)
    remedy = "frames wait for the clock to rise: cpupower frequency-set --governor performance"
    return Check("governor", False, f"{detail}: {remedy}")


def check_heat(box: Box) -> Check:
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


def _is_clock_kept() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.ntp_adjtime(ctypes.create_string_buffer(512))  # all zero: it only reads
    if state < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode.get(ctypes.get_errno(), "ntp_adjtime"))
    return bool(state != _TIME_ERROR)


def check_memory(box: Box) -> Check:
    free = box.available_bytes()
    if free is None:
        return Check("memory", True, "this system shows none")
    detail = f"{free / 1e6:.0f} MB to be had"
    if free >= _LEAST_MEMORY_BYTES:
        return Check("memory", True, detail)
    return Check("memory", False, f"{detail}: stop other programs, or use a box with more")


def check_disks(config: LineConfig | None) -> Iterator[Check]:
    """Where the line keeps something, and where it is started."""
    for folder in sorted({Path.cwd(), *(_kept_in(config) if config else ())}):
        yield check_disk(folder, shutil.disk_usage(_existing(folder)).free)


def check_disk(folder: Path, free_bytes: int) -> Check:
    detail = f"{free_bytes / 1e9:.1f} GB free for {folder}"
    if free_bytes >= _LEAST_FREE_BYTES:
        return Check("disk", True, detail)
    return Check("disk", False, f"{detail}: delete what is not needed, or use a larger disk")


def check_device(path: Path) -> Check:
    if not path.exists():
        return Check("device", False, f"{path} is not there: see to its cable and its name")
    if os.access(path, os.R_OK | os.W_OK):
        return Check("device", True, f"{path} may be read and written")
    group = path.group()
    return Check("device", False, f"{path} may not be opened: sudo adduser $USER {group}")


def check_realtime(reject: RejectConfig, limit: int) -> Check:
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


def check_broker(host: str, port: int) -> Check:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        remedy = "start the broker, or see to mqtt.host, mqtt.port and the network"
        return Check("broker", False, f"{host} port {port}: {error}: {remedy}")
    return Check("broker", True, f"{host} answers at port {port}")


def _installed(module: str, extra: str) -> str:
    try:
        import_module(module)
    except ImportError as error:
        remedy = f"{module} is not installed: pip install 'trackside[{extra}]'"
        raise ConfigurationError(remedy) from error
    return f"{module} is installed"


def _golden(engine: Any, path: Path | str, key: str | None) -> str:
    bundle, loaded = load_network(engine, path, key)
    name = loaded.name
    loaded.close()
    return f"{bundle.manifest.name}: {name} reproduces the golden pair"


def _sight(config: LineConfig) -> Check:
    frame = first_frame(config)
    rows, columns = frame.image.shape[:2]
    detail = f"{columns}x{rows} px"
    if reasons := faults(frame, config.quality, frame.captured_ns):
        remedy = "see to lamp, lens and `quality`"
        return Check("camera", False, f"{detail}, {'; '.join(reasons)}: {remedy}")
    return Check("camera", True, detail)


def _devices(node: Any) -> Iterator[str]:
    """Whatever below /dev the line file names."""
    match node:
        case dict():
            for value in node.values():
                yield from _devices(value)
        case list() | tuple():
            for value in node:
                yield from _devices(value)
        case str() if node.startswith("/dev/"):
            yield node


def _kept_in(config: LineConfig) -> Iterator[Path]:
    """Folders in which the line keeps something."""
    if config.reject.ledger is not None:
        yield config.reject.ledger.parent
    if config.store is not None:
        yield config.store.path
    if config.mqtt is not None:
        yield config.mqtt.spool.parent


def _existing(folder: Path) -> Path:
    """It, or the nearest above it that is there."""
    return next(each for each in (folder, *folder.resolve().parents) if each.exists())
