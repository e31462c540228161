"""The composition root: the only file that wires the parts of a line to its settings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from edge.bundle import Bundle, check_golden, open_bundle
from edge.cameras import Camera
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.paced_camera import PacedCamera
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.video_camera import VideoCamera
from edge.config import CameraSettings, LineConfig, SyntheticSettings, VideoSettings
from edge.engines import Engine, EngineSettings, open_engine
from edge.errors import LineStopped, TracksideError
from edge.inspector import Inspection, Inspector
from edge.loop import run
from edge.simulation import SimulatedLine
from edge.types import State
from firmware_bridge.control import Actuator
from firmware_bridge.encoder import SimulatedEncoder, Speed
from firmware_bridge.heartbeat import Heartbeat
from firmware_bridge.memory_line import MemoryLine
from firmware_bridge.record import RejectReport
from firmware_bridge.rejector import Rejector
from firmware_bridge.rig import Output, Rig
from firmware_bridge.tracker import ActuatorSettings
from firmware_bridge.types import BridgeError

# Handed on to those who show what became of an order, and may not import the bridge.
from firmware_bridge.types import Fired as Fired  # noqa: PLC0414
from firmware_bridge.types import Missed as Missed  # noqa: PLC0414

SHIPPED_BUNDLE = Path(__file__).parent / "bundles" / "minet-line.bundle"
clock_ns = time.monotonic_ns


@dataclass(frozen=True)
class Line:
    """One inspection line, wired and ready."""

    config: LineConfig
    bundle: Bundle
    engine: Engine
    camera: Camera
    inspector: Inspector
    encoder: SimulatedEncoder
    reject_pin: MemoryLine
    rejector: Rejector
    heartbeat_pin: MemoryLine
    heartbeat: Heartbeat
    wait_for: Callable[[int], int]  # blocks until the rail is at a position, says when it was

    def run(self, record: Callable[[Inspection], None]) -> None:
        """Inspect until the camera ends; UNKNOWN stops the line where the line file says so."""

        def record_or_stop(inspection: Inspection) -> None:
            record(inspection)
            verdict = inspection.verdict
            if verdict.state is State.UNKNOWN and self.config.reject.on_unknown == "stop":
                raise LineStopped(
                    f"frame {verdict.frame_index} is UNKNOWN ({'; '.join(verdict.reasons)}): "
                    "clear the cause and start again, or set reject.on_unknown: reject"
                )

        with _bridge_errors_as_ours():
            run(self.camera, self.inspector, self.rejector, self.heartbeat, record_or_stop)

    def report(self) -> RejectReport:
        """What became of the orders so far."""
        return self.rejector.report()


def resolve_bundle(path: Path | str) -> Path:
    """`shipped` is the bundle that is installed with the product."""
    return SHIPPED_BUNDLE if str(path) == "shipped" else Path(path)


def engine_by_name(name: str) -> EngineSettings:
    """An engine with its default settings."""
    settings: EngineSettings = TypeAdapter(EngineSettings).validate_python({"type": name})
    return settings


def load_network(
    settings: EngineSettings, path: Path | str, public_key: str | None = None
) -> tuple[Bundle, Engine]:
    """A verified bundle, of the key's owner, and an engine that has reproduced its golden pair."""
    bundle = open_bundle(resolve_bundle(path), public_key)
    engine = open_engine(settings, bundle)
    check_golden(bundle, engine)
    return bundle, engine


def simulated_line(settings: SyntheticSettings) -> SimulatedLine:
    """The rail that a synthetic camera looks at."""
    return SimulatedLine(**settings.model_dump(exclude={"type", "height_px"}))


def open_camera(settings: CameraSettings) -> Camera:
    """The configured camera, unpaced."""
    if isinstance(settings, SyntheticSettings):
        line = simulated_line(settings)
        return SyntheticCamera(line, height_px=settings.height_px, clock_ns=clock_ns)
    kind = VideoCamera if isinstance(settings, VideoSettings) else FolderCamera
    return kind(**settings.model_dump(exclude={"type"}), clock_ns=clock_ns)


@contextmanager
def open_line(config: LineConfig, *, frames: int | None = None) -> Iterator[Line]:
    """Wire a line. Leaving it leaves the output at reject, since nobody inspects any more."""
    # The reject thread must not wait the usual 5 ms, which are millimetres, for the interpreter.
    sys.setswitchinterval(0.0005)
    with ExitStack() as stack, _bridge_errors_as_ours():
        bundle, engine = load_network(config.engine, config.bundle, config.bundle_key)
        stack.callback(engine.close)
        camera = open_camera(config.camera)
        stack.callback(camera.close)
        reject_pin = stack.enter_context(MemoryLine(clock_ns, safe_active=True))
        heartbeat_pin = stack.enter_context(MemoryLine(clock_ns, safe_active=False))
        speed = Speed(0, round(config.encoder.speed_mm_s * 1000))
        encoder = SimulatedEncoder(clock_ns, [speed])
        rig = Rig(encoder, [Output(Actuator("reject", _actuator(config)), reject_pin)])
        rejector = Rejector(rig, clock_ns, priority=config.reject.priority)
        stack.enter_context(rejector)
        wait_for = _waiter(encoder)
        timeout_ns = round(config.heartbeat.timeout_ms * 1e6)
        yield Line(
            config=config,
            bundle=bundle,
            engine=engine,
            camera=PacedCamera(camera, wait_for, limit=frames),
            inspector=Inspector(engine, bundle.manifest, config.rules, config.quality, clock_ns),
            encoder=encoder,
            reject_pin=reject_pin,
            rejector=rejector,
            heartbeat_pin=heartbeat_pin,
            heartbeat=Heartbeat(heartbeat_pin, timeout_ns, clock_ns),
            wait_for=wait_for,
        )


def _actuator(config: LineConfig) -> ActuatorSettings:
    reject = config.reject
    return ActuatorSettings(
        offset_um=round(reject.offset_mm * 1000),
        delay_ns=round(reject.delay_ms * 1e6),
        margin_um=round(reject.margin_mm * 1000),
        dwell_ns=round(reject.min_pulse_ms * 1e6),
        min_gap_um=round(reject.min_gap_mm * 1000),
    )


def _waiter(encoder: SimulatedEncoder) -> Callable[[int], int]:
    def wait_for(position_um: int) -> int:
        due_ns = encoder.when_ns(position_um)
        assert due_ns is not None, "a line file's speed is above 0"
        time.sleep(max(0, due_ns - clock_ns()) / 1e9)
        return due_ns

    return wait_for


@contextmanager
def _bridge_errors_as_ours() -> Iterator[None]:
    try:
        yield
    except BridgeError as error:
        raise TracksideError(str(error)) from error
