"""The same backtest on Ray: the same rows, also where a worker is killed in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

pytest.importorskip("ray", reason="pip install 'trackside[ray]'")

from benchmarks.ports import free_port
from edge.backtest import Asked, InThisProcess, OpenWorkers, Progress, backtest
from edge.backtest.ray_workers import LOCAL, OnRay
from edge.line_file import OnnxRuntimeSettings
from edge.swap import Evidence
from stands.make_recording import FRAMES, RECORDING, write_pinned_bundle
from stands.places import TESTS_PATH
from stands.waiting import eventually

RUNS = 6


def descendants(of: int) -> list[tuple[int, str]]:
    """Processes of one and of theirs, each with its command."""
    parents: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(state[1]), command
    ours, found = {of}, list[tuple[int, str]]()
    while new := {pid for pid, (parent, _) in parents.items() if parent in ours} - ours:
        ours |= new
        found += [(pid, parents[pid][1]) for pid in sorted(new)]
    return found


@dataclass(frozen=True)
class Archive:
    """Recordings, and the bundle that is tried on them."""

    folder: Path
    recordings: tuple[str, ...]

    def run(
        self, out: str, workers: OpenWorkers, tell: Callable[[Progress], None] = lambda _: None
    ) -> Evidence:
        bundle = str(self.folder / "new.bundle")
        asked = Asked(bundle, self.recordings, self.folder / out, OnnxRuntimeSettings())
        return backtest(asked, lambda: datetime.now(timezone.utc), tell, workers)


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")  # else Ray writes a token into one's home
    # Ray's workers give way to all else, and on a busy machine would never be done.
    monkeypatch.setenv("RAY_worker_niceness", "0")
    write_pinned_bundle(tmp_path / "new.bundle", bright=185)
    folders = [tmp_path / f"rail-{number}" for number in range(RUNS)]
    return Archive(tmp_path, tuple(str(shutil.copytree(RECORDING, each)) for each in folders))


def test_rows_are_the_same_after_a_worker_is_killed_in_the_middle(archive: Archive) -> None:
    killed = list[int]()

    def kill_one(progress: Progress) -> None:
        if progress.frames >= FRAMES and not killed:
            workers = [pid for pid, command in descendants(os.getpid()) if "MapWorker" in command]
            assert workers
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    serial = archive.run("serial", InThisProcess)
    assert serial.newly_rejected > 0
    on_ray = archive.run("ray", OnRay(LOCAL, 2), kill_one)
    assert len(killed) == 1
    assert (on_ray.frames, on_ray.fault_count) == (RUNS * FRAMES, 0)
    assert on_ray.digest == serial.digest


@dataclass(frozen=True)
class Node:
    """`ray start --block`, and all that it has begun."""

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """At once and altogether, as a power cut does it."""
        for pid, _ in descendants(self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@contextmanager
def node(folder: Path, *arguments: str) -> Iterator[Node]:
    """A node with one core on loopback, until left."""
    start = "from ray.scripts.scripts import main; main()"
    command = [sys.executable, "-c", start, "start", "--block", "--disable-usage-stats"]
    command += ["--node-ip-address", "127.0.0.1", "--num-cpus", "1", *arguments]
    environment = {**os.environ, "PYTHONPATH": TESTS_PATH}
    log = folder / f"node-{len(list(folder.glob('node-*')))}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
    running = Node(process, log)
    try:
        eventually(lambda: _is_up(running))
        yield running
    finally:
        running.kill()


def _is_up(running: Node) -> bool:
    said = running.log.read_text(errors="replace")
    assert running.process.poll() is None, said
    return "Ray runtime started" in said


def test_rows_are_the_same_after_a_whole_node_of_a_cluster_is_killed(
    archive: Archive, tmp_path: Path
) -> None:
    """Two nodes that are begun as the manual has it."""
    address = f"127.0.0.1:{free_port()}"
    head = ["--head", "--port", address.rpartition(":")[2], "--include-dashboard", "false"]
    killed = list[bool]()
    with (
        TemporaryDirectory(prefix="ray-") as short,  # a socket's path is of 107 letters at most
        node(tmp_path, *head, "--temp-dir", short),
        node(tmp_path, "--address", address) as other,
    ):

        def kill_it(progress: Progress) -> None:
            if progress.frames >= FRAMES and not killed:
                killed.append(True)
                other.kill()

        on_ray = archive.run("ray", OnRay(address, 2), kill_it)
    assert killed
    assert (on_ray.frames, on_ray.fault_count) == (RUNS * FRAMES, 0)
    assert on_ray.digest == archive.run("serial", InThisProcess).digest
