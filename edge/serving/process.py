"""The line's side of its servers: starts each one's process, answers what it asks, starts it again.

The line feels of a server's guests what the server asks for, and of that a fifth of one thread's
time at most.
"""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from edge.errors import TracksideError
from edge.extras import require
from edge.serving.address import Address, bound
from edge.serving.bounded_log import BoundedLog
from edge.serving.link import LineEnd, Message

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from edge.serving.child import main; main()"
)
_START_S = 300  # it loads its packages while a busy line leaves it little of the processor
_SILENT_S = 30  # a server that asks for nothing for so long hangs
_CLOSE_S = 3  # until it is killed
_RETRY_S = (1.0, 60.0)  # the first wait before it is started again, and the longest
_WELL_S = 60  # a server that ran for so long is started again after the first wait
_REST = 4  # after an answer, times as long as that took, before the next is given
_LEAST_REST_S = 0.002

log = logging.getLogger("trackside")

Answer = Callable[[Mapping[str, Any]], Message]


@dataclass(frozen=True)
class Served:
    """What is served, and where."""

    address: Address
    needs: tuple[str, ...]  # packages, which its process alone imports
    app: str  # module:factory, of an ASGI application
    settings: Mapping[str, Any]  # which the factory is given; JSON
    answers: Mapping[str, Answer]  # by the word that is asked for
    slow: Mapping[str, Answer] = field(default_factory=dict)  # given in a thread of their own


@contextmanager
def serving(served: Served) -> Iterator[int]:
    """Serve until left; gives the port.

    NotInstalled where its packages are not there, ConfigurationError for an address that cannot be
    served at.
    """
    require(*served.needs)
    with bound(served.address) as listener:
        server = _Server(served, listener)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.close()


class _Server:
    """One server's processes, one after the other, and the thread that answers them."""

    def __init__(self, served: Served, listener: socket.socket) -> None:
        self._served, self._listener = served, listener
        self._section = served.address.section
        self._closing = Event()
        self._running: tuple[subprocess.Popen[bytes], LineEnd] | None = None
        self._busy: set[str] = set()  # slow answers that are under way
        self._said = BoundedLog(self._say, time.monotonic_ns)
        self._thread = Thread(target=self._run, name=self._section, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Its guests are told; whatever it does, it is gone afterwards."""
        self._closing.set()
        if (running := self._running) is not None:
            process, end = running
            end.say_goodbye()
            self._thread.join(_CLOSE_S)
            process.kill()  # does nothing to one that has ended
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        wait_s = _RETRY_S[0]
        while not self._closing.is_set():
            began = time.monotonic()
            try:
                why = self._serve_once()
            except OSError as error:  # no descriptors, no memory
                why = str(error)
            if time.monotonic() - began > _WELL_S:
                wait_s = _RETRY_S[0]
            if not self._closing.is_set():
                text = f"{self._section}: its server {why}; it is started again, the line goes on"
                self._said.add(logging.WARNING, text)
            if self._closing.wait(wait_s):
                return
            wait_s = min(2 * wait_s, _RETRY_S[1])

    def _serve_once(self) -> str:
        """From a server's start to its end; what became of it."""
        ours, theirs = socket.socketpair()
        with closing(LineEnd(ours, _START_S, _SILENT_S)) as end:
            paths = [path for path in sys.path if Path(path).is_absolute()]
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _PROGRAM, json.dumps(paths)],
                    stdin=theirs.fileno(),
                    pass_fds=[self._listener.fileno()],
                    start_new_session=True,  # Ctrl-C is meant for the line alone
                )
            try:
                return self._attend(process, end)
            finally:
                self._running = None
                process.kill()
                process.wait()

    def _attend(self, process: subprocess.Popen[bytes], end: LineEnd) -> str:
        try:
            end.send(Message(self._first_word()))
            self._running = process, end
            if self._closing.is_set():  # closed just before it could be told
                return "was not wanted"
            self._answer_all(end)
            return f"ended with exit code {process.wait(_CLOSE_S)}"
        except TimeoutError:
            return "hangs"
        except ValueError as error:
            return f"does not keep to what was agreed: {error}"
        except subprocess.TimeoutExpired:
            return "does not end"
        except OSError:
            return "is gone"

    def _first_word(self) -> dict[str, Any]:
        certificate = self._served.address.certificate
        files = None if certificate is None else [str(certificate.chain), str(certificate.key)]
        return {
            "section": self._section,
            "app": self._served.app,
            "settings": dict(self._served.settings),
            "certificate": files,
            "listener": self._listener.fileno(),
        }

    def _answer_all(self, end: LineEnd) -> None:
        while True:
            try:
                questions = end.receive()
            except EOFError:
                return
            for question in questions:
                began = time.monotonic()
                self._take(end, question.facts)
                took_s = time.monotonic() - began
                time.sleep(max(_LEAST_REST_S, _REST * took_s))

    def _take(self, end: LineEnd, facts: Mapping[str, Any]) -> None:
        match facts:
            case {"say": str(text), "level": int(level)}:
                self._said.add(level, f"{self._section}: {text}")
            case {"number": int(number), "ask": str(what)} if what in self._served.answers:
                self._answer(end, number, self._served.answers[what], facts)
            case {"number": int(number), "ask": str(what)} if what in self._served.slow:
                self._answer_slowly(end, number, what, facts)
            case _:
                raise ValueError("a question that nobody answers")

    def _answer_slowly(
        self, end: LineEnd, number: int, what: str, facts: Mapping[str, Any]
    ) -> None:
        if what in self._busy:
            end.send(Message({"number": number, "busy": True}))
            return

        def answer() -> None:
            try:
                with suppress(OSError):  # the server has gone meanwhile
                    self._answer(end, number, self._served.slow[what], facts)
            finally:
                self._busy.discard(what)

        self._busy.add(what)
        Thread(target=answer, name=f"{self._section} {what}", daemon=True).start()

    def _answer(self, end: LineEnd, number: int, answer: Answer, facts: Mapping[str, Any]) -> None:
        try:
            message = answer(facts)
        except TracksideError as error:
            message = Message({"error": str(error)})
        except Exception as error:  # whatever it is, the page goes on, and so does the line
            log_text = f"{self._section}: {facts['ask']} fails: {error!r}"
            self._said.add(logging.ERROR, log_text)
            message = Message({"error": "this failed: see the line's log"})
        end.send(Message({**message.facts, "number": number}, message.content))

    def _say(self, level: int, text: str) -> None:
        log.log(level, "%s", text)
