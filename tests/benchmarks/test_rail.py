"""A line on a PLC is killed, hung, started again; a judge finds in the PLC's log what went by."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from benchmarks.soak.rail_plc import HANG
from benchmarks.soak.rail_trial import SPEED_MM_S, Stand

FRAMES = 15  # 960 mm: the valve, 800 mm on, has let some rail by, and defects are on their way


def go_on(stand: Stand) -> None:
    """A run on rail that stood still until the line had looked at its encoder."""
    stand.start()
    stand.await_claim()
    stand.move(SPEED_MM_S)
    stand.await_beats(FRAMES)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_no_rail_goes_by_unseen_whatever_becomes_of_the_line(
    isolation: str, tmp_path: Path
) -> None:
    # A busy machine may keep the line from its encoder for a while.
    with Stand(tmp_path, isolation=isolation, silence_ms=3000) as stand:
        stand.start()
        stand.await_beats(FRAMES)
        stand.kill()
        stand.move(0)
        go_on(stand)
        stand.come_to_rest()  # a busy machine, too, has now looked at all before the camera
        stand.kill()
        go_on(stand)
        found = stand.judge()
        assert (found.unseen, found.defects) == ([], [])
        assert found.passed_um > found.carried_um > 100_000  # the rail that the run before had seen
        if isolation == "thread":
            stand.tell(HANG, 1)  # the bus of the reject coil
        else:
            os.kill(stand.children()[0], signal.SIGSTOP)
        stand.await_end()
        found = stand.judge()
    assert found.unseen == []
    assert found.unearned_ns == 0  # closing the line was no edge of its heartbeat
