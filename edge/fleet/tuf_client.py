"""The box's side of The Update Framework: what a depot says, once it is proved to be its word.

What was seen is kept, so an older state is refused (rollback), and a state that is older than it
says it may be (freeze); all that is read belongs to one snapshot (mix and match). Nothing longer
than was signed is read, and nothing that comes too slowly is waited for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from edge.errors import DepotError
from edge.fleet.paced import paced


class TufDepot:
    """What the depot holds at one moment; DepotError for whatever of it is not to be believed."""

    def __init__(self, url: str, root: Path, known: Path, staged: Path) -> None:
        """`root` is trusted from the start; what is `known` is kept from one to the next."""
        known.mkdir(parents=True, exist_ok=True)
        staged.mkdir(parents=True, exist_ok=True)
        self._known, self._staged = known, staged
        try:
            self._updater = Updater(
                str(known),
                f"{url}/metadata/",
                target_dir=str(staged),
                target_base_url=f"{url}/targets/",
                fetcher=_Fetcher(),
                bootstrap=root.read_bytes(),
            )
            self._updater.refresh()
        except (DownloadError, RepositoryError, ValueError) as error:
            raise _said(url, error) from error
        self._url = url

    def read(self, name: str) -> bytes:
        """A target, verified."""
        path = self.fetch(name)
        try:
            return path.read_bytes()
        finally:
            path.unlink()

    def fetch(self, name: str) -> Path:
        """A target, verified, as a file."""
        path = self._staged / name.replace("/", "%2F")
        try:
            target = self._updater.get_targetinfo(name)
            if target is None:
                raise DepotError(f"{self._url}: no {name} was signed: publish the release anew")
            if self._updater.find_cached_target(target, str(path)) is None:
                self._updater.download_target(target, str(path))
        except (DownloadError, RepositoryError, ValueError) as error:
            raise _said(self._url, error) from error
        return path

    @property
    def fresh_until(self) -> datetime:
        """When the first of what is known is too old to be believed."""
        return min(map(_expiry, self._known.glob("*.json")))


def _expiry(metadata: Path) -> datetime:
    return datetime.fromisoformat(
        json.loads(metadata.read_bytes())["signed"]["expires"][:-1] + "+00:00"
    )


def _said(url: str, error: Exception) -> DepotError:
    detail = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    if isinstance(error, DownloadError):
        return DepotError(f"{url} cannot be read: {detail}: the box works on with what it has")
    return DepotError(f"{url} is not to be believed: {detail}: nothing is taken from it")


class _Fetcher(FetcherInterface):
    """By Python's own HTTP."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from paced(Request(url))
        except HTTPError as error:
            raise DownloadHTTPError(f"{url}: {error.code} {error.reason}", error.code) from error
        except OSError as error:
            raise DownloadError(str(error)) from error
