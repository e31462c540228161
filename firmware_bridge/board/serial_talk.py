"""Questions and answers with a board on a serial port, the only place that knows pyserial."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from firmware_bridge.board import framing
from firmware_bridge.board.framing import Answer, FrameReader, Kind
from firmware_bridge.errors import LineError
from firmware_bridge.types import SECOND_NS, Clock, Reading

ANSWER_NS = 50_000_000  # an answer that takes longer, be it through a slow adapter, is lost
WRITE_NS = 2 * SECOND_NS  # a port that takes no bytes for so long is stuck
EXCHANGES = 64  # among which the quickest tells the time best; crystals drift little meanwhile


class Talk:
    """Questions and answers with the board: resends what is lost, and compares the clocks."""

    def __init__(self, port: str, baud: int, clock: Clock) -> None:
        self.heard_ns = clock()
        self.reading = Reading(0, self.heard_ns)  # on this machine's clock
        self.resent = 0
        self.clock_error_ns = 0
        self._name = port
        self._clock = clock
        self._frames = FrameReader()
        self._sequences = count()
        self._offsets: deque[tuple[int, int]] = deque(maxlen=EXCHANGES)  # error_ns, offset_ns
        self._port = _open_port(port, baud)

    @property
    def damaged(self) -> int:
        return self._frames.damaged

    def close(self) -> None:
        self._port.close()

    def ask(self, kind: Kind, session: int, body: bytes, *, patience_ns: int) -> Answer:
        """The board's answer, however often it takes; LineError when patience ends."""
        give_up_ns = self._clock() + patience_ns
        sent: dict[int, tuple[int, int]] = {}  # sequence -> when, and how many bytes
        while self._clock() < give_up_ns:
            self.resent += bool(sent)
            sequence = next(self._sequences) % 256
            request = framing.request(kind, sequence, session, body)
            sent[sequence] = self._clock(), len(request)
            self._write(request)
            answer = self._await(kind, sent, min(give_up_ns, self._clock() + ANSWER_NS))
            if answer is not None:
                return answer
        raise LineError(
            f"{self._name}: no answer for {patience_ns // 1_000_000} ms: check that the board is "
            "on, its cable, its baud rate, and that it was flashed with Trackside's firmware"
        )

    def _await(self, kind: Kind, sent: dict[int, tuple[int, int]], until_ns: int) -> Answer | None:
        while True:
            received = self._read()
            now_ns = self._clock()
            for body in self._frames.feed(received):
                answer = framing.parse_answer(body)
                # others are of old, or damage that a CRC does not show
                if answer is not None and answer.kind is kind and answer.sequence in sent:
                    self._hear(answer, now_ns, len(body), *sent[answer.sequence])
                    return answer
            if now_ns >= until_ns:
                return None

    def _hear(
        self, answer: Answer, now_ns: int, received_bytes: int, sent_ns: int, sent_bytes: int
    ) -> None:
        """Place the board's reading on this machine's clock, by the quickest recent exchange.

        The board took it when the request was in, and before the answer went out; both ways take
        as long as they have bytes.
        """
        took_ns = now_ns - sent_ns
        at_ns = sent_ns + took_ns * sent_bytes // (sent_bytes + received_bytes)
        self._offsets.append((took_ns, at_ns - answer.reading.at_ns))
        self.clock_error_ns, offset_ns = min(self._offsets)
        self.reading = Reading(answer.reading.position_um, answer.reading.at_ns + offset_ns)
        self.heard_ns = now_ns

    def _write(self, request: bytes) -> None:
        try:
            self._port.write(request)
        except OSError as error:
            raise self._lost(error) from error

    def _read(self) -> bytes:
        """What has come; waits for the first byte of it, for ANSWER_NS at most."""
        try:
            first: bytes = self._port.read(1)
            rest: bytes = self._port.read(self._port.in_waiting) if first else b""
        except OSError as error:
            raise self._lost(error) from error
        return first + rest

    def _lost(self, error: OSError) -> LineError:
        return LineError(f"{self._name}: {error}: check the board's cable and supply")


def _open_port(port: str, baud: int) -> Any:
    try:
        import serial  # type: ignore[import-untyped]  # noqa: PLC0415 - where a board is wired
    except ImportError as missing:
        raise LineError(
            "a serial link needs pyserial: pip install 'trackside[serial]'"
        ) from missing
    try:
        return serial.Serial(
            port,
            baud,
            exclusive=True,
            timeout=ANSWER_NS / SECOND_NS,
            write_timeout=WRITE_NS / SECOND_NS,
        )
    except OSError as refused:
        raise LineError(
            f"{port}: {refused}: check its name and cable, that you are in the group of the "
            "device (dialout), and that no other program holds it"
        ) from refused
