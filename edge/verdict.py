"""From a mask to what is decided: defects in millimetres, and OK or NG by the line's rules."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from edge.manifest import Limits
from edge.rules import Rules
from edge.types import Defect, Frame, LostFrame, Mask, State, Stretch, Verdict, sigmoid

_METRE_UM = 1_000_000


def find_defects(mask: Mask, frame: Frame, limits: Limits) -> list[Defect]:
    """The connected pieces of a mask that are at least as large as the bundle is good for."""
    binary = mask.binary.view(np.uint8)
    left, top, columns, rows = cv2.boundingRect(binary)  # most frames hold nothing, or little
    if rows == 0:
        return []
    window = np.s_[top : top + rows, left : left + columns]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary[window], connectivity=8)
    found = []
    for label in range(1, count):  # 0 is the background
        x, y, width, height, area = (int(v) for v in stats[label])
        if not _is_above(limits, frame, width, height, area):
            continue
        box = np.s_[y : y + height, x : x + width]
        logits = mask.logits[window][box][labels[box] == label]
        x, y = left + x, top + y
        found.append(
            Defect(
                stretch=Stretch(_row_um(frame, y), _row_um(frame, y + height)),
                left_um=round(x * frame.across_um),
                right_um=round((x + width) * frame.across_um),
                area_mm2=_area_mm2(frame, area),
                score=float(sigmoid(logits).mean()),
                box_px=(x, y, width, height),
            )
        )
    return found


def _is_above(limits: Limits, frame: Frame, width: int, height: int, area: int) -> bool:
    extent_mm = max(width * frame.across_um, height * frame.along_um) / 1000
    return _area_mm2(frame, area) >= limits.min_area_mm2 and extent_mm >= limits.min_extent_mm


def _area_mm2(frame: Frame, pixels: int) -> float:
    return pixels * frame.along_um * frame.across_um / 1e6


def _row_um(frame: Frame, row: int) -> int:
    return round(frame.stretch.start_um + row * frame.along_um)


@dataclass
class Judge:
    """Applies the rules frame by frame; remembers the last metre for the count per metre."""

    rules: Rules
    _recent_um: deque[int] = field(default_factory=deque)

    def judge(self, frame: Frame, defects: list[Defect]) -> Verdict:
        """OK or NG; the verdict's defects are those that make it NG."""
        counting = tuple(d for d in defects if self.rules.reject_if.matches(d))
        reasons = tuple(
            f"{d.area_mm2:.0f} mm2, {d.length_mm:.0f} mm long, score {d.score:.2f}"
            for d in counting
        )
        crowd = self._count_last_metre(frame, defects)
        if self.rules.max_per_metre is not None and crowd > self.rules.max_per_metre:
            counting = tuple(defects)
            reasons = (*reasons, f"{crowd} defects in the last metre")
        state = State.NG if counting else State.OK
        return Verdict(state, frame.index, frame.stretch, counting, reasons if counting else ())

    def _count_last_metre(self, frame: Frame, defects: list[Defect]) -> int:
        self._recent_um.extend(d.stretch.start_um for d in defects)
        while self._recent_um and self._recent_um[0] < frame.stretch.end_um - _METRE_UM:
            self._recent_um.popleft()
        return len(self._recent_um)


def unknown(seen: Frame | LostFrame, reasons: tuple[str, ...]) -> Verdict:
    """The verdict on a stretch that nobody could look at."""
    return Verdict(State.UNKNOWN, seen.index, seen.stretch, reasons=reasons)


def reject_stretches(verdict: Verdict) -> tuple[Stretch, ...]:
    """What must leave the line: each defect of an NG frame, the whole of an UNKNOWN one."""
    if verdict.state is State.UNKNOWN:
        return (verdict.stretch,)
    return tuple(defect.stretch for defect in verdict.defects)
