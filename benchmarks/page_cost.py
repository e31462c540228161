"""What the live page costs the box: CPU of a running line with one viewer, less that without.

    python -m benchmarks.page_cost --seconds 60 --rounds 3

The demo's line runs in a process of its own, which serves the page all the time; a browser looks,
or does not, in turns, so that what else the machine does falls on both alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from benchmarks.ports import free_port
from edge.line_file import EXAMPLES

_START_S = 60
_SETTLE_S = 5  # after a browser came or went


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=60, help="of each window")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _running(Path(folder)) as (pid, url):
        alone, viewed = [], []
        for number in range(asked.rounds):
            time.sleep(_SETTLE_S)
            alone.append(_share(pid, asked.seconds))
            with _viewer(url):
                time.sleep(_SETTLE_S)
                viewed.append(_share(pid, asked.seconds))
            print(f"{number + 1}: {alone[-1]:.2%} alone, {viewed[-1]:.2%} viewed", flush=True)
        cost = statistics.median(v - a for v, a in zip(viewed, alone, strict=True))
        print(f"one viewer costs {cost:.2%} of one core, the median of {asked.rounds}")


@contextmanager
def _running(folder: Path) -> Iterator[tuple[int, str]]:
    port = free_port()
    line = {**yaml.safe_load((EXAMPLES / "steel.yaml").read_text()), "web": {"port": port}}
    path, url = folder / "line.yaml", f"http://127.0.0.1:{port}/"
    path.write_text(yaml.safe_dump(line))
    command = [sys.executable, "-c", "from edge.cli.app import main; main()", "run", str(path)]
    with subprocess.Popen(command) as process:
        try:
            _await(url)
            yield process.pid, url
        finally:
            process.terminate()


def _await(url: str) -> None:
    give_up = time.monotonic() + _START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)
        else:
            return


@contextmanager
def _viewer(url: str) -> Iterator[None]:
    """A real browser, of the size of a panel."""
    browser = shutil.which("chromium") or sys.exit("apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415, the tests' extra

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector("#frame:not([hidden])")
        try:
            yield
        finally:
            chromium.close()


def _share(pid: int, seconds: float) -> float:
    """CPU time of the process, its threads and its children, as a share of one core."""
    before, at = _cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (_cpu_s(pid) - before) / (time.monotonic() - at)


def _cpu_s(pid: int) -> float:
    """The page has a process of its own."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return own + sum(_cpu_s(int(c)) for t in tasks for c in (t / "children").read_text().split())


if __name__ == "__main__":
    main()
