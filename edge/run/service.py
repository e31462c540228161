"""`trackside run`: a line that inspects until its camera ends or it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone

from edge.assembly import Line, open_line
from edge.cameras import Faults
from edge.clock import clock_ns
from edge.inspect import Inspection
from edge.line_file import LineSettings
from edge.places.watching import watching_places
from edge.reports import writing_reports
from edge.run.memory import giving_back_memory, share_memory
from edge.run.reporting import reporting
from edge.run.roll_log import RollLog
from edge.run.systemd import notifying
from edge.run.tally import Tally
from edge.store import keeping
from edge.swap import POLL_S, swapping
from edge.types import State

_LEVEL = {True: logging.WARNING, False: logging.INFO}  # that it went blind, that it sees again

log = logging.getLogger("trackside")


def run_line(
    config: LineSettings,
    *,
    frames: int | None = None,
    watch: Callable[[Line], Callable[[Inspection], None]] = lambda line: lambda inspection: None,
    camera_faults: Mapping[str, Faults] | None = None,
    swap_poll_s: float = POLL_S,
) -> Tally:
    """Inspect, and log what is not OK. Told to stop, the line ends at the frame it is in.

    Orders still on their way then are not lost: the output is left at reject. `watch` is given the
    live line, and what it returns is given every inspection; neither may wait. Synthetic cameras
    that run freely suffer `camera_faults`. Another bundle is looked for every `swap_poll_s`.

    Raises as `open_line` and `Line.run` do; ConfigurationError too for an address that cannot be
    served at, a spool or a swap folder that another line has; StoreError for such a store.
    """
    share_memory()
    # Rejected frames are not kept here: nobody would look at their pictures.
    tally, verdicts, rolls = Tally(rejected=deque(maxlen=0)), VerdictLog(), RollLog()

    def record(inspection: Inspection) -> None:
        report(inspection)
        notifier.inspected(inspection, clock_ns())
        if store is not None:
            store.record(inspection)
        tally.add(inspection)
        verdicts.add(inspection)
        rolls.add(inspection)
        tell(inspection)
        if swapper is not None:
            swapper.between_frames(inspection)

    began = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    with (
        keeping(config.store, lambda: datetime.now(timezone.utc), began) as store,
        notifying(os.environ, config.cameras) as notifier,
        # The line is closed before the store: its outputs are safe while the store writes the rest.
        open_line(
            config,
            frames=frames,
            waited=lambda camera: notifier.waited(camera, clock_ns()),
            camera_faults=camera_faults,
            run=began,
        ) as line,
        stop_on_signals(line),
        giving_back_memory(),
        swapping(config, line.inspectors, swap_poll_s, line.bridge.note_bundle) as swapper,
        watching_places(config, began, line.bridge, lambda: datetime.now(timezone.utc)) as places,
        reporting(line, store, swapper, places) as report,
        writing_reports(config, lambda: datetime.now(timezone.utc)),
    ):
        tell = watch(line)
        log.info("%s: %s on %s", config.name, line.bundle.manifest.name, line.engine.name)
        try:
            line.run(record)
        finally:
            _log_end(line, tally)
    return tally


def _log_end(line: Line, tally: Tally) -> None:
    states, report = tally.states, line.report()
    log.info(
        "%d frames: %s; latency ms %s",
        tally.frames,
        ", ".join(f"{states[state]} {state.value}" for state in State),
        tally.latency_ms(),
    )
    log.info(
        "%d rejects ordered: %d fired, %d missed, %d still to come; the output is left at reject",
        report.ordered,
        report.fired,
        report.missed,
        report.pending,
    )


@contextmanager
def stop_on_signals(line: Line) -> Iterator[None]:
    """SIGTERM and Ctrl-C close the cameras, which ends the loop after the frames it is in."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: line.stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class VerdictLog:
    """Says once that a camera's frames cannot be judged, and once that they can again; each one at
    `debug`.
    """

    def __init__(self) -> None:
        self._blind = set[str]()  # cameras

    def add(self, inspection: Inspection) -> None:
        camera, verdict = inspection.camera, inspection.verdict
        was_blind = camera in self._blind
        if verdict.state is State.OK and not was_blind:
            return
        blind = verdict.state is State.UNKNOWN
        (self._blind.add if blind else self._blind.discard)(camera)
        level = logging.DEBUG if blind == was_blind else _LEVEL[blind]
        if not log.isEnabledFor(level):
            return
        at_m = verdict.stretch.start_um / 1e6
        reasons = "; ".join(verdict.reasons) or "judged again"
        state = verdict.state.value
        figures = {"camera": camera, "frame": verdict.frame_index, "at_m": at_m, "state": state}
        log.log(level, "%s at %.3f m %s: %s", camera, at_m, state, reasons, extra=figures)
