"""A running line's reports: at the end of each shift a process beside the line writes it.

A report that is due while the line is down is written when it starts again.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from itertools import product
from pathlib import Path
from threading import Event, Thread

from edge.errors import ConfigurationError, TracksideError
from edge.extras import require
from edge.line_file import LineSettings, ReportsSettings
from edge.reports.asked import Asked, Sources, a_time, sources_of
from edge.reports.writing import Format
from edge.reports.written_beside import Task

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from edge.reports.written_beside import main; main()"
)
_SETTLE = timedelta(seconds=5)  # until what was looked at before is in the store
_LOOK_S = 20.0  # the clock may leap
_POLL_S = 0.2
_RETRY = timedelta(minutes=10)
_LONGEST_S = 1800

log = logging.getLogger("trackside")


def latest_due(times: Sequence[time], now: datetime) -> datetime:
    """The last end of a shift up to now, in the zone of this box."""
    days = [now.astimezone().date() - timedelta(days=back) for back in (2, 1, 0)]
    due = [datetime.combine(day, at).astimezone() for day, at in product(days, times)]
    return max(moment for moment in due if moment <= now)


def shift_until(times: Sequence[time], until: datetime) -> Asked:
    """The one that ends then."""
    return a_time(latest_due(times, until - timedelta(microseconds=1)), until)


def files_of(settings: ReportsSettings, line: str, until: datetime) -> dict[Format, Path]:
    """Where the report of a shift goes, by format."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", line).strip("-.") or "line"
    stem = f"{name}-{until.astimezone():%Y-%m-%dT%H%M}"
    return {form: settings.folder / f"{stem}.{form}" for form in settings.formats}


@contextmanager
def writing_reports(config: LineSettings, now: Callable[[], datetime]) -> Iterator[None]:
    """Until left, where the line file asks for it.

    ConfigurationError for a line that keeps no events, and a folder that cannot be made;
    NotInstalled for paper without its package.
    """
    settings = config.reports
    if settings is None:
        yield
        return
    timetable = _Timetable(settings, _prepared(config, settings), now)
    thread = Thread(target=timetable.run, name="reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        timetable.ended.set()
        thread.join()


def _prepared(config: LineSettings, settings: ReportsSettings) -> Sources:
    prepare(settings)
    return sources_of(config)


def prepare(settings: ReportsSettings) -> None:
    """What would fail at the end of a shift fails now."""
    if "pdf" in settings.formats:
        require("fpdf")
    try:
        settings.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{settings.folder}: {error.strerror}: give `reports.folder` a folder that can be made"
        ) from error


class _Timetable:
    """Its thread looks at the clock now and then."""

    def __init__(
        self, settings: ReportsSettings, sources: Sources, now: Callable[[], datetime]
    ) -> None:
        self.ended = Event()
        self._settings, self._sources, self._now = settings, sources, now
        self._tried: tuple[datetime, datetime] | None = None  # which, and not again before

    def run(self) -> None:
        while True:
            now = self._now()
            due = latest_due(self._settings.times, now - _SETTLE)
            if self._is_missing(due) and not self._was_tried(due, now):
                self._tried = due, now + _RETRY
                self._write(due)
            if self.ended.wait(_LOOK_S):
                return

    def _is_missing(self, due: datetime) -> bool:
        files = files_of(self._settings, self._sources.line, due)
        return not all(path.exists() for path in files.values())

    def _was_tried(self, due: datetime, now: datetime) -> bool:
        return self._tried is not None and self._tried[0] == due and now < self._tried[1]

    def _write(self, due: datetime) -> None:
        files = files_of(self._settings, self._sources.line, due)
        asked = shift_until(self._settings.times, due)
        task = Task(sources=self._sources, asked=asked, files=files)
        try:
            failed = self._beside(task)
        except (OSError, TracksideError) as error:
            failed = str(error)
        if failed is not None:
            log.warning("the report of %s: %s; it is tried again", asked.what, failed)
        elif not self.ended.is_set():
            log.info("the report of %s: %s", asked.what, ", ".join(map(str, files.values())))

    def _beside(self, task: Task) -> str | None:
        """Why it failed; None if it did not, or the line has ended."""
        # isolated: whoever may write into the working directory must not have his modules run here
        paths = json.dumps([each for each in sys.path if each])
        command = [sys.executable, "-I", "-c", _PROGRAM, paths]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stderr=pipe, text=True) as process:
            assert process.stdin is not None and process.stderr is not None
            process.stdin.write(task.model_dump_json())
            process.stdin.close()
            for _ in range(round(_LONGEST_S / _POLL_S)):
                if process.poll() is not None:
                    said = process.stderr.read().strip().splitlines()
                    return None if process.returncode == 0 else (said or ["it was killed"])[-1]
                if self.ended.wait(_POLL_S):
                    break
            process.kill()
            return None if self.ended.is_set() else f"not made in {_LONGEST_S} s: look at its disk"
