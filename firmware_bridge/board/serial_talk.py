"""Questions and answers with a board on a serial port, the only place that knows pyserial."""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Iterable
from typing import Any

from firmware_bridge.board import requests
from firmware_bridge.board.answers import Answer, parse_answer
from firmware_bridge.board.packets import PacketReader
from firmware_bridge.board.requests import Kind
from firmware_bridge.errors import LineError
from firmware_bridge.types import SECOND_NS, Clock, Reading

ANSWER_NS = 50_000_000  # an answer that has not come by then is lost, however slow the adapter
QUICK_NS = 5_000_000  # before that none is taken for lost
WRITE_NS = 2 * SECOND_NS  # a port that takes no bytes for so long is stuck
EXCHANGES = 64  # of the latest the quickest compares the clocks best; they drift little meanwhile
LONGEST_ANSWER = 256  # bytes
UNASKED = 200  # answers to no open question that may come, beyond one for each question sent
BITS_A_BYTE = 10
# What a board may refuse now and take a moment later, when the same comes once more.
TAKEN_OR_REFUSED = {Kind.ORDER, Kind.PASS, Kind.MODE}
_NUMBERS = 2**32


class Talk:
    """Questions and answers with the board: resends what is lost, and compares the clocks.

    Each question says which answer was heard last, which tells the board that both ways are whole.
    """

    def __init__(self, port: str, baud: int, clock: Clock) -> None:
        self.heard_ns = clock()
        self.resent = 0
        self.unasked = 0  # undamaged packets that were no answer to an open question
        self.clock_error_ns = 0
        self.name = port
        self._baud = baud
        self._clock = clock
        self._packets = PacketReader()
        self._sent = 0  # requests, each with its own number
        self._heard = self._heard_before = 0  # numbers of the newest answer, and the one before
        self._before = 0  # answers that the board had given before this link opened
        self._offsets: deque[tuple[int, int]] = deque(maxlen=EXCHANGES)  # error_ns, offset_ns
        self._lately: deque[int] = deque(maxlen=8)  # how long exchanges took
        self._storm = (0, 0, 0)  # when it was last calm, and `unasked` and `_sent` at that time
        self._port = _open_port(port, baud)
        self._incoming = select.poll()
        self._incoming.register(self._port.fileno(), select.POLLIN)

    @property
    def damaged(self) -> int:
        return self._packets.damaged

    def close(self) -> None:
        self._port.close()

    def ask(self, kind: Kind, session: int, bodies: Iterable[bytes], *, patience_ns: int) -> Answer:
        """The board's answer, however often it takes; LineError when patience ends.

        Each time it is asked with the next of `bodies`, and with the last of them from then on.
        What is taken or refused, the answer to the last time says: others may be on their way.
        """
        give_up_ns = self._clock() + patience_ns
        sent: dict[int, tuple[int, int]] = {}  # sequence -> when, and how many bytes
        wait_ns, unasked = self._answer_ns(), self.unasked
        ways, body = iter(bodies), b""
        while self._clock() < give_up_ns:
            self.resent += bool(sent)
            self._sent += 1
            sequence = self._sent % _NUMBERS
            body = next(ways, body)
            request = requests.request(kind, sequence, session, self._heard, body)
            sent[sequence] = self._clock(), len(request)
            self._write(request)
            wire_ns = (len(request) + LONGEST_ANSWER) * BITS_A_BYTE * SECOND_NS // self._baud
            until_ns = self._clock() + wire_ns + wait_ns
            heard = self._heard
            answer = self._await(kind, sent, min(give_up_ns, until_ns))
            if answer is not None:
                return answer
            wait_ns = min(2 * wait_ns, ANSWER_NS)
            if self._heard != heard:  # of an earlier asking: answers take as long as that by now
                wait_ns = max(wait_ns, 2 * self._lately[-1])
        others = self.unasked - unasked
        raise LineError(
            f"{self.name}: no answer for {patience_ns // 1_000_000} ms: check that the board is "
            "on, its cable, its baud rate, and that it was flashed with Trackside's firmware"
            + (f"; {others} packets came that are no answers: see what echoes" if others else "")
        )

    def place(self, reading: Reading) -> Reading:
        """One of the board's on this machine's clock, by the quickest recent exchange."""
        self.clock_error_ns, offset_ns = min(self._offsets)
        return Reading(reading.position_um, reading.at_ns + offset_ns)

    def _answer_ns(self) -> int:
        """After how long an answer is taken to be lost, by how long others took of late."""
        usual_ns = sorted(self._lately)[len(self._lately) // 2] if self._lately else ANSWER_NS
        return max(QUICK_NS, min(3 * usual_ns, ANSWER_NS))

    def _await(self, kind: Kind, sent: dict[int, tuple[int, int]], until_ns: int) -> Answer | None:
        while (left_ns := until_ns - self._clock()) > 0:
            received = self._read(left_ns)
            now_ns = self._clock()
            found = None
            for body in self._packets.feed(received):
                answer = parse_answer(body)
                if (
                    answer is None
                    or answer.kind is not kind
                    or answer.sequence not in sent
                    or found
                ):
                    self.unasked += 1  # late, an echo, or damage that no CRC shows
                    continue
                self._hear(answer, now_ns, len(body), *sent[answer.sequence])
                if kind not in TAKEN_OR_REFUSED or answer.sequence == next(reversed(sent)):
                    found = answer
            self._expect_calm(now_ns)
            if found:
                return found
        return None

    def _hear(
        self, answer: Answer, now_ns: int, received_bytes: int, sent_ns: int, sent_bytes: int
    ) -> None:
        """Compare the clocks: both ways of an exchange take as long as they have bytes.

        The board read its encoder when the request was in, and before the answer went out.
        """
        if self._heard == 0:
            self._before = answer.number - 1
        self._heard_before, self._heard = self._heard, answer.number
        took_ns = now_ns - sent_ns
        at_ns = sent_ns + took_ns * sent_bytes // (sent_bytes + received_bytes)
        self._offsets.append((took_ns, at_ns - answer.reading.at_ns))
        self._lately.append(took_ns)
        self.heard_ns = now_ns

    def expect_next(self) -> None:
        """LineError unless the answer heard last is a new one, and was asked for from here.

        The board counts its answers: there are no more than questions, and none comes again.
        """
        number, before = self._heard, self._heard_before
        if not 0 < (number - before) % _NUMBERS < _NUMBERS // 2:
            raise LineError(
                f"{self.name}: the board's answers count from {number} after {before}: it was "
                "reset and its session opened again by somebody else; check its supply, and let "
                "one program alone use it"
            )
        if (number - self._before) % _NUMBERS > self._sent:
            raise LineError(
                f"{self.name}: the board answered more questions than were asked: somebody else "
                "asks it, or the line carries old ones; let one program alone use it"
            )

    def _expect_calm(self, now_ns: int) -> None:
        """Answers that come too late are no more than the questions; an echo's are."""
        since_ns, unasked, sent = self._storm
        beyond = self.unasked - unasked - (self._sent - sent)
        if beyond <= 0 and now_ns - since_ns > SECOND_NS:
            self._storm = now_ns, self.unasked, self._sent
        elif beyond > UNASKED:
            raise LineError(
                f"{self.name}: {self.unasked - unasked} answers that nobody asked for, to "
                f"{self._sent - sent} questions: look for an echo in the adapter or its cable"
            )

    def _write(self, request: bytes) -> None:
        try:
            self._port.write(request)
        except OSError as error:
            raise self._lost(error) from error

    def _read(self, wait_ns: int) -> bytes:
        """What has come; waits for the first byte of it."""
        try:
            if not self._incoming.poll(wait_ns / 1_000_000):
                return b""
            received = os.read(self._port.fileno(), 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not received:
            raise LineError(f"{self.name}: the port is gone: check the board's cable and supply")
        return received

    def _lost(self, error: OSError) -> LineError:
        return LineError(f"{self.name}: {error}: check the board's cable and supply")


def _open_port(port: str, baud: int) -> Any:
    try:
        import serial  # type: ignore[import-untyped]  # noqa: PLC0415 - where a board is wired
    except ImportError as missing:
        raise LineError(
            "a serial link needs pyserial: pip install 'trackside[serial]'"
        ) from missing
    try:
        return serial.Serial(
            port, baud, exclusive=True, timeout=0, write_timeout=WRITE_NS / SECOND_NS
        )
    except OSError as refused:
        raise LineError(
            f"{port}: {refused}: check its name and cable, that you are in the group of the "
            "device (dialout), and that no other program holds it"
        ) from refused
