"""From run to run: the same defect found again, what has changed, and marks that come again."""

from edge.comparison.alignment import Laid, Pairs, Seen, align
from edge.comparison.comparing import GROWN, Comparison, Pair, Pass, compare, read_pass
from edge.comparison.roll_marks import RollMark, RollWatch, Spot, roll_marks, spots_of

__all__ = [
    "GROWN",
    "Comparison",
    "Laid",
    "Pair",
    "Pairs",
    "Pass",
    "RollMark",
    "RollWatch",
    "Seen",
    "Spot",
    "align",
    "compare",
    "read_pass",
    "roll_marks",
    "spots_of",
]
