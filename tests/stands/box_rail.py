"""The rail under the box that boots, and the judge of what went by its reject.

The rail is a ring of four metres that the shipped network sees every defect of, wherever a picture
begins. The judge goes by the pins alone: rail passes while the reject output lets it, and K1 has
power, the relay that drops when the heartbeat has had no edge for a while.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from edge.simulation import SimulatedLine
from edge.types import Image, Stretch

ROWS, COLUMNS, UM_PER_PX = 16_000, 464, 250
RING_UM = ROWS * UM_PER_PX
OFFSET_UM = 500_000  # from the camera to the valve
FRAME_UM = 352 * UM_PER_PX
RELAY_NS = 3_500_000_000
_LINE = re.compile(r"(\d+) (\d+) \((\d), (\d), (\d)\)")
_RAIL = SimulatedLine(
    1, "rail", COLUMNS, UM_PER_PX, defects_per_metre=1.0, distractors_per_metre=1.0
)


def picture() -> Image:
    """All of it, row after row."""
    return _RAIL.render(0, ROWS)[0]


@dataclass(frozen=True, slots=True)
class Told:
    """What the rig said once: where the rail is, and the levels of the line's outputs."""

    at_ns: int
    position_um: int
    lets_by: bool  # the reject output; its wire is up
    beat: bool
    runs: bool  # the stop output lets the line run


def told(text: str) -> Told:
    """A line of the rig's; ValueError where the power cut it short."""
    found = _LINE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    at_ns, position_um, *levels = map(int, found.groups())
    return Told(at_ns, position_um, *map(bool, levels))


def passed(report: Sequence[Told]) -> Iterator[Stretch]:
    """The rail that went by the valve, of one time that the box had power."""
    edge_ns = None
    for before, after in pairwise(report):
        if edge_ns is not None and before.lets_by:
            dropped_ns = edge_ns + RELAY_NS
            until = min(after.at_ns, dropped_ns)
            if until > before.at_ns:
                share = (until - before.at_ns) / (after.at_ns - before.at_ns)
                length_um = round((after.position_um - before.position_um) * share)
                start_um = before.position_um - OFFSET_UM
                if length_um:
                    yield Stretch(start_um, start_um + length_um)
        if after.beat is not before.beat:
            edge_ns = after.at_ns


def defects(start_um: int, end_um: int) -> list[Stretch]:
    """Those of the rail between two places, as often as the ring has gone round."""
    whole = [each.stretch for each in _RAIL.true_defects(0, ROWS)]
    turns = range(start_um // RING_UM - 1, end_um // RING_UM + 1)
    moved = [
        Stretch(each.start_um + turn * RING_UM, each.end_um + turn * RING_UM)
        for turn in turns
        for each in whole
    ]
    return [each for each in moved if each.start_um < end_um and start_um < each.end_um]


def got_away(report: Sequence[Told]) -> list[Stretch]:
    """Defects of which any part went by."""
    return [defect for piece in passed(report) for defect in defects(piece.start_um, piece.end_um)]


def unseen(report: Sequence[Told]) -> list[Stretch]:
    """Rail that went by though it had left the camera before the line had dealt with a picture."""
    beats = [after for before, after in pairwise(report) if after.beat is not before.beat]
    seen_um = beats[0].position_um - 2 * FRAME_UM if beats else None
    return [each for each in passed(report) if seen_um is None or each.start_um < seen_um]
