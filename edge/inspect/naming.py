"""What a line makes of the classes that its network tells apart: names, codes, what only reports.

A name decides nothing by itself: whatever is found is a defect, but for what the line only reports.
A place is as surely a defect as it is found and is none of that, and this is held to the threshold:
what is half dirt passes, and on track that finds as much at half the false alarms (docs/rail.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Manifest
from edge.errors import ConfigurationError
from edge.line_file import Rules
from edge.network import SURELY_SOUND
from edge.types import Defect, Mask, sigmoid


@dataclass(frozen=True)
class Naming:
    """Of one line with one network."""

    report_only: frozenset[str] = frozenset()
    unsure_below: float = 0.0
    codes: Mapping[str, str] = field(default_factory=dict)  # class -> what the operator calls it

    def named(self, found: Defect, shares_mm2: Mapping[str, float]) -> Defect:
        """By the class with the greatest share; by none where that is small, or there are none."""
        if not shares_mm2:
            return found
        name, whole_mm2 = max(shares_mm2, key=shares_mm2.__getitem__), sum(shares_mm2.values())
        share = min(shares_mm2[name] / whole_mm2, 1.0) if whole_mm2 > 0 else 0.0
        if whole_mm2 <= 0 or share < self.unsure_below:
            return replace(found, class_score=share)
        return replace(found, class_name=name, class_score=share, code=self.codes.get(name))

    def named_defect(self, found: Defect, shares_mm2: Mapping[str, float]) -> Defect:
        """Among the defects: that it is none of what is only reported has been decided."""
        shares = {name: mm2 for name, mm2 in shares_mm2.items() if name not in self.report_only}
        return self.named(found, shares)


NAMELESS = Naming()


def naming_of(rules: Rules, manifest: Manifest) -> Naming:
    """The line's word before the bundle's."""
    names = manifest.names
    if names is None:
        return NAMELESS
    report_only = names.report_only if rules.report_only is None else rules.report_only
    return Naming(frozenset(report_only), names.unsure_below, rules.codes)


def check_classes(rules: Rules, manifest: Manifest) -> None:
    """ConfigurationError where the line file names classes that would never be found."""
    known = manifest.classes if manifest.names is not None else []
    for key, classes in rules.named:
        for name in classes:
            if name in known:
                continue
            near = get_close_matches(name, known, 1)
            raise ConfigurationError(
                f"{key}: `{name}` is no class of the bundle {manifest.name}, which names "
                + (f"{', '.join(known)}: " if known else "none: leave it out, or ")
                + (f"did you mean `{near[0]}`?" if near else "give a bundle that names it")
            )
    if rules.sound_above is not None and not (manifest.names and manifest.names.sound):
        raise ConfigurationError(
            f"rules.sound_above: the bundle {manifest.name} does not say of a picture that it is "
            "sound: leave it out, or give a bundle that does, such as one of DMS"
        )
    report_only = naming_of(rules, manifest).report_only
    if known and report_only.issuperset(known):
        raise ConfigurationError(
            "rules.report_only: all classes of the bundle are only reported, so that nothing is "
            "ever rejected: leave out those that are defects"
        )
    if (why := rules.never_matching(report_only)) is not None:
        raise ConfigurationError(f"rules.{why}")


def rejecting(mask: Mask, naming: Naming) -> Mask | None:
    """What rejects by itself: as surely found as it is none of the classes that are only reported.

    None where nothing is only reported, and where nothing rejects.
    """
    names = mask.names
    if names is None or naming.report_only.isdisjoint(names.classes):
        return None
    rows, columns = np.nonzero(mask.binary)
    reported = [at for at, name in enumerate(names.classes) if name in naming.report_only]
    share = _at(names.shares[reported].sum(axis=0), rows, columns, mask.logits.shape)
    found = mask.logits[rows, columns]
    rejects = sigmoid(found) * (1 - share) > mask.cut
    if not rejects.any():
        return None
    rows, columns = rows[rejects], columns[rejects]
    logits = np.full_like(mask.logits, SURELY_SOUND)
    logits[rows, columns] = found[rejects]
    return replace(mask, logits=logits)


def _at(
    plane: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    size: tuple[int, ...],
) -> NDArray[np.float64]:
    """A coarse h,w map at some pixels of a frame: linear, with half-pixel centres."""
    (top, below, down), (left, right, across) = (
        _between(places, cells, pixels)
        for places, cells, pixels in zip((rows, columns), plane.shape, size, strict=True)
    )
    upper = plane[top, left] * (1 - across) + plane[top, right] * across
    lower = plane[below, left] * (1 - across) + plane[below, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float64)


def _between(
    places: NDArray[np.intp], cells: int, pixels: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """The cells before and after each place, and how far it is from the first to the second."""
    at = ((places + 0.5) * (cells / pixels) - 0.5).clip(0, cells - 1)
    before = at.astype(np.intp)
    return before, np.minimum(before + 1, cells - 1), at - before
