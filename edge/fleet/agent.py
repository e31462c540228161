"""The box's agent: a program that sleeps, and has the turn made when there is news of the depot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from edge.errors import ConfigurationError
from edge.extras import require
from edge.fleet.ddi_client import authorization_of, base_of
from edge.fleet.ddi_turn import turn_by_ddi
from edge.fleet.folder import FleetFolder
from edge.fleet.line_in_force import fleet_of
from edge.fleet.sleeper import AUTHORIZATION
from edge.fleet.turn import Depot, Turned, turn
from edge.line_file import FleetSettings, read_line

_LOCK_ATTEMPTS = 50  # one that is killed lets go in a moment
_PACKAGES = ("tuf", "securesystemslib")  # of the extra `fleet`
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    f"from {__name__} import main; main(sys.argv[1])"
)


def start_agent(path: Path) -> subprocess.Popen[bytes]:
    """Of the box whose own line file is at `path`; it ends when its standard input is closed.

    NotInstalled where its packages are not there.
    """
    settings = fleet_of(read_line(path))
    require_for(settings)
    paths = json.dumps([each for each in sys.path if each])
    told = {
        "url": _asked_by(settings),
        "poll_s": settings.poll_s,
        # isolated: whoever may write into the working directory must not have his modules run here
        "turn": [sys.executable, "-I", "-c", _PROGRAM, str(path.absolute()), paths],
    }
    sleeper = Path(__file__).with_name("sleeper.py")
    secret = None if settings.hawkbit is None else authorization_of(settings.hawkbit)
    environ = os.environ if secret is None else {**os.environ, AUTHORIZATION: secret}
    command = [sys.executable, "-I", "-S", str(sleeper), json.dumps(told)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)


def make_turn(path: Path) -> Turned:
    """One turn, now; ConfigurationError where the agent makes one at this moment."""
    settings = fleet_of(read_line(path))
    require_for(settings)
    folder = FleetFolder(settings.folder)
    with folder.being_agent(_LOCK_ATTEMPTS) as alone:
        if not alone:
            raise ConfigurationError(f"{folder.root}: its agent makes a turn just now: wait for it")
        if settings.hawkbit is not None:
            return turn_by_ddi(path, settings)
        return turn(path, lambda: open_depot(settings, folder))


def require_for(settings: FleetSettings) -> None:
    """NotInstalled where what the box's source wants is not there; hawkBit wants nothing."""
    if settings.hawkbit is None:
        require(*_PACKAGES)


def _asked_by(settings: FleetSettings) -> str:
    """The URL whose answer is another one where there is news."""
    if settings.hawkbit is not None:
        return base_of(settings.hawkbit, settings.box)
    assert settings.url is not None  # the line file was checked
    return f"{settings.url.rstrip('/')}/metadata/timestamp.json"


def main(path: str) -> None:
    """One turn; says when the next is due, or ends with 1."""
    turned = make_turn(Path(path))
    if turned.fresh_until is None:
        sys.exit(1)
    fresh_until_s = turned.fresh_until.timestamp()
    print(json.dumps({"fresh_until_s": fresh_until_s, "waiting": turned.is_waiting}))


def open_depot(settings: FleetSettings, folder: FleetFolder) -> Depot:
    """What it says now; DepotError where it cannot be read, or is not to be believed.

    What is known of it is kept in the folder. ConfigurationError for a box that has hawkBit.
    """
    if settings.url is None or settings.root is None:
        raise ConfigurationError(
            "hawkBit signs nothing, so software does not come by it: give `fleet:` a depot's "
            "`url:` and `root:`"
        )
    require(*_PACKAGES)
    from edge.fleet.tuf_client import TufDepot  # noqa: PLC0415, needs the extra `fleet`

    return TufDepot(settings.url.rstrip("/"), settings.root, folder.tuf, folder.staged)
