"""The simulated line, inspected and rejected for real, then held against what was truly there.

The inspection never sees the truth: it is asked for only afterwards, and compared with the edges
that the reject pin made, not with what the rejector says of itself. Rail that no frame showed, up
to the first and beyond the last, is rejected for want of inspection: it is told of by itself, and
is no false reject.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from edge.assembly import Line, open_line, simulated_line
from edge.bundle import Limits
from edge.clock import clock_ns
from edge.errors import UsageError
from edge.inspect import Inspection, reject_stretches
from edge.line_file import EXAMPLES, LineSettings, SyntheticSettings
from edge.run import Tally
from edge.run.reporting import reporting
from edge.simulation import TrueDefect
from edge.types import Defect, State, Stretch, Verdict

DEMO_LINE = EXAMPLES / "demo.yaml"
_REACH_MM = 100  # beyond this no defect that begins outside the run reaches into it
_FAR_UM = 10**12
_MOST_SOUND_SHARE = 0.25  # of the rail; an output stuck at reject would hit every defect


@dataclass(frozen=True, slots=True)
class Fate:
    """What one true defect was called, if it was found, and if the actuator acted on all of it."""

    defect: TrueDefect
    found: bool
    rejected: bool
    called: str = ""  # its class as it was told; nothing where nothing was found


@dataclass(frozen=True)
class DemoResult:
    """A finished demo: what was seen, what was really there, and where the actuator acted."""

    config: LineSettings
    bundle: str
    classes: tuple[str, ...]  # that its network tells apart
    engine: str
    tally: Tally
    fates: tuple[Fate, ...]  # of the true defects above the bundle's limits
    reported: tuple[Defect, ...]  # joints, dirt: what was told and is no reason to reject
    ordered: tuple[Stretch, ...]
    pulses: tuple[Stretch, ...]  # inspected rail that was rejected, by the pin's edges
    false_pulses: tuple[Stretch, ...]
    sound_mm: float  # of it, near no true defect
    uninspected_mm: float  # rail that no frame showed, before the first and after the last
    rail_mm: float
    orders: int
    fired: int
    missed: int
    error_mm_max: float

    @property
    def passed(self) -> bool:
        """Every true defect above the limits was rejected within tolerance, and little else."""
        all_rejected = all(fate.rejected for fate in self.fates)
        return all_rejected and self.sound_mm <= _MOST_SOUND_SHARE * self.rail_mm

    def summary(self) -> dict[str, Any]:
        """The object that `trackside demo --json` prints."""
        states = self.tally.states
        return {
            "passed": self.passed,
            "frames": self.tally.frames,
            "ok": states[State.OK],
            "ng": states[State.NG],
            "unknown": states[State.UNKNOWN],
            "defects_true": len(self.fates),
            "defects_found": sum(fate.found for fate in self.fates),
            "defects_rejected": sum(fate.rejected for fate in self.fates),
            "defects_called": dict(Counter(each.called for each in self.fates if each.found)),
            "defects_named_right": self._named_right(),
            "only_reported": dict(Counter(each.label for each in self.reported)),
            "false_rejects": len(self.false_pulses),
            "sound_rail_rejected_mm": round(self.sound_mm, 1),
            "uninspected_rail_rejected_mm": round(self.uninspected_mm, 1),
            "rejects_scheduled": self.orders,
            "rejects_fired": self.fired,
            "rejects_missed": self.missed,
            "reject_error_mm_max": round(self.error_mm_max, 3),
            "tolerance_mm": self.config.reject.tolerance_mm,
            "speed_mm_s": self.config.encoder.speed_mm_s,
            "latency_ms": self.tally.latency_ms(),
            "engine": self.engine,
            "bundle": self.bundle,
        }

    def _named_right(self) -> int | None:
        """None where the network has other names for what the simulator makes."""
        if not {fate.defect.kind for fate in self.fates} <= set(self.classes):
            return None
        return sum(fate.called == fate.defect.kind for fate in self.fates)


def run_demo(
    config: LineSettings, seconds: float, watch: Callable[[Line, Tally], None] | None = None
) -> DemoResult:
    """Run a simulated line for so many seconds of rail; `watch` is given the live line, and what
    its file asks to be told (`web`, `metrics`, `mqtt`) is told.

    UsageError for a camera whose truth is not known, or that runs freely; else as `open_line` and
    `Line.run`.
    """
    camera = config.lookout().camera
    if not isinstance(camera, SyntheticSettings):
        raise UsageError("the demo knows the truth only of a synthetic camera: use `trackside run`")
    if camera.fps is not None:
        raise UsageError("the demo lays its frames end to end: leave the camera's fps out")
    frame_um = camera.height_px * camera.um_per_px
    frames = math.ceil(seconds * config.encoder.speed_mm_s * 1000 / frame_um)
    tally, verdicts = Tally(), []

    with open_line(config, frames=frames) as line, reporting(line) as report:

        def record(inspection: Inspection) -> None:
            report(inspection)
            tally.add(inspection)
            verdicts.append(inspection.verdict)

        if watch is not None:
            watch(line, tally)
        line.run(record)
        line.wait_for(frames * frame_um + round(config.reject.offset_mm * 1000) + frame_um)
        return _hold_against_truth(line, tally, verdicts, frames * camera.height_px)


def _hold_against_truth(line: Line, tally: Tally, verdicts: list[Verdict], rows: int) -> DemoResult:
    config, reject, limits = line.config, line.config.reject, line.bundle.manifest.limits
    camera = config.lookout().camera
    assert isinstance(camera, SyntheticSettings)
    simulated = simulated_line(camera)
    margin_um, tolerance_um = round(reject.margin_mm * 1000), round(reject.tolerance_mm * 1000)
    reach_rows = round(_REACH_MM * 1000 / camera.um_per_px)
    around = simulated.true_defects(-reach_rows, rows + reach_rows)
    near = [defect.stretch.widened(margin_um + tolerance_um) for defect in around]
    truth = [d for d in simulated.true_defects(0, rows) if _is_above(limits, d)]
    ordered = [stretch for verdict in verdicts for stretch in reject_stretches(verdict)]
    rail = Stretch(0, rows * camera.um_per_px)
    rejected, report = pulses_on_rail(line), line.report()
    unseen = [Stretch(-_FAR_UM, rail.start_um), Stretch(rail.end_um, _FAR_UM)]
    # Rail that nobody saw is rejected, and for safety a margin beyond it.
    near += (stretch.widened(margin_um + tolerance_um) for stretch in unseen)
    pulses = tuple(
        Stretch(max(pulse.start_um, rail.start_um), min(pulse.end_um, rail.end_um))
        for pulse in rejected
        if _uncovered_um([pulse], near[-2:])
    )
    return DemoResult(
        config=config,
        bundle=line.bundle.manifest.name,
        classes=tuple(line.bundle.manifest.classes),
        engine=line.engine.name,
        tally=tally,
        fates=_fates(truth, verdicts, [p.widened(tolerance_um) for p in rejected]),
        reported=tuple(_as_told_last(each for v in verdicts for each in v.reported)),
        ordered=tuple(ordered),
        pulses=pulses,
        false_pulses=tuple(p for p in pulses if not any(p.overlaps(s) for s in near)),
        sound_mm=_uncovered_um(pulses, near) / 1000,
        uninspected_mm=_uncovered_um(rejected, [rail]) / 1000,
        rail_mm=rail.length_mm,
        orders=report.ordered,
        fired=report.fired,
        missed=report.missed,
        error_mm_max=_error_um_max(ordered, pulses, margin_um) / 1000,
    )


def _is_above(limits: Limits, defect: TrueDefect) -> bool:
    extent_mm = max(defect.width_mm, defect.stretch.length_mm)
    return limits.reached_by(defect.area_mm2, extent_mm)


def pulses_on_rail(line: Line) -> tuple[Stretch, ...]:
    """Which rail was under the actuator while it rejected, from the pin's edges alone: from the
    first time that it does on.
    """
    reject = line.config.reject
    delay_ns, offset_um = round(reject.delay_ms * 1e6), round(reject.offset_mm * 1000)

    def place_um(at_ns: int) -> int:
        return line.rehearsal.encoder.position_um(at_ns) - offset_um

    edges = line.rehearsal.reject_pin.history[:]
    starts = [at_ns for at_ns, active in edges if active]
    ends = [*(at_ns for at_ns, active in edges if not active), clock_ns()]
    acted = ((start + delay_ns, end) for start, end in zip(starts, ends, strict=False))
    return tuple(Stretch(place_um(start), place_um(end)) for start, end in acted if start < end)


def _fates(
    truth: list[TrueDefect], verdicts: list[Verdict], reached: list[Stretch]
) -> tuple[Fate, ...]:
    """A defect is found where a verdict has one; rejecting what was UNKNOWN finds nothing."""
    told = _as_told_last(each for verdict in verdicts for each in verdict.defects)
    fates = []
    for defect in truth:
        there = [each for each in told if each.stretch.overlaps(defect.stretch)]
        largest = max(there, key=lambda each: each.area_mm2, default=None)
        rejected = _uncovered_um([defect.stretch], reached) == 0
        called = "" if largest is None else largest.label
        fates.append(Fate(defect, largest is not None, rejected, called))
    return tuple(fates)


def _as_told_last(told: Iterable[Defect]) -> list[Defect]:
    """Each thing once, as it is known after its last frame."""
    last: dict[int, Defect] = {}
    for each in told:
        for number in each.absorbed:
            last.pop(number, None)
        last[each.number] = each
    return list(last.values())


def _error_um_max(ordered: list[Stretch], pulses: tuple[Stretch, ...], margin_um: int) -> int:
    """The furthest that a pulse began from where its first order, led by the margin, begins."""
    errors = [0]
    for pulse in pulses:
        starts = [o.start_um - margin_um for o in ordered if pulse.overlaps(o)]
        if starts:
            errors.append(abs(pulse.start_um - min(starts)))
    return max(errors)


def _uncovered_um(stretches: Sequence[Stretch], by: Sequence[Stretch]) -> int:
    """How much of some stretches is under none of the others."""
    bare = [piece for stretch in stretches for piece in stretch.without(by)]
    return sum(piece.end_um - piece.start_um for piece in bare)
