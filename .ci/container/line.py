#!/opt/trackside/bin/python3
"""What systemd does for a line elsewhere, in its container: `line.py run ...`, `line.py health`.

It listens to what the line says of its life, and says the same to whoever started the container. A
line that says nothing for ten seconds (a minute before it is ready) is killed, and the container
ends with 1: `--restart=on-failure` starts it again, with the outputs at reject meanwhile. `health`
is well while the line is ready and alive. Any other command is Trackside's own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

START_S, WATCHDOG_S = 60, 10  # as in its unit: the most silence before it is ready, and after
ALIVE = Path(tempfile.gettempdir(), "trackside-alive")  # when a line that is ready spoke last
TRACKSIDE = [sys.executable, "-I", "-m", "edge.cli"]


def run(arguments: list[str]) -> int:
    """The line's own exit code; 1 if it had to be killed."""
    ALIVE.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(f"\0trackside-{os.getpid()}")
        heard.settimeout(1)
        beside = os.environ.get("NOTIFY_SOCKET")
        environ = os.environ | {
            "NOTIFY_SOCKET": f"@trackside-{os.getpid()}",
            "WATCHDOG_USEC": f"{WATCHDOG_S}000000",
        }
        environ.pop("WATCHDOG_PID", None)
        with subprocess.Popen([*TRACKSIDE, *arguments], env=environ) as line:
            pass_on_signals(line)
            return watch(line, heard, beside)


def watch(line: subprocess.Popen[bytes], heard: socket.socket, beside: str | None) -> int:
    """Until the line ends, or says nothing any more."""
    spoke_s, is_ready = time.monotonic(), False
    while line.poll() is None:
        try:
            said = heard.recv(4096)
        except TimeoutError:
            if time.monotonic() - spoke_s > (WATCHDOG_S if is_ready else START_S):
                print("the line hangs: it is killed", file=sys.stderr, flush=True)
                line.kill()
                return 1
            continue
        spoke_s, is_ready = time.monotonic(), is_ready or b"READY=1" in said
        if is_ready:
            ALIVE.write_text(f"{spoke_s}")
        if beside is not None:
            tell(beside, said)
    return line.returncode if line.returncode >= 0 else 128 - line.returncode


def pass_on_signals(line: subprocess.Popen[bytes]) -> None:
    def pass_on(number: int, _: FrameType | None) -> None:
        line.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)


def tell(address: str, said: bytes) -> None:
    """Whoever started the container, if they still listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        try:
            manager.sendto(said, address.replace("@", "\0", 1))
        except OSError as error:
            print(f"{address}: {error}", file=sys.stderr, flush=True)


def health() -> int:
    """0 while the line is ready and alive."""
    if not ALIVE.exists():
        print("the line is not ready yet: see its log")
        return 1
    quiet_s = time.monotonic() - float(ALIVE.read_text() or "-inf")
    print(f"the line spoke {quiet_s:.0f} s ago")
    return 0 if quiet_s <= WATCHDOG_S else 1


def main() -> int:
    match sys.argv[1:]:
        case ["health"]:
            return health()
        case ["run", *_]:
            return run(sys.argv[1:])
    os.execv(sys.executable, [*TRACKSIDE, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
