"""Somebody who looks at the live page all the time: its news, and each new picture."""

from __future__ import annotations

import threading
from http.client import HTTPException
from importlib.util import find_spec
from urllib.request import urlopen

_PATIENCE_S = 10
_AGAIN_S = 1.0  # after the page was gone, as a browser would

CAN_LOOK = all(find_spec(package) for package in ("starlette", "uvicorn"))


class Viewer:
    """Looks from a thread of its own; `pictures` says how many it has seen."""

    def __init__(self, port: int) -> None:
        self.pictures = 0
        self._url = f"http://127.0.0.1:{port}"
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, name="viewer", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except (OSError, HTTPException):  # it has not started yet, or ended
                self._closing.wait(_AGAIN_S)

    def _follow(self) -> None:
        with urlopen(f"{self._url}/events", timeout=_PATIENCE_S) as stream:
            for text in stream:
                if self._closing.is_set():
                    return
                if text.startswith(b"event: news"):
                    with urlopen(f"{self._url}/frame.jpg", timeout=_PATIENCE_S) as picture:
                        self.pictures += bool(picture.read())
