"""Tells systemd of the line's life: READY with good frames, WATCHDOG by every camera's progress.

Nothing here has a thread or a timer. A loop that hangs says nothing, whatever else in the process
still runs, and systemd starts the service again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from edge.bridge import Rounds
from edge.inspect import Inspection
from edge.types import State

_EXTEND_S = 60  # systemd gives a line that starts so much longer, each time it shows life
_OFTEN = 4  # times that systemd hears of progress within the time it waits for it

Send = Callable[[str], bool]  # returns whether systemd took it


class Notifier:
    """What systemd is told, and when. It belongs to the main loop's thread."""

    def __init__(self, send: Send, watchdog_ns: int | None, cameras: Iterable[str]) -> None:
        self._send = send
        cameras = tuple(cameras)
        self._rounds = Rounds(cameras)
        self._blind = set(cameras)  # that have shown no good frame yet
        self._every_ns = None if watchdog_ns is None else watchdog_ns // _OFTEN
        self._told_ns: int | None = None
        self._ready = False

    def inspected(self, inspection: Inspection, now_ns: int) -> None:
        """A frame was dealt with."""
        camera, verdict = inspection.camera, inspection.verdict
        if self._ready:
            self._feed(camera, now_ns)
            return
        if verdict.state is State.UNKNOWN:
            waits = f"waiting for the first good frame of {camera}: {'; '.join(verdict.reasons)}"
            self._extend(camera, waits)
            return
        self._blind.discard(camera)
        if self._blind:
            self._extend(camera, f"waiting for the first good frame of {', '.join(self._blind)}")
        else:
            self._ready = self._send("READY=1\nSTATUS=inspecting")

    def waited(self, camera: str, now_ns: int) -> None:
        """Outputs and encoder were found in order, and the rail standing under a camera."""
        if self._ready:
            self._feed(camera, now_ns)
        else:
            self._extend(camera, "waiting for the rail to move")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _feed(self, camera: str, now_ns: int) -> None:
        if not self._rounds.done(camera) or self._every_ns is None:
            return
        due = self._told_ns is None or now_ns - self._told_ns >= self._every_ns
        if due and self._send("WATCHDOG=1"):
            self._told_ns = now_ns

    def _extend(self, camera: str, status: str) -> None:
        if not self._rounds.done(camera):
            return
        # A line break would begin another statement.
        self._send(f"EXTEND_TIMEOUT_USEC={_EXTEND_S}000000\nSTATUS={' '.join(status.split())}")


@contextmanager
def notifying(environ: Mapping[str, str], cameras: Iterable[str]) -> Iterator[Notifier]:
    """A notifier to whoever started this process; one that tells nobody, if not as a service."""
    address = environ.get("NOTIFY_SOCKET")
    if not address:
        yield Notifier(lambda _: True, None, cameras)
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)  # the loop waits for nobody
        notifier = Notifier(_sender(channel, address), _watchdog_ns(environ), cameras)
        try:
            yield notifier
        finally:
            notifier.stopping()


def _sender(channel: socket.socket, address: str) -> Send:
    if address.startswith("@"):  # an abstract name
        address = "\0" + address[1:]

    def send(state: str) -> bool:
        try:
            channel.sendto(state.encode(), address)
        except OSError:  # it is busy or starting anew: the next progress says it again
            return False
        return True

    return send


def _watchdog_ns(environ: Mapping[str, str]) -> int | None:
    meant_for = environ.get("WATCHDOG_PID", str(os.getpid()))
    if "WATCHDOG_USEC" not in environ or meant_for != str(os.getpid()):
        return None
    return int(environ["WATCHDOG_USEC"]) * 1000
