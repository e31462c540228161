"""The firmware against physics: a rail that speeds up and brakes, a coil that rises late.

The judge knows no rule of the tracker, only which rail lay under the acting coil.
TRACKSIDE_ORACLE_HISTORIES=5000 lets it see that many histories of each kind.
"""

from __future__ import annotations

import ctypes
import os
import random
from dataclasses import dataclass, field

import pytest

from firmware_bridge.board.answers import BoardEvent, EventKind, Refusal
from firmware_bridge.board.requests import Kind
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.core.motion import SPEED_WINDOW_NS
from firmware_bridge.types import SECOND_NS
from stands.firmware_core import Core, Rail

MS = 1_000_000
MM = 1_000
HISTORIES = int(os.environ.get("TRACKSIDE_ORACLE_HISTORIES", "30"))
SEGMENT_NS = MS  # at one speed
SEGMENTS = 1_200
REACH_UM_S2 = 20_000_000  # how quickly the rail's speed may change: 2 g
Stretch = tuple[int, int]


@dataclass
class Line:
    """A line drawn at random, and what happened on it."""

    chance: random.Random
    settings: ActuatorTraits
    nm_per_count: int
    turn_ns: int
    fastest_um_s: int
    may_back_up: bool
    path: list[tuple[int, int]] = field(default_factory=list)  # at_ns, place_um: a corner each
    switched: list[tuple[int, bool]] = field(default_factory=list)
    given: dict[int, tuple[Stretch, int]] = field(default_factory=dict)  # and where the rail was
    events: list[BoardEvent] = field(default_factory=list)

    @property
    def blur_um(self) -> int:
        """What a place that the board tells may be wrong by: two counts, and two turns."""
        turns_um = 2 * self.fastest_um_s * self.turn_ns // SECOND_NS
        return 2 * self.nm_per_count // 1000 + turns_um + 2

    @property
    def margin_um(self) -> int:
        """As PROTOCOL.md has it, for a rail that speeds up and brakes."""
        delay_ns = self.settings.delay_ns
        counts = self.nm_per_count * (2 + delay_ns / SPEED_WINDOW_NS) / 1000
        turns_um = 2 * self.fastest_um_s * self.turn_ns / SECOND_NS
        window_s = (delay_ns + SPEED_WINDOW_NS + 2 * SEGMENT_NS) / SECOND_NS
        return int(counts + turns_um + REACH_UM_S2 * delay_ns / SECOND_NS * window_s / 2) + 2

    def place_um(self, at_ns: int) -> int:
        """Where the rail truly was, between two corners of its path."""
        low, high = 0, len(self.path) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.path[middle][0] <= at_ns else (low, middle)
        (a_ns, a_um), (b_ns, b_um) = self.path[low], self.path[high]
        at_ns = min(max(at_ns, a_ns), b_ns)
        return a_um + (b_um - a_um) * (at_ns - a_ns) // max(b_ns - a_ns, 1)

    def covered(self) -> list[Stretch]:
        """The rail that lay under the acting coil: it rises late, and falls at once."""
        stretches, on_ns = [], None
        for at_ns, rejects in [*self.switched, (self.path[-1][0], False)]:
            if rejects:
                on_ns = at_ns
            elif on_ns is not None:
                acts_ns = on_ns + (self.settings.delay_ns if on_ns else 0)
                if acts_ns < at_ns:
                    corners = [um for t, um in self.path if acts_ns < t < at_ns]
                    places = [self.place_um(acts_ns), *corners, self.place_um(at_ns)]
                    stretches.append((min(places), max(places)))
                on_ns = None
        return merged(stretches)


def merged(stretches: list[Stretch], gap_um: int = 0) -> list[Stretch]:
    joined: list[Stretch] = []
    for start_um, end_um in sorted(stretches):
        if joined and start_um <= joined[-1][1] + gap_um:
            joined[-1] = joined[-1][0], max(joined[-1][1], end_um)
        else:
            joined.append((start_um, end_um))
    return joined


def outside(stretch: Stretch, of: list[Stretch]) -> list[Stretch]:
    """What of it none of the others covers."""
    left, at_um = [], stretch[0]
    for start_um, end_um in of:
        if start_um > at_um:
            left.append((at_um, min(start_um, stretch[1])))
        at_um = max(at_um, end_um)
        if at_um >= stretch[1]:
            break
    else:
        left.append((at_um, stretch[1]))
    return [(a, b) for a, b in left if a < b]


def draw_line(chance: random.Random, *, may_back_up: bool) -> Line:
    line = Line(
        chance,
        ActuatorTraits(0),
        nm_per_count=chance.choice([997, 5_000, 25_000, 104_713]),
        turn_ns=chance.choice([20_000, 50_000, 200_000]),
        fastest_um_s=chance.choice([80, 500, 2_000]) * MM,
        may_back_up=may_back_up,
    )
    delay_ns = chance.choice([0, 3 * MS, 11 * MS, 20 * MS])
    line.settings = ActuatorTraits(chance.choice([0, 30 * MM]), delay_ns=delay_ns)
    line.settings = ActuatorTraits(
        line.settings.offset_um, delay_ns=delay_ns, margin_um=line.margin_um
    )
    return line


def run(library: ctypes.CDLL, line: Line, *, default_reject: bool = False) -> None:
    """Let the line run, with orders at random, many of them too late, until all has gone by."""
    chance, core = line.chance, Core(library)
    rail = Rail(0, line.nm_per_count, 0, True)
    core.roll(rail, 0, line.turn_ns, 1)
    core.open(line.settings, nm_per_count=line.nm_per_count, default_reject=default_reject)
    line.path.append((rail.now_ns, -line.settings.offset_um))
    speed_um_s = chance.randrange(line.fastest_um_s)
    rail.rejects = default_reject
    if default_reject:
        line.switched.append((0, True))
    lowest_um_s = -line.fastest_um_s // 8 if line.may_back_up else line.fastest_um_s // 20
    furthest_um = 0
    for i in range(SEGMENTS * 3):
        ends = i >= SEGMENTS
        if ends and line.path[-1][1] > furthest_um + 5 * line.margin_um:
            break
        step_um_s = REACH_UM_S2 * SEGMENT_NS // SECOND_NS
        speed_um_s += chance.randint(0 if ends else -step_um_s, step_um_s)
        speed_um_s = max(lowest_um_s, min(line.fastest_um_s, speed_um_s))
        line.switched += core.roll(rail, speed_um_s, line.turn_ns, SEGMENT_NS // line.turn_ns)
        line.path.append((rail.now_ns, rail.position_nm // 1000 - line.settings.offset_um))
        if not ends and chance.random() < 0.03:
            furthest_um = max(furthest_um, give(line, core, default_reject=default_reject))
        if i % 20 == 0:
            line.events += core.events()
    line.events += core.events()


def give(line: Line, core: Core, *, default_reject: bool) -> int:
    chance, place_um = line.chance, line.path[-1][1]
    start_um = place_um + chance.randrange(-20, 200) * line.fastest_um_s // 2_000
    stretch = start_um, start_um + chance.randrange(1, 40) * line.fastest_um_s // 1_000
    kind = Kind.PASS if default_reject and chance.random() < 0.7 else Kind.ORDER
    if core.order(*stretch, kind) is Refusal.NONE:
        number = -core.orders if kind is Kind.PASS else core.orders
        line.given[number] = stretch, place_um
    return stretch[1]


@pytest.mark.parametrize("may_back_up", [False, True])
def test_what_is_said_of_each_order_is_what_lay_under_the_coil(
    library: ctypes.CDLL, may_back_up: bool
) -> None:
    for seed in range(HISTORIES):
        line = draw_line(random.Random(seed), may_back_up=may_back_up)
        run(library, line)
        covered, blur_um = line.covered(), line.blur_um
        outcomes = [event for event in line.events if event.order]
        assert sorted(event.order for event in outcomes) == sorted(line.given), seed
        for event in outcomes:
            (start_um, end_um), at_um = line.given[event.order]
            bare_um = sum(b - a for a, b in outside((start_um, end_um), covered))
            missed_um = event.first_um if event.kind is EventKind.MISSED else 0
            assert bare_um <= missed_um + blur_um, (seed, event)
            lead_um = line.fastest_um_s * line.settings.delay_ns // SECOND_NS
            comes_in_time = at_um + lead_um + 2 * line.margin_um < start_um
            if comes_in_time and not may_back_up:
                assert (event.kind, bare_um) == (EventKind.FIRED, 0), (seed, event)
        if not may_back_up:
            expect_no_more_than_ordered(line, covered, seed)


def expect_no_more_than_ordered(line: Line, covered: list[Stretch], seed: int) -> None:
    """Beside the margins nothing is rejected, but between orders too near for the coil to fall, and
    behind one that came so late that the coil rose behind it.
    """
    beside_um = 2 * line.margin_um
    lead_um = line.fastest_um_s * line.settings.delay_ns // SECOND_NS
    ordered = [
        (a - beside_um, b + beside_um + (lead_um if at_um + lead_um + beside_um > a else 0))
        for (a, b), at_um in line.given.values()
    ]
    for stretch in covered:
        assert not outside(stretch, merged(ordered, lead_um)), (seed, stretch)


def test_no_rail_goes_by_but_what_a_pass_that_came_in_time_lets_by(library: ctypes.CDLL) -> None:
    for seed in range(HISTORIES):
        line = draw_line(random.Random(seed), may_back_up=False)
        run(library, line, default_reject=True)
        late = {
            event.order for event in line.events if event.kind is EventKind.PASS and event.reason
        }
        passes = [
            stretch
            for number, (stretch, _) in line.given.items()
            if number < 0 and -number not in late
        ]
        began_um, ended_um = line.path[0][1], line.path[-1][1]
        for start_um, end_um in outside((began_um, ended_um), line.covered()):
            inner = start_um + line.blur_um, end_um - line.blur_um
            assert inner[0] >= inner[1] or not outside(inner, merged(passes)), (seed, start_um)
