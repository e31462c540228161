"""The composition root: a line from its line file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from edge.assembly.camera import live_settings, open_camera, open_live_camera
from edge.bridge import (
    Bridge,
    Encoder,
    Rehearsal,
    RejectReport,
    SimulatedEncoder,
    bridge_errors_as_ours,
    open_bridge,
)
from edge.bundle import Bundle
from edge.cameras import Camera, CameraCounts, Faults, LiveCamera
from edge.cameras.paced_camera import PacedCamera
from edge.clock import clock_ns
from edge.engines import Engine
from edge.inspect import Inspection, Inspector, make_inspector, run
from edge.line_file import LineSettings
from edge.network import network_of
from edge.swap import open_in_force

_POLL_S = 0.002  # between two looks at the encoder
_POLLS = 100  # without a new frame, after which the caller is told that the line waits

WaitFor = Callable[[int], int | None]  # blocks until the rail is at a position, says when it was


@dataclass(frozen=True)
class Line:
    """One inspection line, wired and ready."""

    config: LineSettings
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
        """Inspect until the camera ends. TracksideError for whatever ends it before.

        LineStopped at a frame that is UNKNOWN, where the line file says `on_unknown: stop`.
        """
        with bridge_errors_as_ours():
            run(
                self.camera,
                self.inspector,
                self.bridge,
                self.bridge.heartbeat,
                record,
                stop_at_unknown=self.config.reject.on_unknown == "stop",
            )

    def camera_counts(self) -> CameraCounts | None:
        """How a live camera is doing; None of any other."""
        return self.camera.counts() if isinstance(self.camera, LiveCamera) else None

    def report(self) -> RejectReport:
        """What became of the orders so far."""
        return self.bridge.desk.report()


@contextmanager
def open_line(
    config: LineSettings,
    *,
    frames: int | None = None,
    waited: Callable[[], None] = lambda: None,
    camera_faults: Faults | None = None,
) -> Iterator[Line]:
    """Wire a line. Leaving it leaves the output at reject, since nobody inspects any more.

    Whatever does not open raises its own error: ConfigurationError (BundleError, EngineUnavailable
    and CameraUnavailable among them) for what must be changed first, CameraError for a camera that
    shows nothing, any other TracksideError for outputs, inputs, encoder and ledger.

    `waited` is called, now and then, while all is in order and there is no frame. A synthetic
    camera that runs freely suffers `camera_faults`.
    """
    # Python lets a thread run for 5 ms before another has its turn. The reject thread cannot wait
    # so long: at line speed that is millimetres of rail.
    sys.setswitchinterval(0.0005)
    with bridge_errors_as_ours(), ExitStack() as stack:
        # The inspector alone holds the network, so that a swap leaves nothing of the old one.
        inspector = make_inspector(
            config,
            network_of(config.engine, open_in_force(config)),
            clock_ns,
            config.health.baseline,
        )

        @stack.callback
        def close_engine() -> None:  # asked for late: after a swap it is another engine
            inspector.network.engine.close()

        camera: Camera
        if live_settings(config.camera) is not None:
            bridge = stack.enter_context(open_bridge(config))
            wait_for = _waiter(config, bridge, waited)
            live = open_live_camera(
                config,
                bridge.where,
                check=bridge.check,
                waited=waited,
                limit=frames,
                faults=camera_faults or Faults(),
            )
            camera = stack.enter_context(live)
        else:
            recorded = open_camera(config.camera)
            stack.callback(recorded.close)
            bridge = stack.enter_context(open_bridge(config))
            wait_for = _waiter(config, bridge, waited)
            camera = PacedCamera(recorded, wait_for, limit=frames)
        yield Line(
            config=config,
            camera=camera,
            inspector=inspector,
            bridge=bridge,
            wait_for=wait_for,
        )


def _waiter(config: LineSettings, bridge: Bridge, waited: Callable[[], None]) -> WaitFor:
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
