"""What a data set is, in the numbers that a recipe follows from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Literal

import numpy as np

from edge.errors import ConfigurationError
from reference.data import KINDS, DataReport
from reference.data.check import Seen
from reference.datasets import FREE

# What a person must mend first: everything else a recipe can be written round.
_SPOILS = ("unreadable", "no_mask", "size_mismatch", "dark_mask", "inverted")


@dataclass(frozen=True)
class Survey:
    """A data set by its numbers; pictures are those that could be read."""

    root: Path
    layout: str
    seen: Sequence[Seen]
    rows: int  # of the usual picture
    columns: int
    small_px: float  # side of a square as large as the smallest tenth of the defects
    area_px: float  # of the smallest twentieth of the defects
    extent_px: float
    mean: float  # grey, from 0 to 1
    std: float
    classes: tuple[str, ...]  # of defects, the most frequent first
    defective: int
    sound: int

    @property
    def follow(self) -> Literal["rail"] | None:
        """What the line's pictures are to be looked at along."""
        return "rail" if self.layout == "rail_defect" else None

    @property
    def has_boxes(self) -> bool:
        return any(one.sample.strength == "boxes" for one in self.seen)


def survey(report: DataReport, *, least: int) -> Survey:
    """The numbers of a data set that can be learned from, or what must be mended first."""
    spoilt = [f for f in report.findings if f.kind in _SPOILS and f.is_wrong]
    if spoilt:
        counts = Counter(finding.kind for finding in spoilt)
        said = "; ".join(f"{count} times {KINDS[kind]}" for kind, count in counts.items())
        raise ConfigurationError(f"{report.root}: {said}: `trackside data check` lists the files")
    seen = [one for one in report.seen if one.shape is not None]
    shows = Counter(name for one in seen for name in one.classes - {FREE})
    defects = np.array([pair for one in seen for pair in one.defects], float).reshape(-1, 2)
    showing = sum(one.shows_defect for one in seen)
    if showing < least or not len(defects):
        raise ConfigurationError(
            f"{report.root}: {showing} of {len(seen)} pictures show a defect where it is: label "
            f"{least} or more with masks or boxes, 100 being usual; --least tries the way with less"
        )
    rows, columns = np.median([one.looked_at for one in seen], axis=0)
    means, stds = np.array([one.light for one in seen]).T
    return Survey(
        root=report.root,
        layout=report.layout,
        seen=seen,
        rows=int(rows),
        columns=int(columns),
        small_px=sqrt(np.percentile(defects[:, 0], 10)),
        area_px=float(np.percentile(defects[:, 0], 5)),
        extent_px=float(np.percentile(defects[:, 1], 5)),
        mean=float(means.mean()),
        std=sqrt(np.mean(stds**2) + means.var()),
        classes=tuple(name for name, _ in shows.most_common()),
        defective=showing,
        sound=len(seen) - showing,
    )
