"""Boards that run the firmware, on this machine or emulated, and the cable between."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from stands.waiting import eventually

CLOCK = time.monotonic_ns
Garble = Callable[[bytes], bytes]


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

    def __init__(self, into: Path, image: Path) -> None:
        self._image = image
        self._output = into / "output"
        self.link, self._board_end = socket.socketpair()
        self._start()

    def _start(self) -> None:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                [self._image], stdin=self._board_end, stdout=self._board_end, stderr=output
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


class EmulatedBoard:
    """The Cortex-M image in QEMU, which executes 31 million instructions a second."""

    LEDS = 0x4002_8000

    def __init__(self, into: Path, image: Path) -> None:
        command = ["qemu-system-arm", "-M", "mps2-an385", "-kernel", str(image)]
        command += ["-display", "none", "-icount", "shift=5,align=on"]
        for name in ("serial", "monitor"):
            command += ["-chardev", f"socket,id={name},path={into / name},server=on,wait=off"]
            command += [f"-{name}", f"chardev:{name}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.link = self._connect(into / "serial")
        self._monitor = self._connect(into / "monitor")
        self._until_prompt()

    def _connect(self, path: Path) -> socket.socket:
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

    def rejects(self) -> bool:
        said = self._command(f"xp /1wx {self.LEDS:#x}")
        return int(said.split(": ")[1].split()[0], 16) & 1 == 0  # lit while the rail may pass

    def reset(self) -> None:
        self._command("system_reset")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self.link.close()
        self._monitor.close()
