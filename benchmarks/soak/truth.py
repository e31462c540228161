"""Whether every true defect of a rail was rejected: the simulator's truth against the pin's edges.

What is asked here is asked of one rail: a line with its camera alone, and the evidence of that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.soak.evidence import Evidence, Told
from edge.assembly import simulated_line
from edge.inspect import Inspector, reject_stretches
from edge.line_file import LineSettings, Quality, SyntheticSettings
from edge.network import Network, load_network
from edge.simulation import SimulatedLine, TrueDefect
from edge.types import Frame, State, Stretch, unite

_LONGEST_UM = 200_000  # no defect is longer
_END_OF_RAIL_UM = 10**15
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fate:
    """One true defect above the bundle's limits, and what of it was not rejected."""

    defect: TrueDefect
    bare: tuple[Stretch, ...]
    seen_at_leisure: bool  # the network names something of what is bare when it is shown it again


def fates(config: LineSettings, evidence: Evidence) -> list[Fate]:
    """Of all true defects that were inspected and have passed the actuator."""
    told = evidence.verdicts()
    if not told or evidence.rail_ns is None:
        return []
    line = _rail(config)
    network = load_network(config.engine, config.bundle)
    try:
        limits = network.bundle.manifest.limits
        looked = Stretch(told[0].stretch.start_um, passed_um(config, evidence))
        rows = [place // line.um_per_px for place in (looked.start_um, looked.end_um)]
        tolerance_um = round(config.reject.tolerance_mm * 1000)
        covers = _Covers([p.widened(tolerance_um) for p in pulses(config, evidence)])
        found = []
        for defect in line.true_defects(*rows):
            extent_mm = max(defect.width_mm, defect.stretch.length_mm)
            if defect.area_mm2 < limits.min_area_mm2 or extent_mm < limits.min_extent_mm:
                continue
            bare = tuple(defect.stretch.without(covers.near(defect.stretch)))
            seen = bool(bare) and _sees(config, network, told, bare)
            found.append(Fate(defect, bare, seen))
        return found
    finally:
        network.engine.close()


def _rail(config: LineSettings) -> SimulatedLine:
    camera = config.lookout().camera
    assert isinstance(camera, SyntheticSettings)  # of which alone the truth is known
    return simulated_line(camera)


def pulses(config: LineSettings, evidence: Evidence) -> list[Stretch]:
    """The rail under the actuator while it acted, by the pin's edges and the rail's speed alone."""
    reject = config.reject
    delay_ns, offset_um = round(reject.delay_ms * 1e6), round(reject.offset_mm * 1000)
    found, begun_um = [], None
    # The pin is at reject until the first release, which says that somebody inspects.
    for at_ns, active in evidence.reject_edges[1:]:
        if active:
            begun_um = _place_um(config, evidence, at_ns + delay_ns) - offset_um
        elif begun_um is not None:
            end_um = _place_um(config, evidence, at_ns) - offset_um
            found.append(Stretch(begun_um, max(begun_um, end_um)))
            begun_um = None
    if begun_um is not None:  # it was left at reject
        found.append(Stretch(begun_um, _END_OF_RAIL_UM))
    return found


def sound_share(config: LineSettings, evidence: Evidence, rail: Stretch | None = None) -> float:
    """Of the rail, or some of it: what was rejected near no true defect and though somebody could
    look.
    """
    told = evidence.verdicts()
    if not told:
        return 0.0
    rail = rail or Stretch(told[0].stretch.start_um, told[-1].stretch.end_um)
    line = _rail(config)
    margin_um = round((config.reject.margin_mm + config.reject.tolerance_mm) * 1000)
    rows = [place // line.um_per_px for place in (rail.start_um - _LONGEST_UM, rail.end_um)]
    wanted = [defect.stretch for defect in line.true_defects(*rows)]
    wanted += [each.stretch for each in told if each.state is State.UNKNOWN]
    spared = _Covers([each.widened(margin_um) for each in wanted])
    sound_um = 0
    for pulse in pulses(config, evidence):
        on_rail = Stretch(max(pulse.start_um, rail.start_um), min(pulse.end_um, rail.end_um))
        sound_um += sum(s.end_um - s.start_um for s in on_rail.without(spared.near(on_rail)))
    return sound_um / (rail.end_um - rail.start_um)


class _Covers:
    """Stretches, asked for by place."""

    def __init__(self, stretches: Sequence[Stretch]) -> None:
        self._united = unite(stretches)
        self._ends_um = [each.end_um for each in self._united]

    def near(self, stretch: Stretch) -> list[Stretch]:
        first = bisect_left(self._ends_um, stretch.start_um)
        found = []
        for each in self._united[first:]:
            if each.start_um >= stretch.end_um:
                break
            found.append(each)
        return found


def _place_um(config: LineSettings, evidence: Evidence, at_ns: int) -> int:
    assert evidence.rail_ns is not None
    return round((at_ns - evidence.rail_ns) * config.encoder.speed_mm_s * 1000 / _NS)


def went_by(config: LineSettings, evidence: Evidence, begin_ns: int, end_ns: int) -> Stretch:
    """What went by the actuator meanwhile."""
    offset_um = round(config.reject.offset_mm * 1000)
    start_um, end_um = (_place_um(config, evidence, at_ns) for at_ns in (begin_ns, end_ns))
    return Stretch(start_um - offset_um, end_um - offset_um)


def passed_um(config: LineSettings, evidence: Evidence) -> int:
    """What has gone by the actuator when the line was told to stop."""
    end_um = _place_um(config, evidence, evidence.ended_ns)
    return end_um - round((config.reject.offset_mm + config.reject.margin_mm) * 1000)


def _sees(
    config: LineSettings, network: Network, told: Sequence[Told], bare: Sequence[Stretch]
) -> bool:
    """Whether the network, shown the same frames as the line, orders any of what is bare."""
    line = _rail(config)
    # One of its own, because an inspector orders no rail twice.
    inspector = Inspector(network, config.rules, Quality(stale_after_ms=3_600_000), lambda: 0)
    whole = Stretch(bare[0].start_um, bare[-1].end_um).widened(_LONGEST_UM)
    ends_um = [each.stretch.end_um for each in told]
    ordered: list[Stretch] = []
    for each in told[bisect_left(ends_um, whole.start_um) :]:
        if each.stretch.start_um >= whole.end_um:
            break
        row = round(each.stretch.start_um / line.um_per_px)
        rows = round((each.stretch.end_um - each.stretch.start_um) / line.um_per_px)
        image, _ = line.render(row, rows)
        frame = Frame(each.frame, image, 0, each.stretch, line.um_per_px)
        ordered += reject_stretches(inspector.inspect(frame).verdict)
    return any(piece.overlaps(stretch) for piece in bare for stretch in ordered)
