"""The container's own process, and the image by podman where the machine lets it.

`make container` builds the image; TRACKSIDE_CONTAINER says where the archive lies, and without it
what needs it is skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from stands.places import ROOT, STEEL_LINE
from stands.waiting import eventually

LINE = [sys.executable, ROOT / ".ci" / "container" / "line.py"]
ARCHIVE = os.environ.get("TRACKSIDE_CONTAINER")


def a_line(folder: Path) -> Path:
    """That runs until it is told to stop, by a camera of its own."""
    line = yaml.safe_load(STEEL_LINE.read_text())
    line["cameras"]["top"] |= {"fps": 20, "quality": {"stale_after_ms": 20_000}}
    path = folder / "line.yaml"
    path.write_text(yaml.safe_dump(line))
    return path


@contextmanager
def supervised(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], int]]]:
    """The container's process outside of any container, and its healthcheck."""
    environ = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    environ.pop("NOTIFY_SOCKET", None)
    command = [*LINE, "run", a_line(folder)]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process, lambda: subprocess.call([*LINE, "health"], env=environ)
        finally:
            process.kill()


def child(process: subprocess.Popen[str]) -> int:
    (line,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(line)


def test_a_line_is_well_once_it_is_ready_and_ends_in_good_order(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, health):
        eventually(lambda: health() == 0)
        process.terminate()
        assert process.wait(60) == 0


def test_a_line_that_hangs_is_killed_and_the_container_ends(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, health):
        eventually(lambda: health() == 0)
        hanging = child(process)
        os.kill(hanging, signal.SIGSTOP)
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert "the line hangs: it is killed" in process.stderr.read()
        assert not Path(f"/proc/{hanging}").exists()


class Podman:
    """The image in a store of the test's own, run with as little as a container may have."""

    LEAST = (
        *("--read-only", "--network=none", "--cap-drop=all", "--security-opt=no-new-privileges"),
        # What a machine may not let us set, or have: the caller's own does.
        *("--cgroups=disabled", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"),
        "--health-interval=disable",  # it would want systemd; we ask ourselves
    )

    def __init__(self, home: Path, archive: str) -> None:
        self._program = ["podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs"]
        self._program += [f"--root={home / 'store'}", f"--runroot={home / 'run'}"]
        loaded = self("load", "--quiet", f"--input={archive}")
        self.image = loaded.stdout.split(": ")[-1].strip()

    def __call__(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        command = [*self._program, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def run(self, options: list[str], *command: str) -> subprocess.CompletedProcess[str]:
        return self("run", *self.LEAST, *options, self.image, *command)


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    if ARCHIVE is None:
        pytest.skip("make test-container builds the image first")
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    podman = Podman(tmp_path_factory.mktemp("podman"), ARCHIVE)
    tried = podman.run(["--rm", "--entrypoint=/bin/true"])
    if tried.returncode:
        pytest.skip(f"this machine runs no containers: {tried.stderr.splitlines()[-1]}")
    return podman


def test_the_container_passes_the_demo_with_nothing_to_write_to_and_no_rights(
    podman: Podman,
) -> None:
    shown = podman.run(["--rm"], "demo", "--json", "--report=/tmp/report.html")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["passed"]


def test_a_line_in_a_container_is_healthy_and_stops_at_reject(
    podman: Podman, tmp_path: Path
) -> None:
    lines = f"--volume={a_line(tmp_path)}:/etc/trackside/lines/line.yaml:ro"
    started = podman.run(["--detach", "--name=line", lines])
    assert started.returncode == 0, started.stderr
    try:
        eventually(lambda: podman("healthcheck", "run", "line").returncode == 0)
        assert podman("exec", "line", "id", "-un").stdout.strip() == "trackside"
        assert podman("exec", "line", "touch", "/opt/trackside/new").returncode != 0
        assert podman("exec", "line", "touch", "/var/lib/trackside/new").returncode == 0
        podman("stop", "--time=60", "line")
        assert podman("wait", "line").stdout.strip() == "0"
    finally:
        podman("rm", "--force", "--volumes", "line")
