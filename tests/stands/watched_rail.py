"""Several cameras over one rail and the actuators they order, micrometre by micrometre.

The loop, the bridge's door and what decides below it are the real ones; the desk has no thread, and
its ledger no disk. Beside them the rule itself is followed slowly: a micrometre may go by an
actuator that lets go only if every camera that watches it has let it by before it came, and none
has ordered it to leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from edge.bridge import Beating, Bridge
from edge.bridge.rails import Rails, rail_of
from edge.bridge.rounds import Rounds
from edge.inspect import Inspection, run
from edge.line_file import LineSettings
from edge.types import Defect, LostFrame, State, Stretch, Verdict
from firmware_bridge.core import Actuator, ActuatorTraits, Command, Control
from firmware_bridge.desk import DeskSettings, Heartbeat, InputWatch
from firmware_bridge.desk.desk import OrderDesk
from firmware_bridge.ledger import Entry, EntryKind, Ledger, Piece, Place
from firmware_bridge.ledger.known import Known, PassedRail
from firmware_bridge.ledger.ledger_disk import Inherited
from firmware_bridge.lines import MemoryLine
from firmware_bridge.types import Mode, Reading, Switch

OFFSETS_UM = (12, 17, 23)  # of the actuators, downstream of the origin
_STEP_NS = 1_000_000  # a micrometre


class MemoryLedger(Ledger):
    """What one run leaves to the next."""

    def __init__(self, inherited: Inherited | None) -> None:
        self._left = inherited
        self._orders: dict[tuple[int | None, str | None], Entry] = {}
        self._rail = PassedRail()

    @property
    def inherited(self) -> Inherited | None:
        return self._left

    @property
    def is_unkept(self) -> bool:
        return False

    def add(self, entry: Entry) -> None:
        if entry.kind is EntryKind.ORDER:
            self._orders[entry.number, entry.actuator] = entry
        elif entry.kind in {EntryKind.FIRED, EntryKind.MISSED}:
            self._orders.pop((entry.number, entry.actuator), None)

    def know(self, piece: Piece, position_um: int) -> None:
        self._rail.add(piece)

    def begin(self, *told: object) -> None:
        """What the run before passed is still known to have been passed."""
        [*_, passed, _] = told
        assert isinstance(passed, tuple)
        for piece in passed:
            self._rail.add(piece)

    @property
    def open_orders(self) -> tuple[Entry, ...]:
        return tuple(self._orders.values())

    def leave(self, place: Place, reading: Reading) -> Inherited:
        known = Known(1, place, reading.position_um, "", reading.at_ns, self._rail.pieces())
        return Inherited(self.open_orders, known)


class StillDesk(OrderDesk):
    """Fires whenever it is told where the rail is."""

    _name = "still desk"

    def __init__(
        self, actuators: list[Actuator], ledger: MemoryLedger, place: Place, reading: Reading
    ) -> None:
        settings = DeskSettings()
        super().__init__(
            actuators, lambda: self._reading.at_ns, settings, ledger=ledger, watch=None
        )
        self._control = Control(actuators, on_missed=Mode.ORDERED, default_reject=True)
        self._reading = reading
        self._take_up(place, reading)

    def turn(self, reading: Reading) -> list[tuple[str, bool]]:
        """What is switched when the rail is there."""
        self._reading = reading
        news = self._control.advance(reading)
        self._tell(news)
        return [(each.actuator, e.active) for each in news if isinstance(e := each.event, Switch)]

    def _newest(self) -> Reading:
        return self._reading

    def _send(self, command: Command) -> None:
        self._control.take(command)

    def _check_alive(self) -> None:
        """It lives."""

    def _stop(self) -> None:
        """There is nothing to stop."""


@lru_cache(maxsize=1000)
def a_line(rejects: tuple[tuple[int, ...], ...]) -> LineSettings:
    """With so many cameras, each of which orders those actuators."""
    count = 1 + max(each for some in rejects for each in some)
    memory = {"type": "memory"}
    actuators = [
        {"name": f"a{i}", "output": memory, "offset_mm": 9, "delay_ms": 0} for i in range(count)
    ]
    camera = {"type": "synthetic", "seed": 1}
    return LineSettings.model_validate(
        {
            "name": "line",
            "bundle": "strip",
            "cameras": {
                f"c{i}": camera | {"rejects": [f"a{each}" for each in some]}
                for i, some in enumerate(rejects)
            },
            "encoder": {"type": "simulated", "speed_mm_s": 1},
            "reject": actuators[0] | {"also": actuators[1:]},
            "heartbeat": {"output": memory},
            "rules": {"reject_if": {"min_area_mm2": 0}},
        }
    )


@dataclass
class WatchedRail:
    """The line, the rail it has come along, and what the cameras said of each micrometre of it."""

    config: LineSettings
    rail_um: int = 0  # over all runs
    origin_um: int = 0  # of this run
    passed: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # by camera
    ordered: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))  # by actuator
    went_by: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _seen_um: dict[str, int] = field(default_factory=dict)  # by camera, of this run
    _frames: int = 0

    def __post_init__(self) -> None:
        self._begin(None)

    def _begin(self, inherited: Inherited | None) -> None:
        actuators = [
            Actuator(
                each.name, ActuatorTraits(offset_um=offset_um), rail_of(self.config, each.name)
            )
            for each, offset_um in zip(self.config.reject.actuators, OFFSETS_UM, strict=False)
        ]
        self._offsets_um = {each.name: each.settings.offset_um for each in actuators}
        self._ledger = MemoryLedger(inherited)
        self._place = Place("axis", self.origin_um)
        self._desk = StillDesk(actuators, self._ledger, self._place, self._reading())
        self._released = dict.fromkeys(self._offsets_um, False)
        inputs, pin = InputWatch([], [], lambda: 0), MemoryLine(lambda: 0, safe_active=None)
        beating = (Beating(pin, Heartbeat(pin), Rounds(self.config.cameras)),)
        rails = Rails(self.config)
        self._bridge = Bridge(self._desk, inputs, beating, self._reading, None, self._ledger, rails)
        self._seen_um = dict.fromkeys(self.config.cameras, 0)
        self._turn()

    def _reading(self) -> Reading:
        return Reading(self.rail_um - self.origin_um, self.rail_um * _STEP_NS)

    def move(self, by_um: int) -> None:
        """The rail goes on: what an actuator that is let go lets by must be known to be good."""
        for _ in range(by_um):
            for name, offset_um in self._offsets_um.items():
                place_um = self.rail_um - offset_um
                if self._released[name]:
                    self.went_by[name].add(place_um)
                    self._check(name, place_um)
            self.rail_um += 1
            self._turn()

    def _turn(self) -> None:
        for name, active in self._desk.turn(self._reading()):
            self._released[name] = not active

    def _check(self, actuator: str, place_um: int) -> None:
        for camera in self.config.watching(actuator):
            assert place_um in self.passed[camera], f"{camera} never passed it"
        assert place_um not in self.ordered[actuator], "it was ordered to leave"

    def see(  # noqa: PLR0917 - what a frame is
        self,
        camera: str,
        length_um: int,
        overlap_um: int,
        state: State,
        until_um: int,
        beside: Sequence[str] = (),
    ) -> None:
        """The loop deals with a camera's next frame, of rail that has come by now; of what it finds
        those `beside` have seen a part, too.
        """
        seen_um = self._seen_um[camera]
        end_um = min(seen_um + length_um, self.rail_um - self.origin_um)
        if end_um <= seen_um:
            return
        stretch = Stretch(max(0, seen_um - overlap_um), end_um)
        self._seen_um[camera] = end_um
        bad = Stretch(stretch.start_um, min(stretch.start_um + until_um, end_um))
        defect = Defect(bad, 0, 1, 1.0, 1.0, (0, 0, 1, 1))
        verdict = Verdict(state, self._frames, stretch)
        if state is State.NG:
            verdict = Verdict(state, self._frames, stretch, (defect,), rejects=(bad,))
        seen = LostFrame(self._frames, self.rail_um * _STEP_NS, stretch, "")
        inspection = Inspection(
            seen,
            verdict,
            *(None, {}, seen.captured_ns, "", camera),
            beside=dict.fromkeys(beside, (bad,)),
        )
        self._frames += 1
        run([inspection], self._bridge, self._bridge, lambda _: None, stop_at_unknown=False)
        self._note([camera, *beside], stretch, state, bad)

    def _note(self, cameras: Sequence[str], stretch: Stretch, state: State, bad: Stretch) -> None:
        def places(of: Stretch) -> range:
            return range(self.origin_um + of.start_um, self.origin_um + of.end_um)

        if state is not State.UNKNOWN:
            self.passed[cameras[0]].update(places(stretch))
        leaves = {State.OK: (), State.NG: places(bad), State.UNKNOWN: places(stretch)}[state]
        for name, offset_um in self._offsets_um.items():
            if {*cameras} & {
                *self.config.watching(name)
            }:  # what is under it already comes too late
                to_come = (each for each in leaves if each > self.rail_um - offset_um)
                self.ordered[name].update(to_come)

    def open_orders(self) -> list[str]:
        """The actuators that orders are still to come for, as often as there are some."""
        return sorted(str(each.actuator) for each in self._ledger.open_orders)

    def restart(self, went_um: int) -> None:
        """It is killed, the rail goes on with all outputs at reject, and it is started again."""
        inherited = self._ledger.leave(self._place, self._reading())
        self.rail_um += went_um
        self.origin_um = self.rail_um
        self._begin(inherited)
