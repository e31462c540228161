"""What a web server says, by Python's own HTTP, with an eye on the pace at which it comes.

A server may let drip what comes before the content too, for days, each byte in good time. So it is
read by a thread, which nobody waits for longer than the pace allows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

_SILENT_S = 10  # a server that says nothing for so long is gone
_GRACE_S, _LEAST_BYTES_S = 30, 4096  # after so long, what comes more slowly is given up
_PIECE = 65_536
_LOOK_S = 0.5  # between two looks whether somebody still wants it


def paced(asked: Request) -> Iterator[bytes]:
    """Piece by piece; HTTPError for an answer that is none, else OSError with the URL and why."""
    pieces: Queue[bytes | Exception] = Queue(1)
    over = Event()
    Thread(target=_read, args=(asked, pieces, over), name="depot", daemon=True).start()
    begun_s, had = time.monotonic(), 0
    try:
        while True:
            until_s = begun_s + _GRACE_S + had / _LEAST_BYTES_S
            piece = pieces.get(timeout=max(0.0, until_s - time.monotonic()))
            if isinstance(piece, HTTPError):
                raise piece
            if isinstance(piece, Exception):
                raise OSError(f"{asked.full_url}: {piece or type(piece).__name__}") from piece
            if not piece:
                return
            had += len(piece)
            yield piece
    except Empty:
        raise OSError(f"{asked.full_url} comes too slowly") from None
    finally:
        over.set()


def _read(asked: Request, pieces: Queue[bytes | Exception], over: Event) -> None:
    """Hands on what comes, an empty piece at its end, or what went wrong."""
    asked.add_header("User-Agent", "trackside")
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
