"""A depot, a real web server before it that somebody may have laid hands on, and boxes.

A box's line is stood in for where a test is not of the line: `answer` decides as one would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from edge.bundle import Bundle, open_bundle
from edge.depot.depot import Depot, keys_of, rings_of
from edge.fleet import (
    FleetFolder,
    FleetStatus,
    LineDecision,
    LineStanding,
    Software,
    is_answered,
)
from edge.fleet.agent import open_depot
from edge.fleet.turn import Turned, turn
from edge.line_file import LineSettings, read_line
from edge.network import resolve_bundle
from edge.swap import in_force_now
from edge.swap.folder import Decision, Standing, swap_folder
from edge.swap.folder import is_answered as is_decided
from stands.swapping_lines import LENIENT, write_line

NOW = datetime.now(timezone.utc)
ROOT_SHARE = "2/3"


class Desk:
    """A depot and its keys, in two folders that lie beside each other."""

    def __init__(self, home: Path, *, canary: str = "a", fresh_days: float = 7) -> None:
        self.folder, self.keys = home / "depot", home / "keys"
        self.depot = Depot(self.folder, [self.keys])
        self.depot.create(
            rings_of([canary], ["50%", "100%"]),
            keys_of(ROOT_SHARE, "1/1"),
            max_failures=0.1,
            fresh_days=fresh_days,
            now=NOW,
        )

    def publish(self, bundle: Bundle | None = None, **lines: Path) -> int:
        """The number of the release, which goes to the first ring."""
        path = None if bundle is None else bundle.path
        return self.depot.publish(bundle=path, lines=lines, now=NOW).number

    def to_all(self, number: int) -> None:
        for _ in self.depot.rollout.rings[1:]:
            self.depot.promote(number, NOW)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The URL at which a folder is, to whoever asks, by the plainest of servers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class Box:
    """A box whose line does not run, but for what `answer` says in its place."""

    def __init__(self, home: Path, name: str, url: str, root: Path, bundle: Path) -> None:
        self._begin(home, name, bundle, {"url": url, "root": str(root)})

    def _begin(self, home: Path, name: str, bundle: Path, source: Mapping[str, Any]) -> None:
        home.mkdir()
        fleet = {**source, "folder": "fleet", "box": name, "poll_s": 0.2}
        self.path = write_line(home, str(bundle), swap=LENIENT, fleet=fleet)
        self.folder = FleetFolder(home / "fleet")
        self.software = Software(home / "package")

    @property
    def config(self) -> LineSettings:
        return read_line(self.path)

    @property
    def status(self) -> FleetStatus:
        return self.folder.shown("?")

    def turn(self) -> Turned:
        fleet = self.config.fleet
        assert fleet is not None
        return turn(self.path, lambda: open_depot(fleet, self.folder), 0, self.software)

    def answer(self, refusal: str | None = None) -> None:
        """What is asked for is in force now, or refused."""
        folder, at = swap_folder(self.config), NOW.isoformat()
        asked, standing = folder.request(), folder.standing()
        if asked is not None and not is_decided(asked, standing):
            decision = Decision(request=asked, refusal=refusal, at=at)
            if refusal is not None:
                folder.settle(standing.model_copy(update={"outcome": decision}))
            else:
                before = in_force_now(self.config)
                if not folder.bundle_path(before).exists():
                    folder.keep(open_bundle(resolve_bundle(self.config.bundle)))
                folder.settle(Standing(in_force=asked.digest, before=before, outcome=decision))
        request, line = self.folder.line_request(), self.folder.line_standing()
        if request is not None and not is_answered(request, line):
            outcome = LineDecision(request=request, refusal=refusal, at=at)
            in_force = line.in_force if refusal is not None else request.digest
            self.folder.settle(LineStanding(in_force=in_force, outcome=outcome))

    def settle(self) -> FleetStatus:
        """Turn and answer until nothing is on its way."""
        for _ in range(5):
            if not self.turn().is_waiting:
                return self.status
            self.answer()
        raise AssertionError(f"it never came about: {self.status}")


def later(**much: float) -> datetime:
    return NOW + timedelta(**much)
