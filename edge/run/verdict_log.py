"""Says once that frames cannot be judged, and once that they can again."""

from __future__ import annotations

import logging

from edge.types import State, Verdict

log = logging.getLogger("trackside")

_LEVEL = {True: logging.WARNING, False: logging.INFO}  # of going blind, and of seeing again


class VerdictLog:
    """Says once that frames cannot be judged, and once that they can again; each one at `debug`."""

    def __init__(self) -> None:
        self._blind = False

    def add(self, verdict: Verdict) -> None:
        if verdict.state is State.OK and not self._blind:
            return
        blind, was_blind = verdict.state is State.UNKNOWN, self._blind
        self._blind = blind
        level = logging.DEBUG if blind == was_blind else _LEVEL[blind]
        if not log.isEnabledFor(level):
            return
        at_m = verdict.stretch.start_um / 1e6
        reasons = "; ".join(verdict.reasons) or "judged again"
        figures = {"frame": verdict.frame_index, "at_m": at_m, "state": verdict.state.value}
        log.log(level, "%.3f m %s: %s", at_m, verdict.state.value, reasons, extra=figures)
