"""Asks all lines again and again, and holds what each said last."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edge.errors import ConfigurationError
from edge.overview.page_address import KnownLine, known_lines
from edge.overview.summary import NoAnswer, WrongToken, summary_of

EVERY_S = 2.0
_AT_ONCE = 16
_CLOSE_S = 5.0
_OLD_S = 15.0  # an answer is no news of a line any more
_NOT_AGAIN_S = 60.0  # after a wrong token: each is a guess, for which others have to wait, too

Json = dict[str, Any]


@dataclass(frozen=True)
class _Look:
    """What became of asking one line."""

    line: KnownLine
    at_s: float
    summary: Json | None
    why: str | None  # there is no summary
    heard_utc: str | None  # when it last gave one
    wait_until_s: float = 0.0


class Watch:
    """Of the lines of one folder; a thread asks, any thread may be told."""

    def __init__(self, folder: Path, every_s: float = EVERY_S) -> None:
        self._folder, self._every_s = folder, every_s
        self._looks: dict[str, _Look] = {}  # replaced whole, and never changed
        self._trouble: str | None = "the lines are being asked"
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="overview", daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join(_CLOSE_S)

    def told(self) -> Json:
        """Each line, by name: one that was not heard of lately is not known to be well."""
        now_s = time.monotonic()
        return {
            "box": socket.gethostname(),
            "trouble": self._trouble,
            "lines": [_told(look, now_s) for look in self._looks.values()],
        }

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="overview") as pool:
            while not self._closing.is_set():
                try:
                    lines = list(known_lines(self._folder))
                    self._looks = {look.line.unit: look for look in pool.map(self._look, lines)}
                    nothing = f"{self._folder} has no line file, NAME.yaml"
                    self._trouble = None if lines else nothing
                except ConfigurationError as error:
                    self._trouble = str(error)
                self._closing.wait(self._every_s)

    def _look(self, line: KnownLine) -> _Look:
        before, now_s = self._looks.get(line.unit), time.monotonic()
        heard_utc = None if before is None else before.heard_utc
        if before is not None and before.line == line and now_s < before.wait_until_s:
            return before
        try:
            summary = summary_of(line)
        except NoAnswer as error:
            wait_s = _NOT_AGAIN_S if isinstance(error, WrongToken) else 0.0
            return _Look(line, now_s, None, str(error), heard_utc, now_s + wait_s)
        now_utc = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return _Look(line, now_s, summary, None, now_utc)


def _told(look: _Look, now_s: float) -> Json:
    line, page = look.line, look.line.page
    why, age_s = look.why, now_s - look.at_s
    if why is None and age_s > _OLD_S:
        why = f"it was last heard of {age_s:.0f} s ago"
    link = None
    if page is not None:
        alone = page.on_this_box_alone
        link = {"scheme": page.scheme, "port": page.port, "on_this_box_alone": alone}
    return {
        "unit": line.unit,
        "name": line.name or line.unit,
        "link": link,
        "why": why,
        "heard_utc": look.heard_utc,
        "summary": None if why is not None else look.summary,
    }
