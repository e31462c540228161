"""A session with a board: the handshake, and what every answer of it has to be."""

from __future__ import annotations

import secrets
from dataclasses import replace

from firmware_bridge.board import requests
from firmware_bridge.board.answers import (
    Answer,
    Board,
    BoardPlace,
    BoardStatistics,
    Fault,
    Refusal,
    ResetCause,
    State,
    parse_board,
    parse_place,
    parse_statistics,
)
from firmware_bridge.board.requests import SETTINGS, Kind
from firmware_bridge.board.serial_talk import Talk
from firmware_bridge.core import ActuatorTraits, SpeedLimit
from firmware_bridge.errors import LineError, RejectorStopped
from firmware_bridge.types import SECOND_NS, Mode, Reading

BOOT_NS = 3 * SECOND_NS  # within this after its power comes a board answers
_OPENINGS = 20  # attempts: a board that was greeted often while it started answers as often
_JITTER_NS = 1_000_000  # the longest that the board lets pass between two readings

_REMEDIES = {
    State.SILENT: "it heard nothing for too long; check the cable and the load on this machine",
    State.ENCODER_FAILED: "its encoder lost counts, jumped, or has a dead channel; check the "
    "encoder and its cable",
    State.STALLED: "it stood still for more than a second; check its supply and firmware",
    State.CLOSED: "another program closed the session; let one alone use the board",
    State.RELEASED: "another program closed the session; let one alone use the board",
}
_RESETS = {
    ResetCause.UNKNOWN: "check its supply",
    ResetCause.POWER: "its supply had failed; check it",
    ResetCause.PIN: "by its reset pin; see what drives it",
    ResetCause.WATCHDOG: "its loop stood still; flash it anew, and change it if that comes again",
    ResetCause.PROGRAM: "its program met what it cannot execute; flash it anew, and change it if "
    "that comes again",
    ResetCause.STACK: "its stack overflowed; flash the firmware of this release",
}

_OPEN = {State.RUNNING}
_CLOSED = {State.CLOSED, State.RELEASED}


class Session:
    """One session, from its opening on. What ends it, or is not as it should be, is raised.

    Where `serial_number` or `firmware` is given, no other board and no other program will do.
    """

    def __init__(
        self,
        talk: Talk,
        settings: ActuatorTraits,
        *,
        nm_per_count: int,
        fastest_um_s: int,
        silence_ns: int,
        default_reject: bool,
        serial_number: str | None = None,
        firmware: str | None = None,
        boot_ns: int = BOOT_NS,
    ) -> None:
        self.number = secrets.randbelow(2**32 - 1) + 1
        self.mode = Mode.ORDERED  # what the board was told
        self.place = BoardPlace(0, 0)
        self.reading = Reading(0, 0)
        self._talk = talk
        self._patience_ns, self._boot_ns = silence_ns, boot_ns
        slack_um = abs(nm_per_count) // 1000 + 2 + fastest_um_s * _JITTER_NS // SECOND_NS
        self._limit = SpeedLimit(fastest_um_s, slack_um=slack_um)
        opening = requests.opening(
            settings,
            nm_per_count=nm_per_count,
            silence_ns=silence_ns,
            fastest_um_s=fastest_um_s,
            default_reject=default_reject,
        )
        self._settings_crc = requests.settings_crc(opening)
        self.board, self._greeting_ns = self._greet()
        _expect_board(talk.name, self.board, serial_number, firmware)
        self._open(opening)

    @property
    def resent(self) -> int:
        """Requests whose answer did not come in time, so far."""
        return self._talk.resent

    def ask(self, kind: Kind, *bodies: bytes) -> Answer:
        """What the board answers. LineError where it does not, or not as it should;
        RejectorStopped, with the cause, where the session is over.
        """
        answer = self._talk.ask(kind, self.number, bodies, patience_ns=self._patience_ns)
        self._expect(answer)
        return answer

    def set_mode(self, mode: Mode) -> bool:
        """Whether the board has taken it; else there was no room for what may come of it."""
        answer = self.ask(Kind.MODE, requests.mode(mode))
        taken = answer.refusal is Refusal.NONE
        self.mode = mode if taken else self.mode
        self._expect_mode(answer)
        return taken

    def statistics(self) -> BoardStatistics:
        return parse_statistics(self.ask(Kind.STATISTICS).body)

    def close(self, *, release: bool) -> None:
        """The board rejects from here on, unless it is to release its output."""
        self.ask(Kind.CLOSE, requests.closing(release=release))

    def _greet(self) -> tuple[Board, int]:
        """Who answers, and when by its own clock."""
        answer = self._talk.ask(Kind.HELLO, 0, [requests.hello()], patience_ns=self._boot_ns)
        if answer.refusal is not Refusal.NONE:
            raise LineError(
                f"{self._talk.name}: the board refuses a HELLO ({answer.refusal.name}): "
                "flash the firmware of this release"
            )
        return parse_board(answer.body), answer.reading.at_ns

    def _open(self, opening: bytes) -> None:
        for _ in range(_OPENINGS):
            greeted = requests.greeted(self._greeting_ns, opening)
            answer = self._talk.ask(Kind.OPEN, self.number, [greeted], patience_ns=self._boot_ns)
            if answer.refusal is not Refusal.STALE:
                break
            # The board has answered another greeting meanwhile, and goes by that one alone.
            _, self._greeting_ns = self._greet()
        if answer.refusal is Refusal.SETTING:
            name = dict(enumerate(SETTINGS, 1)).get(answer.detail, f"setting {answer.detail}")
            raise LineError(
                f"{self._talk.name}: {self.board.name} refuses {name}: "
                "give a value in the range that PROTOCOL.md has for it"
            )
        if answer.refusal is Refusal.FAULT:
            faults = _name_faults(Fault(answer.detail))
            raise LineError(f"{self._talk.name}: {self.board.name} {faults}")
        self._expect(answer)
        self.place = parse_place(answer.body)

    def _expect(self, answer: Answer) -> None:
        if answer.session not in {0, self.number}:
            raise RejectorStopped("another program opened the board: let one alone use it")
        meant = _CLOSED if answer.kind is Kind.CLOSE else _OPEN
        if answer.session != self.number or answer.state not in meant:
            raise RejectorStopped(f"the board rejects all: {self._name_cause(answer)}")
        self._talk.expect_next()
        if answer.refusal not in {Refusal.NONE, Refusal.FULL}:
            raise LineError(
                f"the board refuses a {answer.kind.name} ({answer.refusal.name}): "
                "flash the firmware of this release"
            )
        if answer.settings != self._settings_crc:
            raise LineError(
                f"the board acts by settings of CRC {answer.settings:08x}, not of "
                f"{self._settings_crc:08x} as it was given: its memory is damaged; change it"
            )
        if answer.kind is not Kind.MODE:
            self._expect_mode(answer)
        self._limit.check(answer.reading)
        self.reading = self._talk.place(answer.reading)

    def _expect_mode(self, answer: Answer) -> None:
        if answer.mode != requests.mode_number(self.mode):
            raise LineError(
                f"the board is in mode {answer.mode} though it was told {self.mode.value!r}: "
                "somebody else asks it, or the line carries old questions; let one program alone "
                "use it"
            )

    def _name_cause(self, answer: Answer) -> str:
        """Why the session ended, if need be by asking the board who it is by now."""
        if answer.state not in {State.NO_SESSION, State.FAULTY}:
            return _REMEDIES.get(answer.state, "it does not close; flash it anew")
        was = self.board
        try:
            board, _ = self._greet()
        except LineError:  # it does not answer: all that is known is that it was reset
            board = replace(was, reset_cause=ResetCause.UNKNOWN)
        if board.serial_number != was.serial_number:
            return f"another is on the port, {board.serial_number}; plug {was.serial_number} in"
        if answer.state is State.FAULTY:
            return f"it {_name_faults(board.faults)}"
        return f"it was reset; {_RESETS[board.reset_cause]}"


def _expect_board(port: str, board: Board, serial_number: str | None, firmware: str | None) -> None:
    """LineError unless this is the board that is meant, with the program that is meant."""
    if board.version != requests.VERSION:
        raise LineError(
            f"{port}: {board.name} speaks version {board.version} of the protocol, this "
            f"program version {requests.VERSION}: flash the firmware of this release"
        )
    if serial_number not in {None, board.serial_number}:
        raise LineError(
            f"{port}: {board.name} has the serial number {board.serial_number}, not "
            f"{serial_number}: plug the other board in, or commission this one"
        )
    if firmware not in {None, board.firmware}:
        raise LineError(
            f"{port}: {board.name} runs the firmware {board.firmware}, not {firmware}: "
            "flash that one, or commission this one"
        )


def _name_faults(faults: Fault) -> str:
    remedies = {
        Fault.IMAGE: "its program is damaged: flash it anew",
        Fault.MEMORY: "its memory does not keep what is written: change it",
        Fault.OUTPUT: "its output is not at the level it is driven to: check what is wired to it",
        Fault.CLOCK: "its crystal does not keep time: change it",
    }
    named = [remedy for fault, remedy in remedies.items() if fault in faults]
    return f"does not trust itself: {'; '.join(named) or faults}"
