"""A line that belongs to a fleet: its agent beside it, and a line file that came on trial first.

A line file that came is checked while the line stands still, and then has so much time to be well:
until it was, the next start takes the one before. So does a start after a line that ended over it
twice, however it ended. What decides is on disk, and the line ends to be started again.
"""

from __future__ import annotations

import logging
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from edge.assembly import Line
from edge.checks import Check
from edge.clock import clock_ns
from edge.errors import ConfigurationError, StartAgain, TracksideError
from edge.fleet import (
    FleetFolder,
    LineAttempt,
    LineDecision,
    LineRequest,
    LineStanding,
    fleet_of,
    is_answered,
    line_in_force,
    line_that_came,
    now,
)
from edge.fleet.agent import require_for, start_agent
from edge.inspect import Inspection
from edge.line_file import LineSettings
from edge.run.service import run_line
from edge.run.tally import Tally
from edge.types import State

_LINES = 2  # that may end over a line file; one may have been killed for another reason
_MOST_UNKNOWN = 0.1  # share of the latest frames of a camera that is well
_LOOK_S = 1.0  # between two looks at what is asked for
_AGENT_S = 30.0  # before an agent that ended is started again
_PATIENCE_S = 60.0  # for an agent that is to end

log = logging.getLogger("trackside")

CheckLine = Callable[[LineSettings], Sequence[Check]]


def run_in_fleet(
    path: Path, own: LineSettings, check: CheckLine, *, frames: int | None = None
) -> Tally:
    """As `run_line`, of the line file in force. `check` is `trackside check`.

    StartAgain where another line file is to be taken; whoever started this starts it again.
    """
    require_for(fleet_of(own))
    folder = FleetFolder(fleet_of(own).folder)
    with _agent(path):
        request = _request(folder)
        if request is not None and _is_on_trial(folder, request):
            return _try(path, own, folder, request, check=check, frames=frames)
        watching = _Watching(folder, request)
        tally = run_line(line_in_force(path, own), frames=frames, watch=watching.watch)
    watching.raise_if_asked()
    return tally


def _request(folder: FleetFolder) -> LineRequest | None:
    """What is asked for; where that cannot be read, the line runs what is in force."""
    try:
        return folder.line_request()
    except (ConfigurationError, OSError) as error:
        log.error("the fleet's folder: %s", error)
        return None


def _is_on_trial(folder: FleetFolder, request: LineRequest) -> bool:
    """Whether this start tries it, which is on disk before it can do any harm.

    Where the disk will not have that, the line runs what is in force: it does not stand still.
    """
    if is_answered(request, folder.line_standing()):
        return False
    try:
        begun = folder.lines_begun(request)
        if begun < _LINES:
            folder.begin(LineAttempt(request=request, lines=begun + 1))
            return True
    except (ConfigurationError, OSError) as error:
        log.error("the line file that came is not tried: %s", error)
        return False
    _refuse(folder, request, f"the line ended over it, {begun} times")
    return False


def _try(
    path: Path,
    own: LineSettings,
    folder: FleetFolder,
    request: LineRequest,
    *,
    check: CheckLine,
    frames: int | None,
) -> Tally:
    """Run the line file that is asked for, until it is well, and on."""
    trial = _Trial(folder, request, fleet_of(own).well_frames, fleet_of(own).well_within_s)
    try:
        config = own
        if request.digest is not None:
            config = line_that_came(folder, request.digest, path, own)
        if failed := [each for each in check(config) if not each.passed]:
            raise ConfigurationError("; ".join(f"{each.name}: {each.detail}" for each in failed))
        log.info("a line file of release %s is on trial", request.release)
        tally = run_line(config, frames=frames, watch=trial.watch)
    except (TracksideError, OSError) as error:
        if trial.is_well:
            raise
        raise StartAgain(_refuse(folder, request, str(error))) from error
    if not trial.is_well:
        if trial.is_over:
            raise StartAgain(_refuse(folder, request, trial.said()))
        # told to stop: that is no fault of the line file
        begun = folder.lines_begun(request)
        folder.begin(LineAttempt(request=request, lines=begun - 1))
    trial.raise_if_asked()
    return tally


def _refuse(folder: FleetFolder, request: LineRequest, why: str) -> str:
    """Keep it, and say it; a start after a disk that would not have it tries once more."""
    said = f"the line file that came is refused, and the one before comes back: {why}"
    log.error("%s", said)
    try:
        decision = LineDecision(request=request, refusal=why, at=now())
        folder.settle(folder.line_standing().model_copy(update={"outcome": decision}))
    except OSError as error:
        log.error("that cannot be kept: %s", error)
    return said


class _Watching:
    """A thread that ends the line once another line file is asked for, and logs what is new."""

    def __init__(self, folder: FleetFolder, request: LineRequest | None) -> None:
        self._folder, self._request = folder, request
        self._asked = False
        self._over = Event()
        self._told = folder.shown("")

    def watch(self, line: Line) -> Callable[[Inspection], None]:
        Thread(target=self._work, args=(line,), name="fleet", daemon=True).start()
        return self._see

    def raise_if_asked(self) -> None:
        """Once the line has ended."""
        self._over.set()
        if self._asked:
            raise StartAgain("another line file came: the line is to be started again with it")

    def _see(self, inspection: Inspection) -> None:
        """Nothing hangs on what a line shows that is not on trial."""

    def _work(self, line: Line) -> None:
        complaint = None
        while not self._over.wait(_LOOK_S):
            try:
                if self._is_to_end():
                    line.stop()
                    return
                self._tell()
            except Exception as error:  # the line goes on with what it has, whatever this is
                if str(error) != complaint:
                    log.error("the fleet's folder: %s", error)
                complaint = str(error)
            else:
                complaint = None

    def _is_to_end(self) -> bool:
        request = self._folder.line_request()
        if request is not None and (self._request is None or request.id != self._request.id):
            self._asked = True
        return self._asked

    def _tell(self) -> None:
        """Once of each thing that is new."""
        status, before = self._folder.status(), self._told
        if status is None or status == before:
            return
        if status.runs != before.runs:
            log.info("fleet: this box runs release %s", status.runs)
        for refusal in status.refused:
            if refusal not in before.refused:
                log.warning("fleet: release %d is refused: %s", refusal.release, refusal.why)
        if status.trouble not in {None, before.trouble}:
            log.warning("fleet: %s", status.trouble)
        self._told = status


class _Trial(_Watching):
    """Whether the line is well in its time."""

    def __init__(
        self, folder: FleetFolder, request: LineRequest, frames: int, within_s: float
    ) -> None:
        super().__init__(folder, request)
        self.is_well = self.is_over = False
        self._frames, self._within_s = frames, within_s
        self._until_ns = clock_ns() + round(within_s * 1e9)
        self._latest: dict[str, deque[bool]] = {}  # by camera: which frames could be judged

    def watch(self, line: Line) -> Callable[[Inspection], None]:
        self._latest = {name: deque(maxlen=self._frames) for name in line.config.cameras}
        return super().watch(line)

    def said(self) -> str:
        """Why it is not well."""
        shown = "; ".join(
            f"{name}: {sum(latest)} of {len(latest)} frames could be judged, and {self._frames} "
            "are wanted"
            for name, latest in self._latest.items()
        )
        return f"it was not well within {self._within_s:g} s: {shown}"

    def _see(self, inspection: Inspection) -> None:
        if not self.is_well:
            judged = inspection.verdict.state is not State.UNKNOWN
            self._latest[inspection.camera].append(judged)

    def _is_to_end(self) -> bool:
        if not self.is_well:
            if all(map(self._can_be_judged, list(self._latest.values()))):
                assert self._request is not None
                decision = LineDecision(request=self._request, refusal=None, at=now())
                in_force = self._request.digest
                self._folder.settle(LineStanding(in_force=in_force, outcome=decision))
                self.is_well = True
                log.info("the line file that came is in force")
            elif clock_ns() >= self._until_ns:
                self.is_over = True
                return True
        return super()._is_to_end()

    def _can_be_judged(self, latest: deque[bool]) -> bool:
        enough = len(latest) == self._frames
        return enough and sum(list(latest)) >= (1 - _MOST_UNKNOWN) * self._frames


@contextmanager
def _agent(path: Path) -> Iterator[None]:
    """Beside the line, and started again where it ends."""
    over = Event()

    def work() -> None:
        while not over.is_set():
            try:
                ended = f"ended with {_run_agent(path, over)}"
            except (TracksideError, OSError) as error:  # somebody edits its line file, say
                ended = f"cannot be started: {error}"
            if not over.is_set():
                log.warning("the fleet's agent %s", ended)
                over.wait(_AGENT_S)

    thread = Thread(target=work, name="fleet agent", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _run_agent(path: Path, over: Event) -> int:
    """Until it ends, or is to; returns its exit code."""
    with start_agent(path) as agent:
        assert agent.stdin is not None
        while not over.wait(_LOOK_S) and agent.poll() is None:
            pass
        with suppress(OSError):
            agent.stdin.close()
        try:
            return agent.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:  # the line does not wait for it
            agent.kill()
            return agent.wait()
