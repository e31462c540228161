"""A recorded line, run again: the same loop, in the recording's time and on the recorded rail."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from edge.config import LineConfig
from edge.errors import ConfigurationError
from edge.expectation import Expectation, Extent, Judged, Outcome, write_expectation
from edge.inspector import Inspection, make_inspector
from edge.loop import run
from edge.network import load_network
from edge.recording import RecordedFrame, Recording
from edge.types import Frame, LostFrame, State
from edge.wiring import actuator_settings
from firmware_bridge.tracker import ActuatorSettings, Tracker
from firmware_bridge.types import SECOND_NS, Order, Pulse, Reading

STEP_NS = 1_000_000  # between two readings of the encoder


def replay(recording: Recording, bundle: str | None = None) -> Outcome:
    """Run it again with its own bundle, which must be the one it was recorded with, or another."""
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
        inspector = make_inspector(config, network, world.clock_ns)
        run(world, inspector, world, world, world.record)
        world.rail.finish(recording.frames[-1].end_um)
    finally:
        network.engine.close()
    rejects = {name: tuple(extents) for name, extents in world.rail.rejects.items()}
    return Outcome(digest, tuple(world.judged), rejects)


def accept(recording: Recording, outcome: Outcome) -> None:
    """Expect this from now on, but for two rows of a frame and one reading of the encoder."""
    looked_at = [each for each in recording.frames if each.rows]
    row_um = max(((each.end_um - each.start_um) // each.rows for each in looked_at), default=0)
    step_um = round(recording.config.encoder.speed_mm_s * 1000) * STEP_NS // SECOND_NS
    write_expectation(recording.expected, Expectation(outcome, 2 * row_um + step_um))


class _World:
    """All that is round the loop, as it was: camera and clock, rejector and heartbeat."""

    def __init__(self, recording: Recording) -> None:
        self.rail = _Rail(recording.config, recording.frames)
        self.judged: list[Judged] = []
        self._recording = recording
        self._now: RecordedFrame = recording.frames[0]

    def frames(self) -> Iterator[Frame | LostFrame]:
        for now, seen in self._recording.seen():
            self._now = now
            yield seen

    def close(self) -> None:
        """There is nothing to let go of."""

    def clock_ns(self) -> int:
        return self._now.looked_ns

    def submit(self, start_um: int, end_um: int, tag: str) -> None:
        self.rail.order(Order(start_um, end_um, tag), self._now.decided_ns, is_pass=False)

    def check(self) -> None:
        """Orders are fired here, or this would not run."""

    def beat(self) -> None:
        """Nobody listens."""

    def record(self, inspection: Inspection) -> None:
        verdict = inspection.verdict
        self.judged.append(Judged.of(verdict))
        default_reject = self._recording.config.reject.default_reject
        if default_reject and verdict.state is not State.UNKNOWN:
            stretch, tag = verdict.stretch, f"frame {verdict.frame_index}"
            order = Order(stretch.start_um, stretch.end_um, tag)
            self.rail.order(order, self._now.decided_ns, is_pass=True)


class _Rail:
    """The rail as it moved, evenly between two readings, and the actuators along it."""

    def __init__(self, config: LineConfig, frames: Sequence[RecordedFrame]) -> None:
        places = {each.at_ns: each.position_um for each in frames}
        self._readings = [Reading(places[at_ns], at_ns) for at_ns in sorted(places)]
        if len(self._readings) == 1:
            [only] = self._readings
            a_second_on = only.position_um + round(config.encoder.speed_mm_s * 1000)
            self._readings.append(Reading(a_second_on, only.at_ns + SECOND_NS))
        self._now_ns = min(each.captured_ns for each in frames)
        self._settings = {each.name: actuator_settings(each) for each in config.reject.actuators}
        self._trackers = {
            name: Tracker(settings, default_reject=config.reject.default_reject)
            for name, settings in self._settings.items()
        }
        self.rejects: dict[str, list[Extent]] = {name: [] for name in self._trackers}

    def order(self, order: Order, at_ns: int, *, is_pass: bool) -> None:
        """Give every actuator an order, at a moment of the recording."""
        self._advance(at_ns)
        for tracker in self._trackers.values():
            (tracker.let_pass if is_pass else tracker.order)(order)

    def finish(self, end_um: int) -> None:
        """Let the rail up to its last frame's end go by every actuator, if it was going on."""
        beyond_um = end_um + max(map(_reach_um, self._settings.values()))
        while (place_um := self._position_um(self._now_ns)) < beyond_um:
            self._advance(self._now_ns + STEP_NS)
            if self._position_um(self._now_ns) <= place_um:
                return

    def _advance(self, until_ns: int) -> None:
        while self._now_ns + STEP_NS <= until_ns:
            self._now_ns += STEP_NS
            reading = Reading(self._position_um(self._now_ns), self._now_ns)
            for name, tracker in self._trackers.items():
                for event in tracker.advance(reading):
                    if isinstance(event, Pulse):
                        self.rejects[name].append((event.from_um, event.until_um))

    def _position_um(self, at_ns: int) -> int:
        """Before the first reading and beyond the last it went on as between the nearest two."""
        after = bisect_left(self._readings, at_ns, key=lambda reading: reading.at_ns)
        after = min(max(after, 1), len(self._readings) - 1)
        one, two = self._readings[after - 1], self._readings[after]
        travelled_um, elapsed_ns = two.position_um - one.position_um, two.at_ns - one.at_ns
        return one.position_um + travelled_um * (at_ns - one.at_ns) // elapsed_ns


def _reach_um(settings: ActuatorSettings) -> int:
    """How far beyond the end of an order its pulse is over and measured, at any sane speed."""
    return settings.offset_um + 2 * settings.margin_um + settings.min_gap_um + 1_000_000
