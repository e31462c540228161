"""A recorded rail and the actuators along it: what each would have rejected of it."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from edge.bridge.rails import Rails, rail_of
from edge.bridge.wires import actuator_traits
from edge.line_file import LineSettings
from edge.types import Stretch
from firmware_bridge.core import ActuatorTraits, Tracker
from firmware_bridge.types import SECOND_NS, Order, Pulse, Reading

STEP_NS = 1_000_000  # between two readings of the encoder


class RecordedRail:
    """The rail as it moved, evenly between two places that were noted, by their times."""

    def __init__(self, config: LineSettings, places_um: Mapping[int, int], from_ns: int) -> None:
        self._readings = [Reading(places_um[at_ns], at_ns) for at_ns in sorted(places_um)]
        if len(self._readings) == 1:
            [only] = self._readings
            a_second_on = only.position_um + round(config.encoder.speed_mm_s * 1000)
            self._readings.append(Reading(a_second_on, only.at_ns + SECOND_NS))
        self._now_ns = from_ns
        self._settings = {each.name: actuator_traits(each) for each in config.reject.actuators}
        self._rails = Rails(config)
        self._trackers = {
            name: Tracker(settings, default_reject=True)
            for name, settings in self._settings.items()
        }
        self._serving = defaultdict[str, list[Tracker]](list)
        for name, tracker in self._trackers.items():
            self._serving[rail_of(config, name)].append(tracker)
        self.rejects: dict[str, list[tuple[int, int]]] = {name: [] for name in self._trackers}

    def order(self, cameras: Sequence[str], stretch: Stretch, tag: str, at_ns: int) -> None:
        """Have all actuators that these cameras order reject this, at a moment of the recording."""
        self._advance(at_ns)
        for rail in self._rails.watched_by(cameras):
            for tracker in self._serving[rail]:
                tracker.order(Order(stretch.start_um, stretch.end_um, tag, rail))

    def let_by(self, camera: str, stretch: Stretch, tag: str, at_ns: int) -> None:
        """A camera has let this by, at a moment of the recording."""
        self._advance(at_ns)
        for rail, cleared in self._rails.let_by(camera, stretch):
            for tracker in self._serving[rail]:
                tracker.let_pass(Order(cleared.start_um, cleared.end_um, tag, rail))

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


def _reach_um(settings: ActuatorTraits) -> int:
    """How far beyond the end of an order its pulse is over and measured, at any sane speed."""
    return settings.offset_um + 2 * settings.margin_um + settings.min_gap_um + 1_000_000
