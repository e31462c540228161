"""The box's agent: a program that sleeps, and has the turn made when there is news of the depot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from edge.errors import ConfigurationError
from edge.extras import require
from edge.fleet.folder import FleetFolder
from edge.fleet.line_in_force import fleet_of
from edge.fleet.turn import Depot, Turned, turn
from edge.line_file import FleetSettings, read_line

_LOCK_ATTEMPTS = 50  # one that is killed lets go in a moment
PACKAGES = ("tuf", "securesystemslib")  # of the extra `fleet`
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    f"from {__name__} import main; main(sys.argv[1])"
)


def start_agent(path: Path) -> subprocess.Popen[bytes]:
    """Of the box whose own line file is at `path`; it ends when its standard input is closed.

    NotInstalled where its packages are not there.
    """
    require(*PACKAGES)
    settings = fleet_of(read_line(path))
    paths = json.dumps([each for each in sys.path if each])
    told = {
        "url": f"{settings.url.rstrip('/')}/metadata/timestamp.json",
        "poll_s": settings.poll_s,
        # isolated: whoever may write into the working directory must not have his modules run here
        "turn": [sys.executable, "-I", "-c", _PROGRAM, str(path.absolute()), paths],
    }
    sleeper = Path(__file__).with_name("sleeper.py")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(sleeper), json.dumps(told)], stdin=subprocess.PIPE
    )


def make_turn(path: Path) -> Turned:
    """One turn, now; ConfigurationError where the agent makes one at this moment."""
    require(*PACKAGES)
    settings = fleet_of(read_line(path))
    with FleetFolder(settings.folder).being_agent(_LOCK_ATTEMPTS) as alone:
        if not alone:
            raise ConfigurationError(
                f"{settings.folder}: its agent makes a turn just now: wait for it"
            )
        return turn(path, lambda: open_depot(settings))


def main(path: str) -> None:
    """One turn; says when the next is due, or ends with 1."""
    turned = make_turn(Path(path))
    if turned.fresh_until is None:
        sys.exit(1)
    fresh_until_s = turned.fresh_until.timestamp()
    print(json.dumps({"fresh_until_s": fresh_until_s, "waiting": turned.is_waiting}))


def open_depot(settings: FleetSettings) -> Depot:
    """What it says now; DepotError where it cannot be read, or is not to be believed."""
    from edge.fleet.tuf_client import TufDepot  # noqa: PLC0415, needs the extra `fleet`

    folder = FleetFolder(settings.folder)
    return TufDepot(settings.url.rstrip("/"), settings.root, folder.tuf, folder.staged)
