#!/usr/bin/python3
"""Inside the box: a rail that goes by a kernel's camera and a kernel's pins, told of to the host.

The pins are gpio-sim's, the camera is vivid's: what is written to its output is what it sees. The
rail moves by its own ticks, a busy machine only makes it slower. The kernel's command line says
where it begins and how fast it goes; by a port the host says more, and hears where the rail is and
what the line's outputs are, whenever one of them changes. Where a co-processor is wired, the rail
moves under its encoder too, and its output is the one that rejects. It knows nothing of Trackside.
"""

import os
import select
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

RAIL = Path("/opt/rig/rail.grey")  # row after row, COLUMNS wide
COLUMNS, ROWS, UM_PER_PX = 464, 352, 250
UM_PER_COUNT = 1000
TICK_S, LONGEST_TICK_S = 0.01, 0.02
OFTEN_UM = 50_000  # the host hears of the rail at least so often
CAPTURE, OUTPUT = "/dev/video0", "/dev/video1"
PORT = "/dev/virtio-ports/rig"
CO_PROCESSOR = Path("/dev/virtio-ports/co-processor")
NAMES = ("encoder-a", "encoder-b", "reject", "heartbeat", "stop")
ENCODER = ((0, 0), (1, 0), (1, 1), (0, 1))  # levels of A and B, count by count
HDMI = "n_devs=1 node_types=0x101 num_inputs=1 input_types=3 num_outputs=1 output_types=1"
# Nearly as slow as vivid can be. What goes in and what comes out is scaled, to our pictures' size.
TIMINGS = (
    "cvt,width=1344,height=1008,fps=60",  # which tells v4l2-ctl of whose standard the next ones are
    "width=1344,height=1008,polarities=1,pixelclock=17500000,"
    "hfp=40,hs=128,hbp=168,vfp=3,vs=4,vbp=6",  # ten a second
)
FORM = f"width={COLUMNS},height={ROWS},pixelformat=GREY"


class Pins:
    """A chip of five lines, and who holds their other ends; a co-processor where one is wired."""

    def __init__(self) -> None:
        subprocess.run(["modprobe", "configfs"], check=True)
        subprocess.run(["insmod", "/opt/rig/box-gpio.ko"], check=True)
        subprocess.run(["mount", "-t", "configfs", "none", "/sys/kernel/config"], check=False)
        device = Path("/sys/kernel/config/gpio-sim/box")
        for number, name in enumerate(NAMES):
            (device / "bank" / f"line{number}").mkdir(parents=True)
            (device / "bank" / f"line{number}" / "name").write_text(name)
        (device / "bank" / "num_lines").write_text(str(len(NAMES)))
        (device / "live").write_text("1")
        chip = (device / "bank" / "chip_name").read_text().strip()
        wires = Path("/sys/devices/platform") / (device / "dev_name").read_text().strip() / chip
        self._pulls = [os.open(wires / f"sim_gpio{n}" / "pull", os.O_WRONLY) for n in (0, 1)]
        self._levels = [os.open(wires / f"sim_gpio{n}" / "value", os.O_RDONLY) for n in (2, 3, 4)]
        self._co_processor = CoProcessor() if CO_PROCESSOR.exists() else None
        self._count = 0

    def move(self, elapsed_s: float, counts: int) -> tuple[int, ...]:
        """The rail goes on; the levels of reject, heartbeat and stop then."""
        for _ in range(counts):
            self._step()
        reject, *others = (int(os.pread(each, 2, 0)) for each in self._levels)
        if self._co_processor is not None:
            reject = int(self._co_processor.step(elapsed_s, counts))
        return reject, *others

    def _step(self) -> None:
        """The encoder's next count: one of its channels changes."""
        before, self._count = ENCODER[self._count % 4], self._count + 1
        for pull, was, level in zip(self._pulls, before, ENCODER[self._count % 4], strict=True):
            if was != level:
                os.pwrite(pull, b"pull-up" if level else b"pull-down", 0)


class CoProcessor:
    """Another machine's, with an encoder of its own on the rail, and the output that rejects.

    The rail waits for it at each step: it answers by the level of its output, which has followed
    by then (firmware/ports/an385/rig.c). While it has no power it counts nothing, and rejects.
    """

    PATIENCE_MS = 5000  # after which an answer went with the power, however busy its machine is

    def __init__(self) -> None:
        self._port = os.open(CO_PROCESSOR, os.O_RDWR | os.O_NONBLOCK)
        self._incoming = select.poll()
        self._incoming.register(self._port, select.POLLIN)
        self._due_ms = 0.0

    def step(self, elapsed_s: float, counts: int) -> bool:
        """Whether it lets the rail by after it has moved so far, in that time."""
        self._due_ms += elapsed_s * 1000
        elapsed_ms = int(self._due_ms)
        self._due_ms -= elapsed_ms
        try:
            self._hear()
            os.write(self._port, bytes([counts << 5 | elapsed_ms]))
        except BlockingIOError:  # nobody is at the other end
            return False
        self._incoming.poll(self.PATIENCE_MS)
        return self._hear() == b"1"

    def _hear(self) -> bytes:
        """The last it has said; nothing, where it has no power."""
        try:
            return os.read(self._port, 64)[-1:]
        except BlockingIOError:
            return b""


class Camera:
    """Shows whatever rail is under it, as fast as it takes pictures."""

    def __init__(self, rail: bytes) -> None:
        subprocess.run(["modprobe", "vivid", *HDMI.split()], check=True)
        subprocess.run(["udevadm", "settle"], check=True)
        for device in (OUTPUT, CAPTURE):
            for timings in TIMINGS:
                control(device, "--set-dv-bt-timings", timings)
        control(OUTPUT, "--set-fmt-video-out", FORM)
        control(CAPTURE, "--set-fmt-video", FORM)
        control(CAPTURE, "--set-ctrl", "osd_text_mode=2,loop_video=1")
        self._rail, self._rows = rail, len(rail) // COLUMNS
        self._shown: subprocess.Popen[bytes] | None = None
        self.position_um = 0
        self.plug()

    def plug(self) -> None:
        """Whoever lets go of it last after it was unplugged finds it plugged again."""
        if self._shown is not None:
            self._shown.kill()
            self._shown.wait()
            time.sleep(1)
        show = ["v4l2-ctl", "--device", OUTPUT, "--stream-out-mmap=4", "--stream-from=-"]
        self._shown = subprocess.Popen(
            show, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        threading.Thread(target=self._show, args=(self._shown,), daemon=True).start()

    def unplug(self) -> None:
        control(CAPTURE, "--set-ctrl", "disconnect=1")

    def _show(self, shown: subprocess.Popen[bytes]) -> None:
        """As the camera takes them, some pictures ahead, until it is unplugged."""
        try:
            while True:
                shown.stdin.write(self._picture())
        except BrokenPipeError:
            print("the camera takes no more pictures", flush=True)

    def _picture(self) -> bytes:
        last = self.position_um // UM_PER_PX % self._rows
        if last < ROWS:
            last += self._rows
        both = memoryview(self._rail)[(last - ROWS) * COLUMNS : last * COLUMNS]
        short = ROWS * COLUMNS - len(both)  # over the seam of the ring
        return bytes(both) + self._rail[:short]


def control(device: str, *arguments: str) -> None:
    subprocess.run(["v4l2-ctl", "--device", device, *arguments], check=True)


def turn(pins: Pins, camera: Camera, port: int, position_um: int, mm_s: int) -> None:
    """Tick by tick, for ever."""
    begun_um, told, told_um, at_s, due_um = position_um, None, -OFTEN_UM, time.monotonic(), 0.0
    while True:
        time.sleep(TICK_S)
        before_s, at_s = at_s, time.monotonic()
        elapsed_s = min(at_s - before_s, LONGEST_TICK_S)
        due_um += elapsed_s * mm_s * 1000
        counts = int(due_um - (position_um - begun_um)) // UM_PER_COUNT
        position_um += counts * UM_PER_COUNT
        camera.position_um = position_um
        levels = pins.move(elapsed_s, counts)
        if levels != told or position_um - told_um >= OFTEN_UM:
            told, told_um = levels, position_um
            os.write(port, f"{time.monotonic_ns()} {position_um} {levels}\n".encode())
        if select.select([port], [], [], 0)[0]:
            for word in os.read(port, 4096).decode().split():
                if word == "unplug":
                    camera.unplug()
                elif word == "plug":
                    camera.plug()
                else:
                    mm_s = int(word)


def main() -> None:
    asked = dict(word.partition("=")[::2] for word in Path("/proc/cmdline").read_text().split())
    pins, camera = Pins(), Camera(RAIL.read_bytes())
    camera.position_um = int(asked["rig.um"])
    port = os.open(PORT, os.O_RDWR)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    turn(pins, camera, port, camera.position_um, int(asked["rig.mm_s"]))


if __name__ == "__main__":
    sys.exit(main())
