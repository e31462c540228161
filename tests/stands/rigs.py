"""Rigs on lines in memory, which a process of its own can open, and encoders that fail."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from functools import partial

from firmware_bridge.core import Actuator, ActuatorTraits
from firmware_bridge.desk import DeskSettings, Output, ProcessRejector, Rig
from firmware_bridge.errors import EncoderError, LineError
from firmware_bridge.lines import Encoder, MemoryLine, SharedHistory, SimulatedEncoder, Speed
from firmware_bridge.types import Reading

MM = 1_000
TOLERANCE_UM = 50 * MM  # 100 ms at half a metre a second
CLOCK = time.monotonic_ns
SETTINGS = ActuatorTraits(offset_um=100 * MM, margin_um=TOLERANCE_UM)


def open_rig(
    encoder: Encoder, history: SharedHistory, stack: ExitStack, *, released: bool = False
) -> Rig:
    line = stack.enter_context(MemoryLine(CLOCK, safe_active=True, history=history))
    return Rig(encoder, [Output(Actuator("reject", SETTINGS), line, released_on_close=released)])


class FailingEncoder(SimulatedEncoder):
    """An encoder whose cable is pulled out after so many readings."""

    readings_left = 300

    def read(self) -> Reading:
        self.readings_left -= 1
        if self.readings_left < 0:
            raise EncoderError("no edge from the encoder: check its cable")
        return super().read()


class StuckEncoder(FailingEncoder):
    """An encoder whose bus no longer answers after so many readings."""

    def read(self) -> Reading:
        if self.readings_left == 0:
            threading.Event().wait()
        return super().read()


def claim_in_vain(stack: ExitStack) -> Rig:
    raise LineError("line 17 is in use by another program: stop that one")


HALF_M_S = [Speed(0, 500_000)]
SLOW = [Speed(0, 125_000)]  # the tolerance is 400 ms: however busy the machine, it is kept


def inspect_until_killed(history: SharedHistory) -> None:
    """What the process does that the test takes away."""
    encoder = SimulatedEncoder(CLOCK, HALF_M_S)
    start = partial(open_rig, encoder, history, released=True)
    with ProcessRejector(start, CLOCK, DeskSettings(default_reject=False)) as desk:
        print(desk._process.pid, flush=True)
        threading.Event().wait()
