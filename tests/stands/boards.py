"""Boards that run the firmware, on this machine or emulated, the cable between, and the link."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Mapping
from pathlib import Path
from struct import Struct
from typing import Protocol
from zlib import crc32

from firmware_bridge.board import requests
from firmware_bridge.board.packets import PacketReader, packet
from firmware_bridge.board.requests import Kind
from firmware_bridge.board.serial_link import BAUD, SerialLink
from firmware_bridge.core import ActuatorTraits
from firmware_bridge.desk import DeskSettings
from firmware_bridge.ledger import Ledger
from firmware_bridge.lines import OutputLine
from firmware_bridge.types import SECOND_NS, Closing, Mode
from stands.waiting import eventually

MM = 1_000
CLOCK = time.monotonic_ns
COUNTS_PER_S = 20_000  # of the simulated wheel
NM_PER_COUNT = 2_500  # so 50 mm/s
SETTINGS = ActuatorTraits(offset_um=10 * MM, margin_um=20 * MM)  # 400 ms late is in time
PATIENT_NS = 20 * SECOND_NS  # the machine may have much else to do
BOOT_NS = 60 * SECOND_NS  # an emulator begins when it is its turn
SERIAL_NUMBER = 0xB0A2D
Garble = Callable[[bytes], bytes]

# As PROTOCOL.md has them, written down anew: a liar must know the truth from elsewhere.
_REQUEST = Struct("<BIII")
_ANSWER = Struct("<BIIIBBBIIIqqBB")
_HELLO = Struct("<HHBBBQIIq")
_PLACE = Struct("<Iq")
_EVENTS = Struct("<IB")
_EVENT = Struct("<BBIqqq")


def unharmed(carried: bytes) -> bytes:
    return carried


class Cable:
    """Between a pty and a board's socket. It may lose, double or change what it carries."""

    def __init__(self, board: socket.socket) -> None:
        self.to_board: Garble = unharmed
        self.to_host: Garble = unharmed
        self._board = board
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._master, self._board], [], [], 0.02)
            if self._master in ready:
                self._board.sendall(self.to_board(os.read(self._master, 4096)))
            if self._board in ready:
                os.write(self._master, self.to_host(self._board.recv(4096)))

    def plug(self, board: socket.socket) -> None:
        """Into another board."""
        self._board = board

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


class Board(Protocol):
    """A board that runs the firmware."""

    link: socket.socket

    def rejects(self) -> bool:
        """What its output says."""
        ...

    def reset(self) -> None: ...

    def close(self) -> None: ...


class HostBoard:
    """The firmware as a process of this machine."""

    def __init__(self, into: Path, image: Path, *, serial_number: int = 0) -> None:
        self._image = image
        self._environment = {"TRACKSIDE_SERIAL": f"{serial_number:x}"}
        self._output = into / "output"
        self.link, self._board_end = socket.socketpair()
        self._start()

    def _start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [self._image],
                stdin=self._board_end,
                stdout=self._board_end,
                stderr=output,
                env=self._environment,
            )

    def rejects(self) -> bool:
        return self._output.read_text().splitlines()[-1].endswith("1")

    def reset(self) -> None:
        self._process.kill()
        self._process.wait()
        self._start()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.link.close()
        self._board_end.close()


Lie = dict[str, int]


class LyingBoard(Closing):
    """A board of its own mind behind a pty: it answers well, but for what it is to lie about.

    A lie of a kind of request replaces fields of the answer's header; `cut` leaves only so many
    bytes of what follows it; `pulses` and `fired` are events; `leaps_um` is how far the position
    goes with each answer; `times` is how often it answers; `echo` sends back the question instead.
    """

    def __init__(self, lies: Mapping[Kind, Lie]) -> None:
        self._lies = lies
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self._number = self._settings = self._position_um = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        reader = PacketReader()
        while not self._stopping.is_set():
            ready, _, _ = select.select([self._master], [], [], 0.02)
            if ready:
                for body in reader.feed(os.read(self._master, 4096)):
                    os.write(self._master, self._answer(body))

    def _answer(self, asked: bytes) -> bytes:
        kind, sequence, session, _ = _REQUEST.unpack_from(asked)
        lie = self._lies.get(kind, {})
        if "echo" in lie:
            return packet(asked)
        if kind == Kind.OPEN:
            self._settings = crc32(asked[_REQUEST.size + 8 :])
        self._number += 1
        self._position_um += lie.get("leaps_um", 0)
        number, settings = lie.get("number", self._number), lie.get("settings", self._settings)
        header = kind | 0x80, sequence, session, number, 1, 0, 0, settings, 0, 0
        rest = CLOCK(), self._position_um, lie.get("refusal", 0), 0
        body = self._body(kind, lie, asked[_REQUEST.size :])[: lie.get("cut", None)]
        return packet(_ANSWER.pack(*header, *rest) + body) * lie.get("times", 1)

    def _body(self, kind: int, lie: Lie, asked: bytes) -> bytes:
        if kind == Kind.HELLO:
            return _HELLO.pack(requests.VERSION, 120, 16, 0, 0, 0, 0, 0, 0) + b"liar"
        if kind == Kind.OPEN:
            return _PLACE.pack(1, 0)
        if kind == Kind.STATISTICS:
            return bytes(40)
        first = int.from_bytes(asked[:4], "little")  # the one that the host wants next
        count = lie.get("pulses", 0) + ("fired" in lie)
        event = _EVENT.pack(1 if "fired" in lie else 3, 0, lie.get("fired", 0), 0, 1, 1)
        return _EVENTS.pack(first, count) + count * event

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)


class LateBoard(LyingBoard):
    """Lies about the first order alone, and answers that only when it is asked once more."""

    def __init__(self, lies: Mapping[Kind, Lie]) -> None:
        self._kept = b""
        super().__init__(lies)

    def _answer(self, asked: bytes) -> bytes:
        answer = super()._answer(asked)
        if asked[0] != Kind.ORDER:
            return answer
        if self._lies:
            self._lies, self._kept = {}, answer
            return b""
        return self._kept + answer


class EmulatedImage:
    """A Cortex-M image in QEMU, which executes 31 million instructions a second.

    Its serial ports are sockets of these names, for whoever connects to them.
    """

    LEDS = 0x4002_8000

    def __init__(self, into: Path, image: Path, *serials: str) -> None:
        command = ["qemu-system-arm", "-M", "mps2-an385", "-kernel", str(image)]
        command += ["-display", "none", "-icount", "shift=5,align=on"]
        for name in (*serials, "monitor", "gdb"):
            command += ["-chardev", f"socket,id={name},path={into / name},server=on,wait=off"]
            command += ["-serial" if name in serials else f"-{name}", f"chardev:{name}"]
        self._debugger = into / "gdb"
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._monitor = self._connect(into / "monitor")
        self._until_prompt()

    def rejects(self) -> bool:
        said = self._command(f"xp /1wx {self.LEDS:#x}")
        return int(said.split(": ")[1].split()[0], 16) & 1 == 0  # lit while the rail may pass

    def reset(self) -> None:
        self._command("system_reset")

    def debug(self, command: str) -> None:
        """Have the debugger write to memory or to a register, and the board go on."""
        with self._connect(self._debugger) as debugger:
            for each in (command, "D"):
                debugger.sendall(f"${each}#{sum(each.encode()) % 256:02x}".encode())
                said = b""
                while b"OK" not in said:
                    said += debugger.recv(4096)
                    assert b"$E" not in said, said
                debugger.sendall(b"+")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._monitor.close()

    @staticmethod
    def _connect(path: Path) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        eventually(lambda: connection.connect_ex(str(path)) == 0)
        return connection

    def _until_prompt(self) -> str:
        said = b""
        while not said.endswith(b"(qemu) "):
            said += self._monitor.recv(4096)
        return said.decode()

    def _command(self, command: str) -> str:
        self._monitor.sendall(command.encode() + b"\n")
        return self._until_prompt()


class EmulatedBoard(EmulatedImage):
    """The same, and its link."""

    def __init__(self, into: Path, image: Path) -> None:
        super().__init__(into, image, "serial")
        self.link = self._connect(into / "serial")

    def close(self) -> None:
        super().close()
        self.link.close()


def ahead_um(link: SerialLink) -> int:
    """The rail that comes to the sensor in six seconds: time enough for a busy machine to order."""
    return link.read().position_um + 300 * MM


def open_link(
    port: str,
    settings: ActuatorTraits = SETTINGS,
    *,
    nm_per_count: int = NM_PER_COUNT,
    silence_ns: int = PATIENT_NS,
    default_reject: bool = False,  # so that what passes is seen
    release_on_close: bool = False,
    on_missed: Mode = Mode.ORDERED,
    stop_line: OutputLine | None = None,
    serial_number: str | None = None,
    firmware: str | None = None,
    ledger: Ledger | None = None,
    baud: int = BAUD,
) -> SerialLink:
    """A link to the board at this port, patient enough for a busy machine."""
    return SerialLink(
        port,
        settings,
        CLOCK,
        DeskSettings(default_reject=default_reject, on_missed=on_missed, silence_ns=silence_ns),
        nm_per_count=nm_per_count,
        fastest_um_s=1_000_000,
        serial_number=serial_number,
        firmware=firmware,
        release_on_close=release_on_close,
        stop_line=stop_line,
        baud=baud,
        boot_ns=BOOT_NS,
        ledger=ledger,
    )
