"""Whether masks can teach a network anything: what training refuses, `data check` finds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

MOST_MARKED = 0.5  # of the usual picture with a defect: more is sound surface, not defect
LEAST_DEFECTIVE = 10  # pictures to train on: what fewer teach cannot be relied on


def fault_of(shares: Sequence[float]) -> tuple[str, str] | None:
    """What is wrong with all of them together, by the kind of finding; shares are of the pixels
    that each image's mask marks.
    """
    marked = [share for share in shares if share]
    if not marked:
        return "no_defect", f"none of {len(shares)} images to train on has anything marked"
    if (usual := median(marked)) > MOST_MARKED:
        return "inverted", f"the usual mask marks {usual:.0%} of its image"
    return None
