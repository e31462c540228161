"""A rejector in a process of its own, which no other work of this one can hold up."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from firmware_bridge.core import Command, News
from firmware_bridge.desk.channel import Channel
from firmware_bridge.desk.desk import DeskSettings, MeasuringDesk
from firmware_bridge.desk.process_worker import Close, Failed, Opening, OpenRig, Ready, Signs
from firmware_bridge.errors import RejectorStopped
from firmware_bridge.ledger import Ledger
from firmware_bridge.types import SECOND_NS, Clock, Reading

START_NS = 30 * SECOND_NS  # a process that takes longer to claim its lines hangs in one of them
# Isolated, so that nothing is imported before the path is what this process says it is.
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from firmware_bridge.desk.process_worker import main; main()"
)
SIGN_NS = 20_000_000  # between two signs of life, and two attempts to send what still waits


class ProcessRejector(MeasuringDesk):
    """Fires orders on the outputs of a rig that another process opens, by calling `open_rig` there.

    `open_rig` and what it holds are pickled; it claims encoder and lines, and leaves on the stack
    how each is closed. What refuses to be claimed is raised here. Let it be a function of a module
    that imports little: the process holds all of that in memory.

    Fails safe, as Rejector does, and beyond that: if this process dies, or hangs for longer than
    `silence_ns`, the other one drives its outputs to reject by itself. If the other one dies or
    hangs, `submit`, `check`, `read` and `close` raise RejectorStopped, and the heartbeat, which the
    caller then no longer beats, is what rejects.

    Give it a real-time `priority` (1 to 99; 0 is an ordinary process), and its memory stays in
    place as well: the service needs LimitRTPRIO and LimitMEMLOCK=infinity for it.

    It is an encoder too, for the camera: `read` gives the newest reading of the other process.
    """

    _name = "reject process"

    def __init__(
        self,
        open_rig: OpenRig,
        clock: Clock,
        settings: DeskSettings,
        *,
        priority: int = 0,
        ledger: Ledger | None = None,
        watch: Callable[[News], None] | None = None,
    ) -> None:
        self._signs = Signs()
        self._signs.desk_ns[0] = clock() + START_NS
        self._process, self._channel = _start()
        opening = Opening(
            open_rig=open_rig,
            clock=clock,
            signs=self._signs,
            settings=settings,
            priority=priority,
            known=None if ledger is None or ledger.inherited is None else ledger.inherited.known,
        )
        try:
            self._channel.send(opening)
            ready = self._await_ready(clock)
        except BaseException:
            self._kill()
            self._channel.close()
            raise
        super().__init__(ready.actuators, clock, settings, ledger=ledger, watch=watch)
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="reject process", daemon=True)
        self._take_up(ready.place, self._newest())
        self._thread.start()

    def _newest(self) -> Reading:
        return self._signs.reading.read()

    def _send(self, command: Command | Close) -> None:
        with self._sending:
            self._channel.send(command)

    def _check_alive(self) -> None:
        silent_ns = self._clock() - self._signs.turn_ns[0]
        if silent_ns > self._settings.silence_ns:
            raise RejectorStopped(
                f"no encoder reading for {silent_ns // 1_000_000} ms: "
                "the encoder or a reject line blocks, or the machine stands still; "
                "check cables and bus"
            )

    def _stop(self) -> None:
        if self._failure is None:
            self._send(Close())
        try:
            self._process.wait(self._settings.silence_ns / SECOND_NS + 1)
        except subprocess.TimeoutExpired as late:
            self._kill()
            raise RejectorStopped(
                "the reject process did not stop and was killed: the encoder or a reject line "
                "blocks; check its cable and bus"
            ) from late
        finally:
            self._thread.join()
            self._channel.close()

    def _run(self) -> None:
        """Take news and show life, until the other process ends."""
        try:
            while True:
                self._signs.desk_ns[0] = self._clock()
                self._channel.wait(SIGN_NS)
                for message in self._channel.receive():
                    if isinstance(message, Failed):
                        self._fail(message.failure)
                    else:
                        self._tell(message)
                with self._sending:
                    self._channel.flush()
        except EOFError:
            if self._failure is None and not self._stopping.is_set():
                self._failure = ChildProcessError(
                    f"it is gone, with exit code {self._process.wait()}"
                )
        except BaseException as failure:
            self._failure = failure

    def _await_ready(self, clock: Clock) -> Ready:
        give_up_ns = clock() + START_NS
        while clock() < give_up_ns:
            self._channel.wait(SIGN_NS)
            try:
                messages = self._channel.receive()
            except EOFError as gone:
                raise RejectorStopped("the reject process ended while it started") from gone
            for message in messages:
                if isinstance(message, Failed):
                    raise message.failure
                assert isinstance(message, Ready)
                return message
        raise RejectorStopped("the reject process does not start: a line or an encoder blocks")

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _start() -> tuple[subprocess.Popen[bytes], Channel]:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM, *_import_path()],
            stdin=theirs.fileno(),
            start_new_session=True,  # Ctrl-C is meant for this process alone
        )
    return process, Channel(ours)


def _import_path() -> list[str]:
    """Where the other process imports from: where this one does, but for the working directory.

    Whoever may write there could otherwise have a `socket.py` of his run with this one's rights.
    Where that is the home of this package itself, it comes last.
    """
    here, home = Path.cwd(), str(Path(__file__).resolve().parents[2])
    trusted = [each for each in sys.path if each and Path(each).resolve() != here]
    return trusted if home in trusted else [*trusted, home]
