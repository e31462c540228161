"""The machine that the box boots in: emulated, with a rail under it, and a plug to be pulled.

Its time is the instructions that it has executed, two nanoseconds each, so that it is never short
of time: a busy host only makes it slower. Its disk has a cache of its own, which a power cut takes
(tests/box/disk.py).
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from threading import Thread

from stands.box_rail import Told, passed, told
from stands.places import ROOT
from stands.waiting import eventually

UNIT = "trackside@rail"
PATIENCE_S = 900  # with a host that is busy
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "nbdkit": "nbdkit nbdkit-plugin-python",
    "debugfs": "e2fsprogs",
}
PORTS = ("shell", "rig")
CPU = "-accel tcg -icount shift=1,sleep=on -machine q35 -cpu max -m 1024 -no-hpet"
BARE = "-nodefaults -display none -no-reboot"
KERNEL = "root=/dev/vda ro console=ttyS0 quiet tsc=reliable mitigations=off panic=-1"
# In place of the line that has pins of the box's own.
BY_CO_PROCESSOR = "systemd.mask=trackside@rail.service systemd.wants=trackside@board.service"
LINK, RAIL = "link", "rail"  # the serial ports of a co-processor: of its line, and of the rig


class BoxMachine:
    """A copy of the box's disk, and what happens to it.

    A co-processor is wired to it where there is a folder with the sockets LINK and RAIL of one.
    """

    def __init__(self, image: Path, seed: int = 0, co_processor: Path | None = None) -> None:
        self._image = image
        self._co_processor = co_processor
        self._folder = Path(tempfile.mkdtemp(prefix="trackside-box-"))
        self.disk = self._folder / "disk"
        subprocess.run(["cp", "--sparse=always", image / "disk", self.disk], check=True)
        self._seed, self._starts = seed, 0
        self.report: list[Told] = []  # of this time that it has power
        self._asked = 0

    def __enter__(self) -> BoxMachine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._starts:
            self.cut()
        shutil.rmtree(self._folder)

    def start(self, at_um: int, mm_s: int = 100) -> None:
        """Give it power; the rail is there, and moves."""
        self._starts += 1
        self.report = []
        for name in (*PORTS, "disk.socket"):
            (self._folder / name).unlink(missing_ok=True)
        script = ROOT / "tests" / "box" / "disk.py"
        serve = ["nbdkit", "--foreground", "--filter=exitlast", "--unix", self._at("disk.socket")]
        serve += ["python", script, f"file={self.disk}", f"seed={self._seed} {self._starts}"]
        with (self._folder / "disk.log").open("a") as log:
            self._served = subprocess.Popen(serve, stderr=log)
        eventually(lambda: self._at("disk.socket").exists())
        append = f"{KERNEL} rig.um={at_um} rig.mm_s={mm_s}"
        append += f" {BY_CO_PROCESSOR}" if self._co_processor else ""
        command = ["qemu-system-x86_64", *CPU.split(), *BARE.split(), "-append", append]
        command += ["-kernel", self._image / "vmlinuz", "-initrd", self._image / "initrd.img"]
        disk = f"driver=nbd,node-name=disk,server.type=unix,server.path={self._at('disk.socket')}"
        command += ["-blockdev", disk, "-device", "virtio-blk-pci,drive=disk,write-cache=on"]
        command += ["-serial", f"file:{self._at('console.log')}"]
        command += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        for name in PORTS:
            command += ["-chardev", f"socket,id={name},path={self._at(name)},server=on,wait=off"]
            command += ["-device", f"virtserialport,chardev={name},name={name}"]
        command += self._co_processor_wires()
        with (self._folder / "qemu.log").open("a") as log:
            self._qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        self._shell, self._rig = (self._connected(name) for name in PORTS)
        Thread(target=self._listen, args=(self._rig, self.report), daemon=True).start()

    def ask(self, command: str) -> tuple[int, str]:
        """What a command comes to in the box, and what it says."""
        self._asked += 1
        mark = f"answered-{self._asked}"
        self._shell.sendall(f"({command}) </dev/null 2>&1; echo {mark} $?\n".encode())
        said = b""
        while f"{mark} ".encode() not in said or not said.endswith(b"\n"):
            more = self._shell.recv(65536)
            assert more, f"the box has no power any more; it said {said.decode()}"
            said += more
        text, _, code = said.decode().rpartition(f"{mark} ")
        return int(code), text.strip()

    def says(self, command: str) -> str:
        """What a command says, which must succeed."""
        code, text = self.ask(command)
        assert code == 0, text
        return text

    def shown(self, name: str) -> str:
        """What systemd says of the line."""
        return self.says(f"systemctl show --property={name} --value {UNIT}")

    def tell(self, word: str) -> None:
        """The rig: a speed in mm/s, `unplug` or `plug`."""
        self._rig.sendall(f"{word}\n".encode())

    @property
    def position_um(self) -> int:
        """Where the rail is; 0 before the rig has said so."""
        return self.report[-1].position_um if self.report else 0

    def beats(self, since: int = 0) -> int:
        """Edges of the heartbeat, from a number of the report's on."""
        seen = self.report[since:]
        return sum(one.beat is not two.beat for one, two in pairwise(seen))

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for it, as long as the box has power."""

        def holds_or_is_dark() -> bool:
            assert self._qemu.poll() is None, f"the box is dark; {self.console()[-2000:]}"
            return holds()

        eventually(holds_or_is_dark, PATIENCE_S)

    def lets_by(self, since: int = 0) -> bool:
        """Whether rail passes, from a number of the report's on."""
        return next(passed(self.report[since:]), None) is not None

    def await_passing(self) -> None:
        """Rail that comes from now on passes."""
        since = len(self.report)
        self.until(lambda: self.lets_by(since))

    def await_rail(self, length_um: int) -> None:
        """So much goes by."""
        end_um = self.position_um + length_um
        self.until(lambda: self.position_um >= end_um)

    def console(self) -> str:
        return self._at("console.log").read_text(errors="replace")

    def lost(self) -> list[str]:
        """What each power cut took, as the disk has it."""
        return self._at("disk.log").read_text().splitlines()

    def cut(self) -> None:
        """The power goes, now."""
        self._qemu.kill()
        self._down()

    def power_off(self) -> None:
        """In good order."""
        self._shell.sendall(b"systemctl poweroff\n")
        self._down()

    def kept(self, folder: Path) -> Path:
        """What the box's lines have kept, out of its disk, while it has no power."""
        subprocess.run(["e2fsck", "-fp", self.disk], stdout=subprocess.DEVNULL, check=False)
        dump = f"rdump /var/lib/trackside {folder}"
        subprocess.run(["debugfs", "-R", dump, self.disk], check=True, capture_output=True)
        return folder / "trackside"

    def _co_processor_wires(self) -> list[str]:
        """They are plugged again whenever one that lost its power is back."""
        if self._co_processor is None:
            return []
        wires = ["-device", "qemu-xhci"]
        for name, device in (
            (LINK, "usb-serial,always-plugged=on"),
            (RAIL, "virtserialport,name=co-processor"),
        ):
            path = self._co_processor / name
            wires += ["-chardev", f"socket,id={name},path={path},reconnect=1"]
            wires += ["-device", f"{device},chardev={name}"]
        return wires

    def _down(self) -> None:
        self._qemu.wait(PATIENCE_S)
        self._served.wait(PATIENCE_S)
        for port in (self._shell, self._rig):
            port.close()

    def _at(self, name: str) -> Path:
        return self._folder / name

    def _connected(self, name: str) -> socket.socket:
        eventually(self._at(name).exists)
        port = socket.socket(socket.AF_UNIX)
        give_up_s = time.monotonic() + PATIENCE_S
        while port.connect_ex(str(self._at(name))) != 0:  # it is bound, and not yet listened to
            assert time.monotonic() < give_up_s
            time.sleep(0.05)
        return port

    @staticmethod
    def _listen(rig: socket.socket, report: list[Told]) -> None:
        with rig.makefile() as lines:
            for line in lines:
                if line.endswith("\n"):  # the power may cut one short
                    report.append(told(line.strip()))
