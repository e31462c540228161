"""What became of a demo's defects, in words: one line each, for terminal and page."""

from __future__ import annotations

from collections.abc import Mapping

from edge.demo.demo import DemoResult, Fate
from edge.simulation import TrueDefect
from edge.types import Defect, Stretch


def headline(result: DemoResult) -> str:
    """The verdict on the run, in one line."""
    true, rejected = len(result.fates), sum(each.rejected for each in result.fates)
    if not true:
        said = "no true defect came by"
    else:
        said = (
            f"{rejected} of {true} true defects rejected "
            f"within {result.config.reject.tolerance_mm:g} mm"
        )
    if rejected < true:
        said += f": {true - rejected} got away"
    if false := len(result.false_pulses):
        said += f", {false} false reject{'s' if false > 1 else ''}"
    return said


def counted(classes: Mapping[str, int]) -> str:
    """How many of each class, in one line."""
    return ", ".join(f"{count} {name}" for name, count in sorted(classes.items()))


def what_happened(fate: Fate) -> str:
    """A true defect and its fate, in one line."""
    defect = fate.defect
    return f"{defect.kind} at {place(defect.stretch)}, {size(defect)}: {told(fate)}"


def told(fate: Fate) -> str:
    if fate.rejected:
        return "rejected"
    return "found, but not rejected in full" if fate.found else "not found"


def place(stretch: Stretch) -> str:
    return f"{stretch.start_um / 1e6:.3f} m"


def size(defect: TrueDefect) -> str:
    length_mm = defect.stretch.length_mm
    return f"{length_mm:.0f} by {defect.width_mm:.0f} mm, {defect.area_mm2:.0f} mm²"


def length(stretch: Stretch) -> str:
    return f"{stretch.length_mm:.0f} mm long"


def found_as(defect: Defect) -> str:
    said = f"{defect.said}: " if defect.said else ""
    return (
        f"{said}{defect.length_mm:.0f} by {defect.width_mm:.0f} mm, {defect.area_mm2:.0f} mm², "
        f"score {defect.score:.2f}"
    )
