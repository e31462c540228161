"""The box's side of hawkBit's Direct Device Integration: what a server offers it, and is told.

https://eclipse.dev/hawkbit/apis/ddi_api/. Nothing in it is signed: a server is believed as far as
its certificate and the hashes go that it says itself. So `bundle_key` is what proves a bundle.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha1, sha256
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from edge.errors import DepotError
from edge.files import parsed
from edge.fleet.paced import paced
from edge.line_file import HawkbitSettings

_MOST_BYTES = 1 << 20  # of an answer
_MOST_CONTENT = 1 << 29  # of what is offered
_MOST_DETAIL = 500  # characters; hawkBit has 512

Finished = Literal["success", "failure", "none"]


class _Said(BaseModel):
    """Servers say more than is read here."""

    model_config = ConfigDict(frozen=True)


class _Link(_Said):
    href: str = Field(pattern=r"^https?://")  # nothing is read from elsewhere than the net


class Artefact(_Said):
    """A file that the server has."""

    filename: str
    hashes: Mapping[str, str] = {}
    size: int = Field(ge=0, le=_MOST_CONTENT)
    links: Mapping[str, _Link] = Field(alias="_links")

    @property
    def digest(self) -> str | None:
        """What proves it best of what the server says."""
        return self.hashes.get("sha256") or self.hashes.get("sha1")

    def is_what_it_says(self, content: bytes) -> bool:
        found = {"sha256": sha256(content).hexdigest(), "sha1": sha1(content).hexdigest()}
        said = {name: each for name, each in self.hashes.items() if name in found}
        return bool(said) and all(found[name] == each.lower() for name, each in said.items())


class _Chunk(_Said):
    artifacts: tuple[Artefact, ...] = ()


class _Deployment(_Said):
    update: Literal["skip", "attempt", "forced"]  # skip: outside of its time
    chunks: tuple[_Chunk, ...] = ()


class Action(_Said):
    """A deployment, by the number that the server gives it."""

    id: str = Field(pattern=r"^[1-9][0-9]{0,14}$")
    deployment: _Deployment

    @property
    def number(self) -> int:
        return int(self.id)

    @property
    def artefacts(self) -> tuple[Artefact, ...]:
        return tuple(each for chunk in self.deployment.chunks for each in chunk.artifacts)


class _Base(_Said):
    links: Mapping[str, _Link] = Field(default={}, alias="_links")


def base_of(settings: HawkbitSettings, box: str) -> str:
    """Where a server says whether there is something for the box."""
    return f"{settings.url.rstrip('/')}/{settings.tenant}/controller/v1/{box}"


def authorization_of(settings: HawkbitSettings) -> str | None:
    token = settings.token
    return None if token is None else f"TargetToken {token.get_secret_value()}"


class DdiServer:
    """DepotError for whatever of it cannot be read."""

    def __init__(self, settings: HawkbitSettings, box: str) -> None:
        self._base = base_of(settings, box)
        self._authorization = authorization_of(settings)

    def offered(self, tells: Mapping[str, str]) -> Action | None:
        """What the box is to run; None where nothing is. It `tells` of itself where asked."""
        base = self._asked(self._base, TypeAdapter(_Base))
        if (link := base.links.get("configData")) is not None:
            self._send("PUT", link.href, {"mode": "merge", "data": dict(tells)})
        if (link := base.links.get("deploymentBase")) is None:
            return None
        action = self._asked(link.href, TypeAdapter(Action))
        return None if action.deployment.update == "skip" else action

    def read(self, artefact: Artefact) -> bytes:
        """All of it, as long as it is said to be; what it holds is for the caller to prove."""
        link = artefact.links.get("download") or artefact.links.get("download-http")
        if link is None:
            raise DepotError(f"{self._base}: {artefact.filename} has no link")
        content = self._read(Request(link.href), artefact.size)
        if len(content) < artefact.size:
            raise DepotError(f"{link.href} ended after {len(content)} of {artefact.size} bytes")
        return content

    def tell(self, action: Action, finished: Finished, said: str) -> None:
        """What became of it; `none` as long as it is on its way."""
        details = [said[at : at + _MOST_DETAIL] for at in range(0, len(said), _MOST_DETAIL)]
        execution = "proceeding" if finished == "none" else "closed"
        status = {"execution": execution, "result": {"finished": finished}, "details": details}
        url = f"{self._base}/deploymentBase/{action.id}/feedback"
        self._send("POST", url, {"id": action.id, "status": status})

    def _asked(self, url: str, kind: TypeAdapter[Any]) -> Any:
        try:
            return parsed(url, self._read(Request(url), _MOST_BYTES), kind)
        except ValueError as error:
            raise DepotError(f"{error}: is this hawkBit's DDI?") from error

    def _send(self, method: str, url: str, said: Mapping[str, Any]) -> None:
        headers = {"Content-Type": "application/json"}
        data = json.dumps(said).encode()
        self._read(Request(url, data, headers, method=method), _MOST_BYTES)

    def _read(self, asked: Request, most: int) -> bytes:
        asked.add_header("Accept", "application/hal+json, application/json, */*")
        # to this server alone: files may lie with another, who is not to know the box's token
        if self._authorization is not None and _origin(asked.full_url) == _origin(self._base):
            asked.add_unredirected_header("Authorization", self._authorization)
        content = bytearray()
        try:
            for piece in paced(asked):
                content += piece
                if len(content) > most:
                    raise DepotError(f"{asked.full_url} is longer than the {most} bytes it may be")
        except HTTPError as error:
            remedy = ": is `token` this box's?" if error.code in {401, 403} else ""
            said = f"{asked.full_url}: {error.code} {error.reason}{remedy}"
            raise DepotError(said) from error
        except OSError as error:
            raise DepotError(f"{error}: the box works on with what it has") from error
        return bytes(content)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
