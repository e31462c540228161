"""The same backtest on Ray: the same rows, also where a worker is killed in the middle."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="pip install 'trackside[ray]'")
from ray import cluster_utils

from edge.backtest import Asked, InThisProcess, OpenWorkers, Progress, backtest
from edge.backtest.ray_workers import LOCAL, OnRay
from edge.line_file import OnnxRuntimeSettings
from edge.swap import Evidence
from stands.make_recording import FRAMES, RECORDING, write_pinned_bundle

RUNS = 6


def descendants() -> list[tuple[int, str]]:
    """Processes of this one and of theirs, each with its command."""
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
    ours, found = {os.getpid()}, list[tuple[int, str]]()
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
    write_pinned_bundle(tmp_path / "new.bundle", bright=185)
    folders = [tmp_path / f"rail-{number}" for number in range(RUNS)]
    return Archive(tmp_path, tuple(str(shutil.copytree(RECORDING, each)) for each in folders))


def test_rows_are_the_same_after_a_worker_is_killed_in_the_middle(archive: Archive) -> None:
    killed = list[int]()

    def kill_one(progress: Progress) -> None:
        if progress.frames >= FRAMES and not killed:
            workers = [pid for pid, command in descendants() if "MapWorker" in command]
            assert workers
            killed.append(workers[0])
            os.kill(workers[0], signal.SIGKILL)

    serial = archive.run("serial", InThisProcess)
    assert serial.newly_rejected > 0
    on_ray = archive.run("ray", OnRay(LOCAL, 2), kill_one)
    assert len(killed) == 1
    assert (on_ray.frames, on_ray.fault_count) == (RUNS * FRAMES, 0)
    assert on_ray.digest == serial.digest


def test_rows_are_the_same_after_a_whole_node_of_a_cluster_is_killed(archive: Archive) -> None:
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        killed = list[bool]()

        def kill_it(progress: Progress) -> None:
            if progress.frames >= FRAMES and not killed:
                killed.append(True)
                cluster.remove_node(other, allow_graceful=False)

        on_ray = archive.run("ray", OnRay(cluster.address, 2), kill_it)
        assert killed
        assert (on_ray.frames, on_ray.fault_count) == (RUNS * FRAMES, 0)
        assert on_ray.digest == archive.run("serial", InThisProcess).digest
    finally:
        cluster.shutdown()
