"""What a server's process asks the line's, and what it is answered, over a pair of sockets.

A message is a JSON object and some bytes. What comes is looked up by name and never run or
unpickled: whoever breaks into the server can ask what the server may ask, and no more.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct("!II")
_MOST_ASKED = 1 << 16  # bytes of a question
_CHUNK = 1 << 16
_GOODBYE_S = 0.5


@dataclass(frozen=True)
class Message:
    """One of either end."""

    facts: dict[str, Any]
    content: bytes = b""


def packed(message: Message) -> bytes:
    facts = json.dumps(message.facts, separators=(",", ":")).encode()
    return _LENGTHS.pack(len(facts), len(message.content)) + facts + message.content


class Inbox:
    """Puts together what comes in pieces."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._come = bytearray()

    def put(self, piece: bytes) -> list[Message]:
        """The messages that are whole by it; ValueError for one that is none."""
        self._come += piece
        found = []
        while len(self._come) >= _LENGTHS.size:
            facts, content = _LENGTHS.unpack_from(self._come)
            end = _LENGTHS.size + facts + content
            if end > self._most:
                raise ValueError(f"a message of {end} bytes, and {self._most} are the most")
            if len(self._come) < end:
                break
            body = bytes(self._come[_LENGTHS.size : end])
            del self._come[:end]
            said = json.loads(body[:facts])
            if not isinstance(said, dict):
                raise ValueError("a message that is no object")
            found.append(Message(said, body[facts:]))
        return found


class LineEnd:
    """The line's end. One thread receives; any thread sends."""

    def __init__(self, end: socket.socket, first_s: float, then_s: float) -> None:
        """Patience until the first question, and until each one after it."""
        end.settimeout(first_s)
        self._socket, self._then_s, self._inbox = end, then_s, Inbox(_MOST_ASKED)
        self._sending = threading.Lock()

    def receive(self) -> list[Message]:
        """What was asked; EOFError once nobody can ask, TimeoutError if nobody does."""
        piece = self._socket.recv(_CHUNK)
        if not piece:
            raise EOFError
        self._socket.settimeout(self._then_s)
        return self._inbox.put(piece)

    def send(self, message: Message) -> None:
        with self._sending:
            self._socket.sendall(packed(message))

    def say_goodbye(self) -> None:
        """Have the server end, unless it takes nothing: then it has to be killed anyhow."""
        if self._sending.acquire(timeout=_GOODBYE_S):
            with suppress(OSError):
                self._socket.sendall(packed(Message({"closing": True})))
            self._sending.release()

    def close(self) -> None:
        self._socket.close()
