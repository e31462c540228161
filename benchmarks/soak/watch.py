"""Looks at a running line from outside, and says whether it is well."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.soak.broker import TOPIC, heard
from benchmarks.soak.evidence import Evidence, JudgedFrame, Kept, Sample
from benchmarks.soak.plant import Plant
from edge.store import picture_path, read_losses
from edge.telemetry import Spool
from edge.types import State, Stretch
from firmware_bridge.ledger import read_ledger

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LATEST = 1000  # frames among which the last one that was bad is looked for
_BEHIND_NS = 2_000_000_000  # what is older than this has been told, kept and entered


class Watch:
    """Gathers the evidence. Its thread reads the probe's report; the rest is looked up."""

    def __init__(self, plant: Plant, evidence: Evidence) -> None:
        self._plant = plant
        self._evidence = evidence
        self._thread = threading.Thread(target=self._read_report, name="report", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """All that the probe said is there afterwards."""
        self._thread.join()

    def sample(self) -> None:
        """Memory, files and threads, by the kernel."""
        process = Path("/proc") / str(self._plant.line.pid)
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            sample = Sample(
                at_ns=time.monotonic_ns(),
                resident_bytes=int((process / "statm").read_text().split()[1]) * _PAGE,
                files=sum(1 for _ in (process / "fd").iterdir()),
                threads=int(fields[17]),
                cpu_s=(int(fields[11]) + int(fields[12])) * _TICK_S,
            )
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            return
        self._evidence.samples.append(sample)

    def scrape(self) -> None:
        """Read the page as Prometheus would."""
        try:
            with urlopen(f"http://127.0.0.1:{self._plant.metrics_port}/metrics", timeout=5) as page:
                self._evidence.scrapes += b"trackside_frames_total" in page.read()
        except (URLError, OSError):
            return

    def look_into_store(self) -> None:
        """Note the rows that are new, before their turn comes to be removed."""
        root = self._plant.disk / "events"
        last = self._evidence.kept[-1].id if self._evidence.kept else 0
        query = (
            "SELECT id, camera, frame, state, evidence, bundle, pictures FROM events WHERE id > ?"
        )
        at_ns = time.monotonic_ns()
        for number, camera, frame, state, said, bundle, pictures in _rows(
            root / "events.sqlite", f"{query} ORDER BY id", last
        ):
            paths = [picture_path(root, number, name) for name in json.loads(pictures)]
            missing = sum(not path.exists() for path in paths)
            self._evidence.kept.append(
                Kept(number, camera, frame, State(state), said, bundle, at_ns, missing)
            )

    def is_well(self) -> bool:
        """What the line decided two seconds ago is good, and is everywhere it should be."""
        if any(change.poll() is None for change in self._plant.changes):
            return False
        return all(map(self._sees, self._plant.cameras))

    def _sees(self, camera: str) -> bool:
        latest = [s for s in self._evidence.judged[-_LATEST:] if s.camera == camera]
        if not latest or latest[-1].state is State.UNKNOWN:
            return False
        behind_ns = time.monotonic_ns() - _BEHIND_NS
        old = [s for s in latest if s.decided_ns < behind_ns]
        bad = [s for s in old if s.state is not State.OK]
        return (
            bool(old)
            and self._was_told(camera, old[-1].frame)
            and (not bad or self._was_kept(camera, bad[-1].frame))
        )

    def gather_the_rest(self) -> None:
        """What is on disk once the line has ended."""
        self.look_into_store()
        self._evidence.losses = sum(
            events for _, events, _ in read_losses(self._plant.disk / "events")
        )
        self._evidence.ledger += read_ledger(self._plant.disk / "ledger.sqlite")
        if self._plant.broker is not None:
            with Spool(self._plant.disk / "spool.sqlite", limit=1_000_000) as spool:
                while (found := spool.oldest()) is not None:
                    number, message = found
                    topic = message.topic.removeprefix(f"{TOPIC}/")
                    self._evidence.unsent.append(heard(topic, message.payload, 0))
                    spool.remove(number)

    def _was_told(self, camera: str, frame: int) -> bool:
        if self._plant.broker is None:
            return True
        verdicts = (h for h in reversed(self._evidence.heard) if h.topic == f"verdict/{camera}")
        latest = next(verdicts, None)
        return latest is not None and latest.body["frame"] >= frame

    def _was_kept(self, camera: str, frame: int) -> bool:
        self.look_into_store()
        kept = (row.frame for row in reversed(self._evidence.kept) if row.camera == camera)
        query = (
            "SELECT tag FROM entries WHERE kind = 'order' AND tag LIKE ? ORDER BY id DESC LIMIT 1"
        )
        ordered = _rows(self._plant.disk / "ledger.sqlite", query, f"{camera} frame %")
        if next(kept, -1) < frame or not ordered:
            return False
        [(tag,)] = ordered  # "top frame 7"
        return int(tag.split()[-1]) >= frame

    def _read_report(self) -> None:
        for text in self._plant.line.report:
            read_report(text, self._evidence)


def read_report(text: str, evidence: Evidence) -> None:
    """Enter what the probe says in a line of its report."""
    what, fact = json.loads(text)
    match what:
        case "rail":
            evidence.rail_ns = fact
        case "beat":
            camera, at_ns, _ = fact
            evidence.beats.append((camera, at_ns))
        case "blocks":
            evidence.blocks.append((fact[0], fact[1]))
        case "reject":
            camera, at_ns, active = fact
            evidence.edges.append((camera, at_ns, active))
        case "frame":
            camera, frame, start_um, end_um, state, *rest = fact
            stretch = Stretch(start_um, end_um)
            evidence.judged.append(JudgedFrame(camera, frame, stretch, State(state), *rest))


def _rows(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """None of them while a disk that is full does not even let anyone read."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
            return list(database.execute(query, values))
    except sqlite3.OperationalError:
        return []
