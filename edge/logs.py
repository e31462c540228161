"""What `trackside run` logs, for people or as JSON: its start, its end and what went wrong."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

from edge.types import State, Verdict

log = logging.getLogger("trackside")

_LEVEL = {True: logging.WARNING, False: logging.INFO}  # of going blind, and of seeing again

# What every record has; anything else on it was given as `extra`, and is a figure for machines.
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, timezone.utc)
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _ORDINARY},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


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


def log_to_stderr(*, as_json: bool, verbose: bool) -> None:
    """Start, end and warnings; with `verbose` also each frame that is not OK."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("trackside").setLevel(logging.DEBUG if verbose else logging.INFO)


def logs_json() -> bool:
    """Whether what is told on stderr is JSON: then so must be why the process ends."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.root.handlers)
