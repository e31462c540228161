"""Whole messages between two processes of one program, over a socket that nobody waits for."""

from __future__ import annotations

import pickle
import select
import socket
from typing import Any

_LENGTH_BYTES = 4
_CHUNK = 1 << 16


class Channel:
    """One end of it. One thread sends at a time, and one receives."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._outgoing = bytearray()  # waits until the socket has room
        self._incoming = bytearray()
        self._poll = select.poll()
        self._poll.register(end, select.POLLIN)

    def send(self, message: object) -> None:
        """Hand it to the system, or keep it for `flush`. That nobody hears it, `receive` tells."""
        body = pickle.dumps(message)
        self._outgoing += len(body).to_bytes(_LENGTH_BYTES, "big") + body
        self.flush()

    def flush(self) -> None:
        """Hand on what was kept, as far as there is room."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self._outgoing.clear()

    def wait(self, timeout_ns: int) -> None:
        """Until something comes, in whole milliseconds at most `timeout_ns`."""
        self._poll.poll(timeout_ns // 1_000_000)

    def receive(self) -> list[Any]:
        """The messages that are here; EOFError once the other end is closed and all is read."""
        closed = self._fill()
        messages = []
        while (body := self._cut()) is not None:
            messages.append(pickle.loads(body))
        if closed and not messages:
            raise EOFError("the other process is gone")
        return messages

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> bool:
        """Read what there is; whether the other end is closed."""
        try:
            while chunk := self._socket.recv(_CHUNK):
                self._incoming += chunk
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return True

    def _cut(self) -> bytes | None:
        """The next whole message."""
        incoming = self._incoming
        end = _LENGTH_BYTES + int.from_bytes(incoming[:_LENGTH_BYTES], "big")
        if not _LENGTH_BYTES < end <= len(incoming):
            return None
        body = bytes(incoming[_LENGTH_BYTES:end])
        del incoming[:end]
        return body
