"""Orders go to a co-processor that owns the encoder and the reject output (firmware/PROTOCOL.md).

    with SerialLink(port, actuator, clock, settings, nm_per_count=25_000, ...) as link:
        link.submit(start_um, end_um, tag)

It stands where a Rejector does, and its board is an encoder for the camera as well.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.board.answers import Board, BoardPlace, BoardStatistics
from firmware_bridge.board.serial_orders import Waits
from firmware_bridge.board.serial_rounds import Rounds
from firmware_bridge.board.serial_session import BOOT_NS, Session
from firmware_bridge.board.serial_talk import WRITE_NS, Talk
from firmware_bridge.core import Actuator, ActuatorTraits, Command, News
from firmware_bridge.desk import DeskSettings, MeasuringDesk
from firmware_bridge.errors import RejectorStopped
from firmware_bridge.ledger import Ledger, Place
from firmware_bridge.lines import OutputLine
from firmware_bridge.types import SECOND_NS, Clock, Order, Reading

BAUD = 921_600  # of the RP2040

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LinkStatistics:
    """How well the link does."""

    board: BoardStatistics
    resent: int  # requests whose answer did not come in time
    damaged: int  # packets from the board
    unasked: int  # answers to nobody's question
    unsent: int  # orders and passes that are not on board
    clock_error_ns: int  # at most, of the times of readings


class SerialLink(MeasuringDesk):
    """Has the board at the other end of `port` reject what is submitted.

    Opening it shakes hands and starts a session, in which positions count from 0; LineError where
    that fails. All rail is rejected but that of the passes which came in time, and passes are
    submitted in the order of the rail; `default_reject=False` is for trials.

    Fails safe: the board rejects all by itself at the latest `silence_ns` after the last answer
    that was heard here, when it is reset, when its encoder fails, and when it finds a fault in
    itself. Each of these ends the session for good, and `submit`, `check` and `close` raise
    RejectorStopped with the cause; so they do when an order waits for the link for longer than
    `silence_ns` though the board has room for it, and when the board's mode, settings, orders or
    places are not those that it was given. After an orderly `close` the board rejects too, unless
    `release_on_close`.

    `fastest_um_s` is beyond what the rail can do. Where `serial_number` or `firmware` is given, no
    other board and no other program in it will do. A board answers within `boot_ns` of its power.

    What overrides the orders is decided here and done by the board; `stop_line`, where there is
    one, is an output of this machine, and active while the line has to stop.

    The port belongs to a thread of its own. `read` and `statistics` may be called from any thread,
    and never wait for I/O.
    """

    _name = "serial link"

    def __init__(
        self,
        port: str,
        actuator: ActuatorTraits,
        clock: Clock,
        settings: DeskSettings,
        *,
        nm_per_count: int,
        fastest_um_s: int,
        serial_number: str | None = None,
        firmware: str | None = None,
        name: str = "reject",
        rail: str = "",
        stop_line: OutputLine | None = None,
        release_on_close: bool = False,
        baud: int = BAUD,
        boot_ns: int = BOOT_NS,
        ledger: Ledger | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        served = [Actuator(name, actuator, rail)]
        super().__init__(served, clock, settings, ledger=ledger, watch=watch)
        self._stop_line = stop_line
        self._release_on_close = release_on_close
        self._waits = Waits(clock())
        self._talk = Talk(port, baud, clock)
        try:
            self._session = Session(
                self._talk,
                actuator,
                nm_per_count=nm_per_count,
                fastest_um_s=fastest_um_s,
                silence_ns=settings.silence_ns,
                default_reject=settings.default_reject,
                serial_number=serial_number,
                firmware=firmware,
                boot_ns=boot_ns,
            )
            self._statistics = self._session.statistics()
        except BaseException:
            self._talk.close()
            raise
        self._rounds = Rounds(
            self._session,
            clock,
            actuator=name,
            margin_um=actuator.margin_um,
            on_missed=settings.on_missed,
            stop_line=stop_line,
            waits=self._waits,
            tell=self._tell,
        )
        self.board = board = self._session.board
        self.place = _lasting(board, self._session.place)  # None where its counting was broken
        log.info(
            "%s: session %08x on %s, serial number %s, firmware %s, last reset %s",
            port,
            self._session.number,
            board.name,
            board.serial_number,
            board.firmware,
            board.reset_cause.name.lower(),
        )
        self._thread = threading.Thread(target=self._run, name="serial link", daemon=True)
        self._take_up(self.place, self._session.reading)
        self._thread.start()

    def statistics(self) -> LinkStatistics:
        """The board's part is of the opening, and of the whole session once it is closed."""
        return LinkStatistics(
            self._statistics,
            resent=self._talk.resent,
            damaged=self._talk.damaged,
            unasked=self._talk.unasked,
            unsent=self._rounds.unsent,
            clock_error_ns=self._talk.clock_error_ns,
        )

    def _newest(self) -> Reading:
        return self._session.reading

    def _send(self, command: Command) -> None:
        if isinstance(command, Order):
            self._waits.begin(command, self._clock())
        self._rounds.hand_in(command)

    def _check_alive(self) -> None:
        now_ns = self._clock()
        silent_ns = now_ns - self._talk.heard_ns
        if silent_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"no answer from the board for {silent_ns // 1_000_000} ms, and it rejects all "
                "by now: check its cable and supply, and the load on this machine"
            )
        waited_ns = self._waits.longest_ns(now_ns)
        if waited_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"an order has waited for {waited_ns // 1_000_000} ms to be sent to the board: the "
                "link is too slow or too much disturbed; check its cable, shield and baud rate, "
                "and the load on this machine"
            )

    def _stop(self) -> None:
        asks = 4  # for news, twice, for statistics, and to close
        self._thread.join(timeout=(asks * self._settings.silence_ns + 2 * WRITE_NS) / SECOND_NS)
        if self._thread.is_alive():
            raise RejectorStopped("the serial port blocks: unplug the board, which then rejects")

    def _run(self) -> None:
        """The thread: rounds until it is to stop, and then the end of the session."""
        try:
            if self._stop_line is not None:
                self._stop_line.set(False)
            while not self._stopping.is_set():
                self._rounds.turn()
            self._rounds.finish(self._settings.silence_ns)
            self._statistics = self._session.statistics()
            log.info("session %08x is over: %s", self._session.number, self.statistics())
            self._session.close(release=self._release_on_close)
        except BaseException as failure:
            log.exception("the serial link failed; the board goes to reject by itself")
            self._fail(failure)
            if self._stop_line is not None:
                self._stop_line.set(True)
        finally:
            self._talk.close()


def _lasting(board: Board, place: BoardPlace) -> Place | None:
    """For the run that comes next, if it finds this board, which has counted on."""
    if not place.axis:
        return None
    return Place(f"board {board.serial_number}-{place.axis:08x}", place.origin_um)
