"""What an agent takes while nothing happens, and what a static server bears of many that ask."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from benchmarks.fleet.plant import Plant, now, wait_until
from edge.fleet import FleetFolder
from edge.fleet.agent import start_agent
from edge.network import SHIPPED

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ASKS, _AT_ONCE = 10_000, 50
_BOXES, _POLL_S = 1000, 900


def cost(home: Path, idle_s: float) -> dict[str, Any]:
    """As many questions as a thousand boxes ask in two and a half hours, as fast as may be."""
    plant = Plant(home, boxes=2)
    plant.depot.publish(bundle=SHIPPED["strip"], lines={}, now=now())
    plant.serve()
    try:
        time.sleep(1)
        return {"agent": _agent(plant, idle_s), "server": _server(plant)}
    finally:
        plant.kill_server()


def _agent(plant: Plant, idle_s: float) -> dict[str, Any]:
    """Asking every five seconds; its line does not run, so that it has nothing to do."""
    path = plant.lines["box-01"]
    plant.depot.end(1, "revoked", "nothing is to be done", now())
    with start_agent(path) as agent:
        folder = FleetFolder(path.parent / "fleet")
        wait_until(lambda: folder.shown("box-01").contact_at is not None, 120)
        time.sleep(3)
        before_s, begun_s = _processor_s(agent), time.monotonic()
        time.sleep(idle_s)
        used_s, passed_s = _processor_s(agent) - before_s, time.monotonic() - begun_s
        memory = int(Path(f"/proc/{agent.pid}/statm").read_text().split()[1]) * _PAGE
        agent.kill()
    asked = passed_s / 5
    return {
        "memory_mb": round(memory / 1e6, 1),
        "processor_ms_a_question": round(1000 * used_s / asked, 2),
        "share_of_a_core_every_900_s": used_s / asked / _POLL_S,
    }


def _server(plant: Plant) -> dict[str, Any]:
    assert plant.server is not None
    before_s, begun_s = _processor_s(plant.server), time.monotonic()
    with ThreadPoolExecutor(_AT_ONCE) as many:
        sizes = list(many.map(lambda _: _ask(plant.port), range(_ASKS)))
    passed_s, used_s = time.monotonic() - begun_s, _processor_s(plant.server) - before_s
    each_ms = 1000 * used_s / _ASKS
    return {
        "asked": _ASKS,
        "answered": sum(size > 0 for size in sizes),
        "bytes_an_answer": max(sizes),
        "a_second": round(_ASKS / passed_s),
        "processor_ms_an_answer": round(each_ms, 3),
        "share_of_a_core_for_1000_boxes": round(_BOXES / _POLL_S * each_ms / 1000, 5),
        "share_of_a_core_for_100000_boxes": round(100 * _BOXES / _POLL_S * each_ms / 1000, 3),
        "mbit_s_for_100000_boxes": round(100 * _BOXES / _POLL_S * max(sizes) * 8 / 1e6, 2),
    }


def _ask(port: int) -> int:
    """Bytes of the answer with its head; a connection for each, as boxes have."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/metadata/timestamp.json")
        answer = connection.getresponse()
        return len(answer.read()) + sum(len(k) + len(v) + 4 for k, v in answer.getheaders())
    except OSError:
        return 0
    finally:
        connection.close()


def _processor_s(process: subprocess.Popen[bytes]) -> float:
    """Its own, and that of its processes that ended."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * _TICK_S
