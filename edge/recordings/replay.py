"""A recorded line, run again: the same loop, in the recording's time and on the recorded rail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress

from edge.bridge import SECOND_NS, STEP_NS, RecordedRail
from edge.errors import ConfigurationError, LineStopped
from edge.inspect import (
    Inspection,
    Inspector,
    Surface,
    make_inspector,
    neighbours_of,
    run,
)
from edge.network import load_network
from edge.recordings.expectation import Expectation, Judged, Replayed, write_expectation
from edge.recordings.recording import RecordedFrame, Recording
from edge.types import Stretch


def replay(recording: Recording, bundle: str | None = None) -> Replayed:
    """Run it again with its own bundle, which must be the one it was recorded with, or another.

    Where UNKNOWN stops the line, nothing after it is judged. ConfigurationError where its own
    bundle is not the one that was recorded with.
    """
    config = recording.config
    network = load_network(config.engine, bundle or recording.bundle, config.bundle_key)
    digest = network.bundle.digest
    try:
        if bundle is None and digest != recording.digest:
            raise ConfigurationError(
                f"{recording.bundle} is not the bundle that was recorded with: put that back, or "
                "name another with --bundle"
            )
        world = _World(recording)
        neighbours = neighbours_of(config)
        inspectors = {
            each.name: make_inspector(
                each, network, world.clock_ns, recording.baseline(each.name), neighbours
            )
            for each in config.lookouts
        }
        surface = Surface(neighbours, {each.name: each.rules for each in config.lookouts})
        with suppress(LineStopped):  # the recorded line would have ended there too
            run(
                surface.joined(world.inspections(inspectors)),
                world,
                world,
                world.record,
                stop_at_unknown=config.reject.on_unknown == "stop",
            )
        world.rail.finish(recording.frames[-1].end_um)
    finally:
        network.engine.close()
    rejects = {name: tuple(extents) for name, extents in world.rail.rejects.items()}
    return Replayed(digest, tuple(world.judged), rejects)


def accept(recording: Recording, replayed: Replayed) -> None:
    """Expect this from now on, but for two rows of a frame and one reading of the encoder."""
    looked_at = [each for each in recording.frames if each.rows]
    row_um = max(((each.end_um - each.start_um) // each.rows for each in looked_at), default=0)
    step_um = round(recording.config.encoder.speed_mm_s * 1000) * STEP_NS // SECOND_NS
    write_expectation(recording.expected, Expectation(replayed, 2 * row_um + step_um))


class _World:
    """All that is round the loop, as it was: cameras and clock, rejector and heartbeat."""

    def __init__(self, recording: Recording) -> None:
        self.rail = RecordedRail(
            recording.config,
            {each.at_ns: each.position_um for each in recording.frames},
            min(each.captured_ns for each in recording.frames),
        )
        self.judged: list[Judged] = []
        self._recording = recording
        self._now: RecordedFrame = recording.frames[0]

    def inspections(self, inspectors: Mapping[str, Inspector]) -> Iterator[Inspection]:
        """Each frame, in the order in which the line judged them."""
        for now, seen in self._recording.camera_frames():
            self._now = now
            yield inspectors[now.camera].inspect(seen)

    def clock_ns(self) -> int:
        return self._now.looked_ns

    def submit(self, cameras: Sequence[str], start_um: int, end_um: int, tag: str) -> None:
        self.rail.order(cameras, Stretch(start_um, end_um), tag, self._now.decided_ns)

    def let_by(self, camera: str, start_um: int, end_um: int, tag: str) -> None:
        self.rail.let_by(camera, Stretch(start_um, end_um), tag, self._now.decided_ns)

    def check(self) -> None:
        """Orders are fired here, or this would not run."""

    def beat(self, camera: str) -> None:
        """Nobody listens."""

    def record(self, inspection: Inspection) -> None:
        self.judged.append(Judged.of(inspection))
