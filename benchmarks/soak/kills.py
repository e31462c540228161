"""`python -m benchmarks.soak --kills N`: a line killed and started again at random moments.

In turns the line has its reject output in a thread, in a process and on a co-processor, and of one
the PLC is restarted too while it is down. After each kill it is started again at once or a moment
later. What went by the valve all the while is the judge's to say: of rail that nobody had looked at
there may be none, nor of defects that a run before had seen, while a line had the outputs.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.soak import rail_plc
from benchmarks.soak.rail_board import RailBoard
from benchmarks.soak.rail_judge import Findings, length_mm
from benchmarks.soak.rail_trial import Stand

PLACES = ("thread", "process", "PLC restarted", "board")
_LIFE_S = (0.0, 5.0)  # of a run, from when it has the rail
_DOWN_S = (0.0, 1.0)  # until it is started again
_MINUTES = 2.0  # of pictures; no run lives longer
_STARTS_S = 1  # is given to a kill before the line has the rail, now and then


@dataclass(frozen=True, slots=True)
class Killed:
    """What the judge found in one place."""

    place: str
    kills: int
    found: Findings

    @property
    def holds(self) -> bool:
        """A line that never let rail by would prove nothing."""
        return not self.found.unseen and not self.found.defects and self.found.passed_um > 0

    def row(self) -> dict[str, Any]:
        """For the record."""
        found = self.found
        return {
            "place": self.place,
            "kills": self.kills,
            "holds": self.holds,
            "unseen_mm": round(found.unseen_mm, 1),
            "defects_mm": round(length_mm(found.defects), 1),
            "defects_while_down_mm": round(length_mm(found.defects_down), 1),
            "unearned_ms": round(found.unearned_ns / 1e6, 1),
            "passed_mm": round(found.passed_um / 1000, 1),
            "carried_mm": round(found.carried_um / 1000, 1),
        }


def kill_in_turns(kills: int, seed: int, say: Callable[[str], None]) -> list[Killed]:
    """Share them out over the places."""
    share, rest = divmod(kills, len(PLACES))
    return [
        _kill(place, share + (number < rest), random.Random(f"{seed} {place}"), say)
        for number, place in enumerate(PLACES)
    ]


def _kill(place: str, kills: int, chance: random.Random, say: Callable[[str], None]) -> Killed:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trackside-kills-")))
        board = stack.enter_context(closing(RailBoard(folder))) if place == "board" else None
        reject = {"isolation": "process"} if place == "process" else {}
        stand = stack.enter_context(Stand(folder, minutes=_MINUTES, board=board, **reject))
        for number in range(kills):
            stand.start()
            if chance.random() < 0.1 or not stand.claims():
                time.sleep(chance.uniform(0, _STARTS_S))
            else:
                time.sleep(chance.uniform(*_LIFE_S))
            # Of two processes now one dies, now both; on a busy machine one may have ended before.
            stand.kill(whole=chance.random() < 0.5)
            if place == "PLC restarted" and chance.random() < 0.5:
                stand.tell(rail_plc.RESTART, 1)
            time.sleep(chance.choice([0.0, chance.uniform(*_DOWN_S)]))
            if number % 10 == 9:
                say(f"{place}: killed {number + 1} times")
        time.sleep(1)  # what still goes by
        killed = Killed(place, kills, stand.judge())
    say(str(killed.row()))
    return killed
