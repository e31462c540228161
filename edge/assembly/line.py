"""The composition root: a line from its line file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial

from edge.assembly.camera import live_settings, open_camera, open_live_camera, open_memory
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
from edge.cameras import Camera, CameraCounts, Faults, LiveCamera, Memory
from edge.cameras.paced_camera import PacedCamera
from edge.clock import clock_ns
from edge.engines import Engine
from edge.inspect import (
    Inspection,
    Inspector,
    Neighbours,
    Surface,
    Watch,
    Watching,
    make_inspector,
    neighbours_of,
    run,
)
from edge.line_file import LineSettings
from edge.network import Network, network_of
from edge.swap import open_in_force

_POLL_S = 0.002  # between two looks at the encoder
_POLLS = 100  # without a new frame, after which the caller is told that the line waits

WaitFor = Callable[[int], int | None]  # blocks until the rail is at a position, says when it was


@dataclass(frozen=True)
class Line:
    """One inspection line, wired and ready."""

    config: LineSettings
    watches: tuple[Watch, ...]
    bridge: Bridge
    wait_for: WaitFor
    watching: Watching
    surface: Surface

    @property
    def inspectors(self) -> dict[str, Inspector]:
        """By camera."""
        return {watch.name: watch.inspector for watch in self.watches}

    @property
    def network(self) -> Network:
        """Which is in force; while it is changed, for the first camera."""
        return self.watches[0].inspector.network

    @property
    def bundle(self) -> Bundle:
        """Which is in force."""
        return self.network.bundle

    @property
    def engine(self) -> Engine:
        """Which runs it."""
        return self.network.engine

    @property
    def rehearsal(self) -> Rehearsal:
        """The encoder and the pins of a line without wires; UsageError for any other."""
        return self.bridge.rehearsal()

    def run(self, record: Callable[[Inspection], None]) -> None:
        """Inspect until the cameras end. TracksideError for whatever ends one of them before.

        LineStopped at a frame that is UNKNOWN, where the line file says `on_unknown: stop`.
        """
        with bridge_errors_as_ours(), closing(self.watching.judged(self.watches)) as judged:
            run(
                self.surface.joined(judged),
                self.bridge,
                self.bridge,
                record,
                stop_at_unknown=self.config.reject.on_unknown == "stop",
            )

    def stop(self) -> None:
        """Close the cameras, which ends the loop after the frames that it is in; waits for nothing,
        so a signal's handler may call it.
        """
        for watch in self.watches:
            watch.camera.close()

    def camera_counts(self) -> dict[str, CameraCounts]:
        """How each camera is doing that runs freely."""
        return {
            watch.name: watch.camera.counts()
            for watch in self.watches
            if isinstance(watch.camera, LiveCamera)
        }

    def report(self) -> RejectReport:
        """What became of the orders so far."""
        return self.bridge.desk.report()


@contextmanager
def open_line(
    config: LineSettings,
    *,
    frames: int | None = None,
    waited: Callable[[str], None] = lambda _: None,
    camera_faults: Mapping[str, Faults] | None = None,
    memories: Mapping[str, Memory] | None = None,
    run: str | None = None,
) -> Iterator[Line]:
    """Wire a line. Leaving it leaves the output at reject, since nobody inspects any more.

    Whatever does not open raises its own error: ConfigurationError (BundleError, EngineUnavailable
    and CameraUnavailable among them) for what must be changed first, CameraError for a camera that
    shows nothing, any other TracksideError for outputs, inputs, encoder and ledger.

    Each camera gives so many `frames`, or all it has. `waited` is told the name of a camera, now
    and then, while all is in order and it has no frame. Synthetic cameras that run freely suffer
    `camera_faults`. A camera of which there are `memories` shows those, and is not opened. `run` is
    what the ledger calls the run.
    """
    # Python lets a thread run for 5 ms before another has its turn. The reject thread cannot wait
    # so long: at line speed that is millimetres of rail.
    sys.setswitchinterval(0.0005)
    with bridge_errors_as_ours(), ExitStack() as stack:
        # The inspectors alone hold the network, so that a swap leaves nothing of the old one.
        neighbours = neighbours_of(config)
        inspectors = inspectors_of(
            config, network_of(config.engine, open_in_force(config)), neighbours
        )

        @stack.callback
        def close_engine() -> None:  # asked for late: after a swap it is another engine
            for engine in {id(each): each for each in engines_of(inspectors)}.values():
                engine.close()

        shown = memories or {}
        recorded = dict[str, Camera]()
        for name, settings in config.cameras.items():
            if live_settings(settings) is None:
                memory = shown.get(name)
                recorded[name] = open_memory(settings, memory) if memory else open_camera(settings)
                stack.callback(recorded[name].close)
        bridge = stack.enter_context(open_bridge(config, run=run))
        watching = Watching(config.workers, waited)
        watches = []
        for name, settings in config.cameras.items():
            no_frame = partial(watching.no_frame, name)
            camera: Camera
            memory = shown.get(name)
            if memory is not None and memory.period_s is None:
                camera = open_memory(settings, memory)
            elif name in recorded:
                wait_for = _waiter(config, bridge, no_frame, settings.downstream_um)
                camera = PacedCamera(recorded[name], wait_for, limit=frames)
            else:
                camera = stack.enter_context(
                    open_live_camera(
                        settings,
                        bridge.where,
                        check=bridge.check,
                        waited=no_frame,
                        limit=frames,
                        faults=(camera_faults or {}).get(name) or Faults(),
                        memory=memory,
                    )
                )
            watches.append(Watch(camera, inspectors[name]))
        first = partial(watching.no_frame, watches[0].name)
        yield Line(
            config=config,
            watches=tuple(watches),
            bridge=bridge,
            wait_for=_waiter(config, bridge, first, 0),
            watching=watching,
            surface=Surface(neighbours, {each.name: each.rules for each in config.lookouts}),
        )


def inspectors_of(
    config: LineSettings, network: Network, neighbours: Neighbours
) -> dict[str, Inspector]:
    """One for each camera, which share a network, and maybe a surface."""
    return {
        each.name: make_inspector(each, network, clock_ns, each.camera.baseline, neighbours)
        for each in config.lookouts
    }


def engines_of(inspectors: Mapping[str, Inspector]) -> Iterator[Engine]:
    """What runs their networks."""
    return (each.network.engine for each in inspectors.values())


def _waiter(
    config: LineSettings, bridge: Bridge, waited: Callable[[], None], downstream_um: int
) -> WaitFor:
    """For rail that comes so far downstream of the line's origin: where its speed is known, by the
    clock, else by its encoder.
    """
    if config.encoder.type == "simulated" and bridge.rig is not None:
        return _wait_by_clock(bridge.rig.encoder, downstream_um)

    def wait_for(position_um: int) -> int | None:
        for _ in range(_POLLS):
            bridge.check()
            reading = bridge.where()
            if reading.position_um >= position_um + downstream_um:
                return reading.at_ns
            time.sleep(_POLL_S)
        waited()
        return None

    return wait_for


def _wait_by_clock(encoder: Encoder, downstream_um: int) -> WaitFor:
    assert isinstance(encoder, SimulatedEncoder)

    def wait_for(position_um: int) -> int:
        due_ns = encoder.when_ns(position_um + downstream_um)
        assert due_ns is not None, "a line file's speed is above 0"
        time.sleep(max(0, due_ns - clock_ns()) / 1e9)
        return due_ns

    return wait_for
