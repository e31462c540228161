"""A turn by hawkBit's DDI: what is offered becomes a release like a depot's, and its end is told.

The server's own memory is the only one of what it was told: as long as it offers a deployment, the
box says again what became of it. Its number is the release's, so one that was refused stays so.
"""

from __future__ import annotations

import platform
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from edge.bundle import open_bundle
from edge.errors import BundleError, DepotError, TracksideError
from edge.fleet.ddi_client import Action, Artefact, DdiServer
from edge.fleet.folder import FleetFolder, FleetStatus, now, refusal_of
from edge.fleet.package import Software
from edge.fleet.rollout import EVERY_BOX, ROLLOUT, Release, Ring, Rollout
from edge.fleet.swu import files_of
from edge.fleet.turn import WAIT_S, Turned, turn
from edge.line_file import FleetSettings

_ANOTHER_TURN = timedelta(days=1)  # whether or not there is news
_NOBODYS = "0" * 64  # digest of a bundle that cannot be brought, and so is refused
_BUNDLE, _LINE, _IMAGE = ".bundle", ".yaml", ".swu"


def turn_by_ddi(
    path: Path,
    settings: FleetSettings,
    wait_s: float = WAIT_S,
    software: Software = Software(),  # noqa: B008, it is a value
) -> Turned:
    """As `turn`; the server is told what came of it."""
    assert settings.hawkbit is not None
    folder, box = FleetFolder(settings.folder), settings.box
    server = DdiServer(settings.hawkbit, box)
    opened: list[_Offer] = []

    def open_depot() -> _Offer:
        opened.append(_Offer(server, folder, box))
        return opened[0]

    turned = turn(path, open_depot, wait_s, software)
    try:
        for offer in opened:
            offer.tell(folder.shown(box))
    except DepotError as error:
        folder.tell(folder.shown(box).model_copy(update={"trouble": str(error)}))
        return Turned(None, is_waiting=False)
    return turned


class _Offer:
    """What the server offers, beside what the box runs: a depot of one ring."""

    def __init__(self, server: DdiServer, folder: FleetFolder, box: str) -> None:
        self._server, self._folder = server, folder
        tells = {"box": box, "trackside": version("trackside"), "processor": platform.machine()}
        self._action = server.offered(tells)
        self.fresh_until = datetime.now(timezone.utc) + _ANOTHER_TURN
        self._files: dict[str, bytes] = {}
        self._why_not = ""  # it cannot be brought
        self._rollout = self._made(folder.shown(box))

    def read(self, name: str) -> bytes:
        if name == ROLLOUT:
            return self._rollout.model_dump_json().encode()
        if name not in self._files:
            raise DepotError(f"{name} is damaged here: have the server deploy it once more")
        return self._files[name]

    def fetch(self, name: str) -> Path:
        if self._why_not:
            raise BundleError(self._why_not)
        path = self._folder.staged / name.replace("/", "%2F")
        path.write_bytes(self.read(name))
        return path

    def tell(self, status: FleetStatus) -> None:
        """What became of it."""
        if (action := self._action) is None:
            return
        why = refusal_of(status.refused, action.number)
        if why is not None:
            self._server.tell(action, "failure", why)
        elif status.runs == action.number:
            self._server.tell(action, "success", "it runs")
        else:
            self._server.tell(action, "none", status.trouble or status.doing)

    def _made(self, status: FleetStatus) -> Rollout:
        in_force = self._folder.line_standing().in_force
        lines = {} if in_force is None else {EVERY_BOX: f"lines/{in_force}.yaml"}
        releases = []
        if status.runs is not None:
            releases.append(_release(status.runs, None, lines))
        action = self._action
        if action is not None and action.number != status.runs:
            bundle: str | None = f"bundles/{_NOBODYS}.bundle"
            if refusal_of(status.refused, action.number) is None:
                try:
                    self._server.tell(action, "none", "it came")
                    bundle, lines = self._brought(action, lines)
                except DepotError:
                    raise
                except TracksideError as error:
                    self._why_not = str(error)
            releases.append(_release(action.number, bundle, lines))
        ring = Ring(name="hawkBit", share=1)
        return Rollout(rings=(ring,), max_failures=0, fresh_days=1, releases=tuple(releases))

    def _brought(self, action: Action, lines: dict[str, str]) -> tuple[str | None, dict[str, str]]:
        """Names of its bundle and line file, which are here; what it has not stays as it is.

        TracksideError for what is not to be taken, DepotError for what did not come.
        """
        files = dict[str, bytes]()
        for artefact in action.artefacts:
            for name, content in files_of(self._content(artefact)).items():
                kind = Path(name).suffix
                if kind not in {_BUNDLE, _LINE}:
                    raise BundleError(f"{name} is neither a {_BUNDLE} nor a {_LINE}: leave it out")
                if kind in files:
                    raise BundleError(f"it has more than one {kind}: deploy one of each")
                files[kind] = content
        if not files:
            raise BundleError(f"it has neither a {_BUNDLE} nor a {_LINE}: nothing is to be done")
        bundle = None
        if _BUNDLE in files:
            bundle = f"bundles/{self._digest_of(files[_BUNDLE])}.bundle"
            self._files[bundle] = files[_BUNDLE]
        if _LINE in files:
            line = f"lines/{sha256(files[_LINE]).hexdigest()}.yaml"
            self._files[line] = files[_LINE]
            lines = {EVERY_BOX: line}
        return bundle, lines

    def _content(self, artefact: Artefact) -> bytes:
        """It, once it is what the server says; kept as long as the line has not answered."""
        if Path(artefact.filename).suffix != _IMAGE:
            raise BundleError(
                f"{artefact.filename} is no {_IMAGE}: put bundle and line file in one"
            )
        if artefact.digest is None:
            raise BundleError(f"the server gives no hash of {artefact.filename}")
        kept = self._folder.staged / sha256(artefact.digest.encode()).hexdigest()
        if kept.exists() and artefact.is_what_it_says(content := kept.read_bytes()):
            return content
        content = self._server.read(artefact)
        if not artefact.is_what_it_says(content):
            raise BundleError(f"{artefact.filename} is not what the server says: upload it anew")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
        return content

    def _digest_of(self, content: bytes) -> str:
        path = self._folder.staged / "bundle"
        path.write_bytes(content)
        return open_bundle(path).digest


def _release(number: int, bundle: str | None, lines: dict[str, str]) -> Release:
    return Release.model_validate(
        {"number": number, "bundle": bundle, "lines": lines, "ring": 0, "at": now()}
    )
