"""`trackside doctor`: what is wrong with this box, for any line or for one, and what to do."""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

from edge.box import Box
from edge.bridge import find_gaps
from edge.bundle import Bundle, EngineName, open_bundle
from edge.checks import (
    Check,
    check_clock,
    check_device,
    check_disks,
    check_governor,
    check_heat,
    check_memory,
    check_processor,
    check_realtime,
    check_time,
    check_writing,
    is_clock_kept,
    tried,
)
from edge.commissioning.check import first_frame
from edge.errors import FrameError
from edge.extras import NotInstalled, install, require
from edge.inspect import faults, read_baseline, region_of
from edge.line_file import AutoSettings, LineSettings, Lookout, StoreSettings
from edge.network import SHIPPED, network_of
from edge.store import KEPT, NO_IMAGE, TORN, Wanted, kept_aside, read_events, read_losses
from edge.swap import open_in_force

_CONNECT_S = 5
_LATEST = 1000  # events, and entries of the ledger, that are looked at


def examine(config: LineSettings | None, box: Box) -> Iterator[Check]:
    """Everything that can be told without moving anything; no output is claimed."""
    if config is None or config.engine.type in {"auto", "native"}:
        yield check_processor()
    yield check_engines(config)
    yield check_governor(box)
    yield check_heat(box)
    yield check_clock(box)
    yield check_time(is_clock_kept())
    yield check_memory(box)
    yield from check_disks(config.kept_files if config else ())
    if config is None:
        yield tried("bundle", lambda: _golden(AutoSettings(), open_bundle(SHIPPED["strip"])))
        return
    if kept := config.kept_files:
        yield tried("writing", lambda: check_writing(kept))
    yield tried("bundle", lambda: _golden_in_force(config))
    for device, keys in sorted(_devices(config.model_dump()).items()):
        yield check_device(Path(device), keys)
    yield check_realtime(config.reject, resource.getrlimit(resource.RLIMIT_RTPRIO)[0])
    for each in config.lookouts:
        name = "camera" if each.is_alone else f"camera {each.name}"
        yield tried(name, partial(_sight, each, name))
    if config.metrics is not None:
        yield tried("metrics", lambda: _installed("prometheus_client"))
    if config.mqtt is not None:
        yield tried("mqtt", lambda: _installed("paho.mqtt"))
        yield check_broker(config.mqtt.host, config.mqtt.port)
    if config.web is not None:
        yield tried("web", lambda: _installed("starlette"))
    for each in config.lookouts:
        if each.camera.baseline is not None:
            name = "baseline" if each.is_alone else f"baseline {each.name}"
            yield tried(name, partial(_baseline, each.camera.baseline))
    if (store := config.store) is not None:
        yield tried("store", lambda: check_store(store))
    if (ledger := config.reject.ledger) is not None:
        yield tried("ledger", lambda: check_ledger(ledger))


def check_engines(config: LineSettings | None) -> Check:
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
        return Check("engines", False, f"{detail}: {install(wanted)}")
    return Check("engines", True, detail)


def check_store(settings: StoreSettings) -> Check:
    """Whether the latest events have all they should have."""
    root = settings.path
    if not root.exists():
        return Check("store", True, f"{root} is made by the first start")
    if aside := kept_aside(root):
        remedy = f"see `dmesg` for faults of its disk, then remove {aside[-1]}"
        return Check("store", False, f"it was damaged, and what it held is kept aside: {remedy}")
    events = read_events(root, Wanted(last=_LATEST))
    if losses := read_losses(root):
        utc, _, reason = losses[-1]
        lost = sum(count for _, count, _ in losses)
        return Check("store", False, f"{lost} events were lost, the latest at {utc}: {reason}")
    bare = [event for event in events if event.evidence not in {KEPT, NO_IMAGE, TORN}]
    detail = f"{len(bare)} of the latest {len(events)} events have no picture"
    if not bare:
        return Check("store", True, f"each of the latest {len(events)} events is whole")
    remedy = "make room on its disk, use a faster one, or keep less"
    return Check("store", False, f"{detail} ({bare[-1].evidence}): {remedy}")


def check_ledger(path: Path) -> Check:
    """Whether the latest entries say that others are missing."""
    if not path.exists():
        return Check("ledger", True, f"{path} is made by the first start")
    if gaps := find_gaps(path, _LATEST):
        return Check("ledger", False, f"{gaps[-1]}: make room on its disk, or use a faster one")
    return Check("ledger", True, f"{path} has no gap in its latest entries")


def check_broker(host: str, port: int) -> Check:
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except OSError as error:
        remedy = "start the broker, or see to mqtt.host, mqtt.port and the network"
        return Check("broker", False, f"{host} port {port}: {error}: {remedy}")
    return Check("broker", True, f"{host} answers at port {port}")


def _installed(module: str) -> str:
    require(module)
    try:
        import_module(module)
    except ImportError as error:
        raise NotInstalled(f"{module} cannot be imported ({error}): install it anew") from error
    return f"{module} is installed"


def _golden(engine: Any, opened: Bundle) -> str:
    bundle, loaded = network_of(engine, opened)
    name = loaded.name
    loaded.close()
    return f"{bundle.manifest.name}: {name} reproduces the golden pair"


def _golden_in_force(config: LineSettings) -> str:
    return _golden(config.engine, open_in_force(config))


def _baseline(path: Path) -> str:
    return f"{read_baseline(path).frames} frames"


def _sight(lookout: Lookout, name: str) -> Check:
    frame, camera = first_frame(lookout), lookout.camera
    rows, columns = frame.image.shape[:2]
    detail = f"{columns}x{rows} px"
    try:
        region = region_of(camera.region)
        inside = region.inside(frame.image, frame.across_um)
        lit = region.lit(inside)
        reasons = faults(frame, camera.quality, frame.captured_ns, inside, lit=lit)
    except FrameError as error:
        reasons = (str(error),)
    if reasons:
        remedy = "see to lamp, lens and `quality`"
        return Check(name, False, f"{detail}, {'; '.join(reasons)}: {remedy}")
    return Check(name, True, detail)


def _devices(node: Any) -> dict[str, list[str]]:
    """Whatever below /dev the line file names, each with the keys that name it."""
    found: dict[str, list[str]] = {}
    for key, value in _texts(node, ""):
        if value.startswith("/dev/"):
            found.setdefault(value, []).append(key)
    return found


def _texts(node: Any, key: str) -> Iterator[tuple[str, str]]:
    match node:
        case dict():
            for name, value in node.items():
                yield from _texts(value, f"{key}.{name}" if key else str(name))
        case list() | tuple():
            for at, value in enumerate(node):
                yield from _texts(value, f"{key}[{at}]")
        case str():
            yield key, node
