"""The box's side of The Update Framework: what a depot says, once it is proved to be its word.

What was seen is kept, so an older state is refused (rollback), and a state that is older than it
says it may be (freeze); all that is read belongs to one snapshot (mix and match). Nothing longer
than was signed is read, and nothing that comes too slowly is waited for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from queue import Empty, Full, Queue
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from edge.errors import DepotError

_SILENT_S = 10  # a server that says nothing for so long is gone
_GRACE_S, _LEAST_BYTES_S = 30, 4096  # after so long, what comes more slowly is given up
_PIECE = 65_536
_LOOK_S = 0.5  # between two looks whether somebody still wants it


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
    """By Python's own HTTP, with an eye on the pace of all that comes.

    A server may let drip what comes before the content too, for days, each byte in good time. So
    it is read by a thread, which nobody waits for longer than the pace allows.
    """

    def _fetch(self, url: str) -> Iterator[bytes]:
        pieces: Queue[bytes | Exception] = Queue(1)
        over = Event()
        Thread(target=_read, args=(url, pieces, over), name="depot", daemon=True).start()
        begun_s, had = time.monotonic(), 0
        try:
            while True:
                until_s = begun_s + _GRACE_S + had / _LEAST_BYTES_S
                piece = pieces.get(timeout=max(0.0, until_s - time.monotonic()))
                if isinstance(piece, HTTPError):
                    said = f"{url}: {piece.code} {piece.reason}"
                    raise DownloadHTTPError(said, piece.code) from piece
                if isinstance(piece, Exception):
                    raise DownloadError(f"{url}: {piece or type(piece).__name__}") from piece
                if not piece:
                    return
                had += len(piece)
                yield piece
        except Empty:
            raise DownloadError(f"{url} comes too slowly") from None
        finally:
            over.set()


def _read(url: str, pieces: Queue[bytes | Exception], over: Event) -> None:
    """Hands on what comes, an empty piece at its end, or what went wrong."""
    asked = Request(url, headers={"User-Agent": "trackside"})
    try:
        with urlopen(asked, timeout=_SILENT_S) as answer:
            while _hand_on(piece := answer.read1(_PIECE), pieces, over) and piece:
                pass
    except Exception as error:  # of HTTP, of the net, or of a server that speaks something else
        _hand_on(error, pieces, over)


def _hand_on(piece: bytes | Exception, pieces: Queue[bytes | Exception], over: Event) -> bool:
    """Whether somebody still wants it."""
    while not over.is_set():
        with suppress(Full):
            pieces.put(piece, timeout=_LOOK_S)
            return True
    return False
