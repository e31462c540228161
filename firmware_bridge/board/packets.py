"""Packets on a stream of bytes, a body and its CRC each, as firmware/PROTOCOL.md has them."""

from __future__ import annotations

from zlib import crc32

_CODED_BYTES = 254  # of a packet between its noughts, at most
_CRC_BYTES = 4


def packet(body: bytes) -> bytes:
    """The body and its CRC between noughts, in COBS: each nought becomes a way to the next."""
    data = body + crc32(body).to_bytes(_CRC_BYTES, "little")
    parts = data.split(b"\0")
    return b"\0" + b"".join(bytes([len(part) + 1]) + part for part in parts) + b"\0"


class PacketReader:
    """Finds packets in a stream of bytes. What is damaged is dropped and counted."""

    def __init__(self) -> None:
        self.damaged = 0
        self._coded = bytearray()

    def feed(self, received: bytes) -> list[bytes]:
        """The bodies of the undamaged packets that `received` completes."""
        *ended, rest = received.split(b"\0")
        bodies = []
        for part in ended:
            body = self._unpack(bytes(self._coded + part))
            self._coded.clear()
            if body:
                bodies.append(body)
        self._coded += rest
        del self._coded[_CODED_BYTES + 1 :]  # enough to see that it is too long
        return bodies

    def _unpack(self, coded: bytes) -> bytes:
        if not coded:
            return b""  # two noughts on end
        data, at = bytearray(), 0
        while at < len(coded):
            data += b"\0" + coded[at + 1 : at + coded[at]]
            at += coded[at]
        body, crc = bytes(data[1:-_CRC_BYTES]), bytes(data[-_CRC_BYTES:])
        fits = at == len(coded) <= _CODED_BYTES
        if fits and body and crc32(body) == int.from_bytes(crc, "little"):
            return body
        self.damaged += 1
        return b""
