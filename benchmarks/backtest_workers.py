"""What a second worker of a backtest on Ray brings: `python -m benchmarks.backtest_workers`.

A simulated line's recording is laid out as many, and a bundle tried on all of them by one worker
and by two, in turn, so that what else the machine does strikes both alike. The pace is that of a
pool at work: from when each worker has brought its first recording until the last one is brought.
Beside the ratio stands what two processes at once come to on this machine that have nothing to do
with Ray, each computing for itself: more is not to be had.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from benchmarks.backtest_cost import recorded
from edge.backtest import Asked, InThisProcess, OpenWorkers, Progress, backtest
from edge.backtest.ray_workers import LOCAL, OnRay
from edge.cli.commands import EngineName
from edge.line_file import EngineChoice
from edge.network import engine_by_name

_SPINS = 3_000_000


def pace(
    recordings: tuple[str, ...],
    engine: EngineChoice,
    out: Path,
    workers: OpenWorkers,
    count: int,
) -> tuple[float, str]:
    """Frames a second of so many workers, and the digest of the rows."""
    came = list[tuple[float, int]]()

    def tell(progress: Progress) -> None:
        came.append((time.monotonic(), progress.frames))

    asked = Asked("strip", recordings, out, engine)
    evidence = backtest(asked, lambda: datetime.now(timezone.utc), tell, workers)
    (began_s, before), (ended_s, after) = came[count], came[-1]  # came[0]: nothing yet
    return (after - before) / (ended_s - began_s), evidence.digest


def at_once(processes: int) -> float:
    """How much more so many processes compute than one, which know nothing of each other."""
    return processes * _seconds(1) / _seconds(processes)


def _seconds(processes: int) -> float:
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_spin, [1] * processes)
        began_s = time.monotonic()
        pool.map(_spin, [_SPINS] * processes, chunksize=1)
        return time.monotonic() - began_s


def _spin(times: int) -> int:
    total = 0
    for number in range(times):
        total += number
    return total


def main(
    recordings: Annotated[int, typer.Option(min=8, help="How many, two at a time.")] = 16,
    frames: Annotated[int, typer.Option(min=20, help="Of each of them.")] = 250,
    rounds: Annotated[int, typer.Option(min=1, help="The median of so many is told.")] = 3,
    engine: Annotated[EngineName, typer.Option(help="What runs the network.")] = "native",
) -> None:
    """Print the pace of one worker and of two, their ratio, and what could be had at most."""
    os.environ["RAY_AUTH_MODE"] = "disabled"  # of loopback alone: no token in one's home
    # Ray's workers else give way to all that runs here besides.
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - its own name
    choice = engine_by_name(engine)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first = recorded(folder, frames)
        copies = [first, *(folder / f"recording-{n}" for n in range(1, recordings))]
        for copy in copies[1:]:
            shutil.copytree(first, copy)
        names = tuple(map(str, copies))
        digest = pace(names, choice, folder / "serial", InThisProcess, 1)[1]

        def on_ray(number: int, count: int) -> float:
            out = folder / f"{count}-{number}"
            found, same = pace(names, choice, out, OnRay(LOCAL, count), count)
            assert same == digest, "the rows on Ray are not those of one process"
            return found

        told = [_round(number, on_ray) for number in range(rounds)]
    for each in told:
        print(json.dumps(each))
    print(f"two workers reach {median(each['ratio'] for each in told):.2f} times one")


def _round(number: int, on_ray: Callable[[int, int], float]) -> dict[str, float]:
    one, two = on_ray(number, 1), on_ray(number, 2)
    at_most = at_once(2)
    figures = {"one": one, "two": two, "ratio": two / one, "at most": at_most}
    return {name: round(value, 2) for name, value in figures.items()}


if __name__ == "__main__":
    typer.run(main)
