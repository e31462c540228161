"""The composition root: a line from its line file. `bridge` and `wiring` open what rejects."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edge.bridge import Bridge, Rehearsal, bridge_errors_as_ours, open_bridge
from edge.bundle import Bundle
from edge.camera_config import CameraSettings, SyntheticSettings, VideoSettings
from edge.cameras import Camera
from edge.cameras.folder_camera import FolderCamera
from edge.cameras.paced_camera import PacedCamera
from edge.cameras.synthetic_camera import SyntheticCamera
from edge.cameras.video_camera import VideoCamera
from edge.config import LineConfig
from edge.engines import Engine
from edge.errors import LineStopped
from edge.inspector import Inspection, Inspector
from edge.loop import run
from edge.network import load_network
from edge.simulation import SimulatedLine
from edge.swap.folder import bundle_in_force
from edge.types import State
from edge.wiring import clock_ns
from firmware_bridge.encoder import Encoder, SimulatedEncoder
from firmware_bridge.record import RejectReport

# Handed on to those who show what became of an order, and may not import the bridge.
from firmware_bridge.types import Fired as Fired  # noqa: PLC0414
from firmware_bridge.types import Missed as Missed  # noqa: PLC0414

_POLL_S, _POLLS = 0.002, 100  # of an encoder, until it is asked whether to go on

WaitFor = Callable[[int], int | None]  # blocks until the rail is at a position, says when it was


@dataclass(frozen=True)
class Line:
    """One inspection line, wired and ready."""

    config: LineConfig
    camera: Camera
    inspector: Inspector
    bridge: Bridge
    wait_for: WaitFor

    @property
    def bundle(self) -> Bundle:
        """Which is in force."""
        return self.inspector.network.bundle

    @property
    def engine(self) -> Engine:
        """Which runs it."""
        return self.inspector.network.engine

    @property
    def rehearsal(self) -> Rehearsal:
        """The encoder and the pins of a line without wires; UsageError for any other."""
        return self.bridge.rehearsal()

    def run(self, record: Callable[[Inspection], None]) -> None:
        """Inspect until the camera ends; UNKNOWN stops the line where the line file says so."""
        reject = self.config.reject

        def record_or_stop(inspection: Inspection) -> None:
            record(inspection)
            verdict = inspection.verdict
            if reject.default_reject and verdict.state is not State.UNKNOWN:
                # What must leave of it has been ordered, and leaves all the same.
                stretch, tag = verdict.stretch, f"frame {verdict.frame_index}"
                self.bridge.desk.submit_pass(stretch.start_um, stretch.end_um, tag)
            if verdict.state is State.UNKNOWN and reject.on_unknown == "stop":
                raise LineStopped(
                    f"frame {verdict.frame_index} is UNKNOWN ({'; '.join(verdict.reasons)}): "
                    "clear the cause and start again, or set reject.on_unknown: reject"
                )

        with bridge_errors_as_ours():
            run(self.camera, self.inspector, self.bridge, self.bridge.heartbeat, record_or_stop)

    def report(self) -> RejectReport:
        """What became of the orders so far."""
        return self.bridge.desk.report()


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
def open_line(
    config: LineConfig,
    *,
    frames: int | None = None,
    waited: Callable[[], None] = lambda: None,
) -> Iterator[Line]:
    """Wire a line. Leaving it leaves the output at reject, since nobody inspects any more.

    `waited` is called, now and then, while all is in order and the rail does not move.
    """
    # The reject thread must not wait the usual 5 ms, which are millimetres, for the interpreter.
    sys.setswitchinterval(0.0005)
    with bridge_errors_as_ours(), ExitStack() as stack:
        network = load_network(config.engine, bundle_in_force(config), config.bundle_key)
        inspector = Inspector(network, config.rules, config.quality, clock_ns)

        @stack.callback
        def close_engine() -> None:  # after a swap, another one than was opened
            inspector.network.engine.close()

        camera = open_camera(config.camera)
        stack.callback(camera.close)
        bridge = stack.enter_context(open_bridge(config))
        wait_for = _waiter(config, bridge, waited)
        yield Line(
            config=config,
            camera=PacedCamera(camera, wait_for, limit=frames),
            inspector=inspector,
            bridge=bridge,
            wait_for=wait_for,
        )


def _waiter(config: LineConfig, bridge: Bridge, waited: Callable[[], None]) -> WaitFor:
    """Of a rail whose speed is known by the clock, of any other by its encoder."""
    if config.encoder.type == "simulated" and bridge.rig is not None:
        return _wait_by_clock(bridge.rig.encoder)

    def wait_for(position_um: int) -> int | None:
        for _ in range(_POLLS):
            bridge.check()
            reading = bridge.where()
            if reading.position_um >= position_um:
                return reading.at_ns
            time.sleep(_POLL_S)
        waited()
        return None

    return wait_for


def _wait_by_clock(encoder: Encoder) -> WaitFor:
    assert isinstance(encoder, SimulatedEncoder)

    def wait_for(position_um: int) -> int:
        due_ns = encoder.when_ns(position_um)
        assert due_ns is not None, "a line file's speed is above 0"
        time.sleep(max(0, due_ns - clock_ns()) / 1e9)
        return due_ns

    return wait_for
