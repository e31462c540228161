"""Everyone takes a turn in every round, so that a noisy machine disturbs all alike."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from benchmarks.bench.contender import Contender, Opened, Turn
from benchmarks.bench.machine import Probe
from benchmarks.bench.plan import Entry, in_short, streams
from benchmarks.bench.process import Worker
from benchmarks.bench.roofline import CeilingBench, Rates
from benchmarks.bench.schema import LeftOut, Mode
from edge.errors import EngineError

ROUNDS = 20
RUNS, SECONDS = 200, 10.0  # a row with less is called short
_WARM_UP_S = 4  # after so long a machine will not get steadier
_FOR_SCALE_ROUNDS = 3  # at least, however long one run takes

Show = Callable[[str, int, int], None]  # what is being done, how much is done, of how much


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure, and how."""

    runs: int = RUNS
    seconds: float = SECONDS
    accuracy_frames: int = 32
    mode: Mode = "latency"
    speed_mm_s: float = 500  # of the line, where frames are paced
    pin: bool = False

    @property
    def rounds(self) -> int:
        return min(ROUNDS, self.runs)

    def period_ns(self, entry: Entry) -> int:
        """The time in which the line moves by a frame."""
        spec = entry.source.manifest.input
        return round(spec.height * spec.um_per_px / self.speed_mm_s * 1e6)


@dataclass(eq=False)
class Runner:
    """An entry that is open in its own process, and what it has measured."""

    entry: Entry
    effort: Effort
    worker: Worker
    opened: Opened
    pinned_to: list[int]
    turns: list[Turn] = field(default_factory=list)

    @property
    def runs(self) -> int:
        return sum(turn.whole_ns.size for turn in self.turns)

    @property
    def seconds(self) -> float:
        return sum(turn.elapsed_ns for turn in self.turns) / 1e9

    @property
    def satisfied(self) -> bool:
        if self.entry.for_scale:
            return len(self.turns) >= self._rounds_for_scale
        return self.runs >= self.effort.runs and self.seconds >= self.effort.seconds

    def is_due(self, number: int) -> bool:
        """Whether it takes a turn in this round; one for scale is spread over all of them."""
        rounds = self.effort.rounds
        if number >= rounds:
            return not self.satisfied
        turns = self._rounds_for_scale if self.entry.for_scale else rounds
        return (number + 1) * turns // rounds > number * turns // rounds

    def take_turn(self) -> None:
        mode, arguments = self.effort.mode, [self._runs_a_turn]
        if mode == "paced":
            arguments.append(self.effort.period_ns(self.entry))
        self.turns.append(self.worker.call(mode, *arguments))

    @property
    def _run_s(self) -> float:
        """What one run adds to a turn."""
        if self.effort.mode == "paced":
            return max(self.opened.run_ns, self.effort.period_ns(self.entry)) / 1e9
        return self.opened.run_ns / 1e9 / streams(self.effort.mode, self.entry.threads)

    @property
    def _runs_a_turn(self) -> int:
        if self.entry.for_scale:
            return 1
        runs = max(self.effort.runs, self.effort.seconds / self._run_s)
        return math.ceil(runs / self.effort.rounds)

    @property
    def _rounds_for_scale(self) -> int:
        fitting = int(self.effort.seconds / self._run_s)
        return min(self.effort.rounds, max(_FOR_SCALE_ROUNDS, fitting))


@dataclass
class Measured:
    """What a run has come to so far."""

    runners: list[Runner] = field(default_factory=list)
    rates: dict[int, list[Rates]] = field(default_factory=dict)  # by threads
    left_out: list[LeftOut] = field(default_factory=list)
    complete: bool = False


def measure(groups: Sequence[Sequence[Entry]], effort: Effort, show: Show) -> Measured:
    """Group after group; within one everybody takes turns. Ctrl-C ends it with what there is."""
    measured = Measured()
    try:
        for entries in groups:
            _measure_group(entries, effort, show, measured)
        measured.complete = True
    except KeyboardInterrupt:
        pass
    return measured


def _measure_group(
    entries: Sequence[Entry], effort: Effort, show: Show, measured: Measured
) -> None:
    threads = entries[0].threads
    with ExitStack() as stack:
        ceiling = stack.enter_context(closing(Worker(partial(CeilingBench, threads), threads)))
        runners = []
        for number, entry in enumerate(entries):
            show(f"Open {entry}", number, len(entries))
            try:
                runners.append(_open(entry, effort))
            except entry.may_fail_with as error:
                measured.left_out.append(LeftOut(what=str(entry), reason=entry.why_not(error)))
                continue
            stack.callback(runners[-1].worker.close)
        measured.runners += runners
        rates = measured.rates.setdefault(threads, [])
        turns = len(runners) * effort.rounds
        for done, runner in enumerate(_in_turn(runners, effort.rounds)):
            if done % len(runners) == 0:
                rates.append(ceiling.call("turn"))
            show(f"Measure {runner.entry}", done, max(turns, done + 1))
            try:
                runner.take_turn()
            except EngineError as error:
                runners.remove(runner)
                measured.runners.remove(runner)
                measured.left_out.append(LeftOut(what=str(runner.entry), reason=in_short(error)))


def _in_turn(runners: list[Runner], rounds: int) -> Iterator[Runner]:
    """Who is next, in an order that changes from round to round."""
    order = random.Random(0)
    for number in count():
        due = [runner for runner in runners if runner.is_due(number)]
        if not due and number >= rounds:
            return
        yield from order.sample(due, len(due))


def _open(entry: Entry, effort: Effort) -> Runner:
    parallel = streams(effort.mode, entry.threads)
    pinned = Probe().physical_first()[: entry.threads * parallel] if effort.pin else []
    make = partial(Contender, entry.source, streams=parallel)
    worker = Worker(make, entry.threads, pinned)
    try:
        opened = worker.call("open", effort.accuracy_frames, min(_WARM_UP_S, effort.seconds))
    except BaseException:
        worker.close()
        raise
    return Runner(entry, effort, worker, opened, pinned)
