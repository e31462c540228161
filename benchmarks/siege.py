"""What a line feels of attackers at its page and its metrics: `python -m benchmarks.siege`.

A simulated line with its rejector in a thread runs in a process of its own with 1,024 descriptors,
once in peace and once for each attack, with real sockets from other processes. Of each: the largest
reject error, frames, events kept without pictures, what it logged, its CPU, and how many of the
scrapes and page views of somebody who means well were answered within 5 s, during and after.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from urllib.request import Request, urlopen

import typer
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.ports import free_port
from edge.assembly import Line
from edge.cli.logs import log_to_stderr
from edge.errors import TracksideError
from edge.inspect import Inspection
from edge.line_file import EXAMPLES, read_line
from edge.run import run_line
from edge.types import State

_DESCRIPTORS = 1024
_HALF_SENT = 1100
_START_S = 60
_ASK_S = 5
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_HEAD = b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@dataclass(frozen=True, slots=True)
class Felt:
    """One run of the line."""

    attack: str
    frames: int
    unknown: int
    reject_error_mm: float  # the largest
    without_pictures: int  # events
    log_lines: int
    tracebacks: int
    cpu: float  # of the line's process, in cores
    scrapes: str  # answered, of those asked for, during the attack
    views: str
    afterwards: str  # whether both answer once it is over


def half_sent(port: int, until: float) -> None:
    """As many requests as there are descriptors, and more, none of them ever ended."""
    held: list[socket.socket] = []
    while time.monotonic() < until:
        while len(held) < _HALF_SENT and time.monotonic() < until:
            held.append(_begun(port))
        time.sleep(0.05)
        held = [each for each in held if _is_open(each)]


def dripping(port: int, until: float) -> None:
    """Few clients that send a header line each second, for ever."""
    held: list[socket.socket] = []
    while time.monotonic() < until:
        held = [each for each in held if _is_open(each)]
        while len(held) < 3:
            held.append(_begun(port))
        for each in held:
            _send(each, b"X-Drip: 1\r\n")
        time.sleep(0.5)


def hasty(port: int, until: float) -> None:
    """Whole requests, one after the other, as fast as they are answered."""
    while time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as one:
                while time.monotonic() < until:
                    one.sendall(_HEAD + b"\r\n")
                    if not one.recv(1 << 16):
                        break
        except OSError:
            continue


ATTACKS: dict[str, Callable[[int, float], None]] = {
    "half-sent": half_sent,
    "dripping": dripping,
    "hasty": hasty,
}


def _begun(port: int) -> socket.socket:
    one = socket.socket()
    one.settimeout(0.2)
    try:
        one.connect(("127.0.0.1", port))
    except OSError:
        return one
    _send(one, _HEAD)
    one.setblocking(False)
    return one


def _send(one: socket.socket, what: bytes) -> None:
    try:
        one.send(what)
    except OSError:
        one.close()


def _is_open(one: socket.socket) -> bool:
    try:
        if one.fileno() >= 0 and one.recv(1 << 16):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    one.close()
    return False


def besieged(attack: str, seconds: float, folder: Path) -> Felt:
    """Run a line under it."""
    page, metrics = free_port(), free_port()
    path, log, result = folder / "line.yaml", folder / "line.log", folder / "result.json"
    path.write_text(yaml.safe_dump(_line(folder, page, metrics)))
    with log.open("wb") as errors:
        line = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.siege", "--line", str(path)],
            stderr=errors,
            stdout=result.open("wb"),
        )
    attackers = []
    try:
        _await(page)
        before, at = _cpu_s(line.pid), time.monotonic()
        attackers = _set_on(attack, (page, metrics), seconds)
        asked = [0, 0, 0]  # rounds, scrapes and views that were answered
        while time.monotonic() < at + seconds:
            asked[0] += 1
            asked[1] += _answers(f"http://127.0.0.1:{metrics}/metrics")
            asked[2] += _answers(f"http://127.0.0.1:{page}/state")
            time.sleep(0.5)
        cpu = (_cpu_s(line.pid) - before) / (time.monotonic() - at)
        for each in attackers:
            each.wait()
        time.sleep(_ASK_S)
        alive = ["metrics"] if _answers(f"http://127.0.0.1:{metrics}/metrics") else []
        alive += ["page"] if _moves(f"http://127.0.0.1:{page}/state") else []
    finally:
        for each in attackers:
            each.kill()
        line.terminate()
        line.wait(30)
    said = log.read_text(errors="replace")
    if not result.read_text():
        raise TracksideError(f"the line ended under {attack}: {said[-2000:]}")
    told = json.loads(result.read_text())
    return Felt(
        attack,
        told["frames"],
        told["unknown"],
        round(told["error_um_max"] / 1000, 2),
        _without_pictures(folder / "events" / "events.sqlite"),
        said.count("\n"),
        said.count("Traceback"),
        round(cpu, 2),
        f"{asked[1]} of {asked[0]}",
        f"{asked[2]} of {asked[0]}",
        " and ".join(alive) or "nothing",
    )


def _line(folder: Path, page: int, metrics: int) -> dict[str, object]:
    line = yaml.safe_load((EXAMPLES / "steel.yaml").read_text())
    line["cameras"]["top"] |= {"defects_per_metre": 6, "seed": 3}
    line["reject"] |= {"margin_mm": 40, "tolerance_mm": 40, "isolation": "thread"}
    return {
        **line,
        "web": {"port": page},
        "metrics": {"port": metrics},
        "store": {"path": str(folder / "events"), "max_size_mb": 200, "keep_free_mb": 1},
    }


def _set_on(attack: str, ports: tuple[int, int], seconds: float) -> list[subprocess.Popen[bytes]]:
    if attack not in ATTACKS:
        return []
    # They come from elsewhere, and take none of the box's processor from the line.
    python = ["nice", "-n", "15", sys.executable]
    command = [*python, "-m", "benchmarks.siege", "--seconds", str(seconds), "--at"]
    return [subprocess.Popen([*command, f"{attack}:{port}"]) for port in ports]


def _await(port: int) -> None:
    give_up = time.monotonic() + _START_S
    while not _answers(f"http://127.0.0.1:{port}/state"):
        if time.monotonic() > give_up:
            raise TimeoutError("the line's page never came")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urlopen(Request(url), timeout=_ASK_S) as answer:
            return bool(answer.status == 200 and answer.read())
    except OSError:
        return False


def _moves(url: str) -> bool:
    """Whether the page shows a line that goes on."""
    places: list[float] = []
    for _ in range(2):
        try:
            with urlopen(url, timeout=_ASK_S) as answer:
                places.append(json.load(answer)["health"]["uptime_s"])
        except OSError:
            return False
        time.sleep(3)
    return places[0] < places[1]


def _without_pictures(store: Path) -> int:
    with closing(sqlite3.connect(store)) as database:
        query = "SELECT count(*) FROM events WHERE pictures IN ('[]', '{}')"
        return int(database.execute(query).fetchone()[0])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def _run(path: Path) -> None:
    """The line's own process."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, _DESCRIPTORS))
    log_to_stderr(as_json=False, verbose=False)
    lines: list[Line] = []

    def watch(line: Line) -> Callable[[Inspection], None]:
        lines.append(line)
        return lambda inspection: None

    tally = run_line(read_line(path), watch=watch)
    report = lines[0].report()
    unknown = tally.states[State.UNKNOWN]
    told = {"frames": tally.frames, "unknown": unknown, "error_um_max": report.error_um_max}
    print(json.dumps(told))


def show(felt: list[Felt]) -> None:
    names = list(asdict(felt[0]))
    table = Table(*[name.replace("_", " ") for name in names])
    for each in felt:
        table.add_row(*[str(value) for value in asdict(each).values()])
    Console(width=150).print(table)


def main(
    seconds: Annotated[float, typer.Option(min=1, help="Of each run.")] = 20,
    only: Annotated[list[str] | None, typer.Option(help="Of peace and the attacks.")] = None,
    line: Annotated[Path | None, typer.Option(hidden=True)] = None,
    at: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Besiege a line, and say what it felt."""
    if line is not None:
        _run(line)
    elif at is not None:
        attack, _, port = at.partition(":")
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
        ATTACKS[attack](int(port), time.monotonic() + seconds)
    else:
        felt = []
        for attack in only or ["peace", *ATTACKS]:
            with tempfile.TemporaryDirectory() as temporary:
                felt.append(besieged(attack, seconds, Path(temporary)))
        show(felt)


if __name__ == "__main__":
    typer.run(main)
