"""What `trackside run` logs, for people or as JSON: its start, its end and what went wrong."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone

log = logging.getLogger("trackside")


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


class Lines(logging.Formatter):
    """For people: when, and what."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def printable(text: str) -> str:
    """Told to a terminal, which would obey what is no text: a file's name, say, or its content."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def log_to_stderr(*, as_json: bool, verbose: bool) -> None:
    """Start, end and warnings; with `verbose` also each frame that is not OK."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if as_json else Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("trackside").setLevel(logging.DEBUG if verbose else logging.INFO)


def logs_json() -> bool:
    """Whether what is told on stderr is JSON: then so must be why the process ends."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.root.handlers)
