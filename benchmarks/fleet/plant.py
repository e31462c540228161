"""A depot, its web server, a broker and boxes, each a process that can be killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

import yaml

from benchmarks.fleet.box import run_box
from benchmarks.ports import free_port
from benchmarks.soak.broker import Broker
from edge.depot.depot import Depot, keys_of, rings_of
from edge.line_file import EXAMPLES, read_line
from edge.network import SHIPPED
from edge.swap import open_in_force

POLL_S = 5.0  # of the boxes, who ask every quarter of an hour in a plant
CANARY = ("box-00", "box-01")


class Plant:
    """All of it, in one folder. Boxes are forked, so that each costs what it does and no more."""

    def __init__(self, home: Path, boxes: int) -> None:
        self.home = home
        self.depot = Depot(home / "depot", [home / "keys"])
        self.depot.create(
            rings_of(CANARY, ["10%", "100%"]),
            keys_of("2/3", "1/1"),
            max_failures=0.1,
            fresh_days=7,
            now=now(),
        )
        self.broker = Broker(home)
        self.port = free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.boxes = [f"box-{number:02}" for number in range(boxes)]
        self.lines = {name: self._line(name) for name in self.boxes}
        self.pids: dict[str, int] = {}

    def start(self) -> None:
        self.broker.start()
        self.serve()
        for name in self.boxes:
            self.start_box(name)

    def serve(self) -> None:
        command = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        self.server = subprocess.Popen(
            [*command, "--directory", str(self.home / "depot")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_box(self, name: str) -> None:
        if child := os.fork():
            self.pids[name] = child
            return
        try:
            run_box(self.lines[name])
        except BaseException:
            traceback.print_exc()
        os._exit(1)

    def kill_box(self, name: str) -> None:
        """As a power cut would, its agent included, whose standard input ends with it."""
        os.kill(self.pids[name], signal.SIGKILL)
        os.waitpid(self.pids[name], 0)

    def kill_agent(self, name: str) -> None:
        with suppress(OSError, ValueError):
            pid = int(self.lines[name].with_name("agent.pid").read_text())
            os.kill(pid, signal.SIGKILL)

    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def strike(self, chance: random.Random) -> list[str]:
        """Kill broker, server, two boxes and two agents; all come back after a second."""
        self.broker.kill()
        self.kill_server()
        boxes, agents = chance.sample(self.boxes, 2), chance.sample(self.boxes, 2)
        for name in boxes:
            self.kill_box(name)
        for name in agents:
            self.kill_agent(name)
        without = self.without_bundle()
        time.sleep(1)
        self.broker.start()
        self.serve()
        for name in boxes:
            self.start_box(name)
        return without

    def without_bundle(self) -> list[str]:
        """Boxes whose next start would find none that is whole."""
        return [name for name in self.boxes if not _opens(self.lines[name])]

    def stop(self) -> None:
        for name in self.boxes:
            with suppress(OSError):
                self.kill_box(name)
        if self.server is not None:
            self.kill_server()
        self.broker.kill()

    def _line(self, name: str) -> Path:
        home = self.home / name
        home.mkdir()
        line = yaml.safe_load((EXAMPLES / "steel.yaml").read_text(encoding="utf-8"))
        line |= {"name": name, "bundle": str(SHIPPED["strip"]), "swap": {"folder": "bundles"}}
        line["engine"] = {"type": "native"}
        line["fleet"] = {
            "url": f"http://127.0.0.1:{self.port}",
            "root": str(self.home / "depot" / "root.json"),
            "folder": "fleet",
            "box": name,
            "poll_s": POLL_S,
        }
        topic = f"plant/{name}"
        line["mqtt"] = {
            "host": "127.0.0.1",
            "port": self.broker.port,
            "topic": topic,
            "spool": "spool",
        }
        path = home / "line.yaml"
        path.write_text(yaml.safe_dump(line), encoding="utf-8")
        return path


def _opens(path: Path) -> bool:
    try:
        open_in_force(read_line(path))
    except Exception:
        return False
    return True


def wait_until(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came about."""
    until_s = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= until_s:
            return False
        time.sleep(0.5)
    return True


def now() -> datetime:
    return datetime.now(timezone.utc)
