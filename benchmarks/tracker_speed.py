"""What an order costs the tracker: `python -m benchmarks.tracker_speed [ORDERS]`.

Orders come by the score, a good metre ahead of the actuator, and each goes by under it: from the
first reading to the last outcome, in seconds of this process's own time.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from firmware_bridge.core import ActuatorTraits, Tracker
from firmware_bridge.types import Fired, Missed, Order, Reading

MM, MS = 1_000, 1_000_000
SETTINGS = ActuatorTraits(500 * MM, delay_ns=5 * MS, margin_um=2 * MM, min_gap_um=MM)
SCORE, PITCH_UM, LENGTH_UM = 20, 10 * MM, 4 * MM
READING_NS = 10 * MS
UM_PER_READING = 20 * MM  # 2 m/s


def run(orders: int) -> float:
    """Seconds of CPU for so many orders, all of which have an outcome in the end."""
    tracker = Tracker(SETTINGS, default_reject=False)
    given = ended = turn = 0
    began_s = time.process_time()
    while ended < orders:
        reading = Reading(turn * UM_PER_READING, turn * READING_NS)
        while given < orders and given * PITCH_UM < reading.position_um + SCORE * PITCH_UM:
            for k in range(given, min(given + SCORE, orders)):
                start_um = k * PITCH_UM + 100 * MM
                tracker.order(Order(start_um, start_um + LENGTH_UM, str(k)))
            given += SCORE
        for event in tracker.advance(reading):
            ended += isinstance(event, (Fired, Missed))
        turn += 1
    return time.process_time() - began_s


def main(
    orders: Annotated[int, typer.Argument(min=1, help="How many.")] = 1_000_000,
) -> None:
    """Time the tracker."""
    seconds = run(orders)
    print(f"{orders:,} orders in {seconds:.2f} s of CPU: {seconds / orders * 1e6:.2f} us an order")


if __name__ == "__main__":
    typer.run(main)
