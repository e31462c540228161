"""Takes the pictures of simulated lines: `make pictures`, on a machine with nothing else to do.

It wants Chromium (Debian: `apt install chromium`). Look at what it wrote before you keep it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import yaml
from playwright.sync_api import Page, sync_playwright
from rich.console import Console

from edge.assembly import Line
from edge.cli.dashboard import Dashboard
from edge.demo import DEMO_LINE, run_demo, write_report
from edge.line_file import read_line
from edge.run import Tally

ROOT = Path(__file__).parents[2]
SHOWN = ROOT / "edge" / "pictures"
MANUAL = ROOT / "docs" / "pictures"
PORT = 8437
LINE_S, DEMO_S, GLANCE_S = 90, 20, 12  # how long the line, the demo run; when the demo is drawn
SIZE = {"width": 1280, "height": 800}


def main() -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("chromium is not installed: apt install chromium")
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        report = Path(folder) / "report.html"
        draw_demo(SHOWN / "demo.svg", report)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.goto(report.as_uri())
        take(page, MANUAL / "demo-report.png")
        with running_line(Path(folder)) as address:
            page.goto(address)
            time.sleep(LINE_S)
            page.wait_for_selector("#verdict[data-state=NG]")
            take(page, SHOWN / "live.png")
        browser.close()


def draw_demo(path: Path, report: Path) -> None:
    """The terminal in the middle of a demo, and the report that the demo ends with."""
    console = Console(record=True, file=StringIO(), force_terminal=True, width=100)

    def watch(line: Line, tally: Tally) -> None:
        def glance() -> None:
            if line.report().pending < 2:  # nothing to be seen on its way
                Timer(0.02, glance).start()
            else:
                console.print(Dashboard(line, tally))

        Timer(GLANCE_S, glance).start()

    write_report(run_demo(read_line(DEMO_LINE), DEMO_S, watch=watch), report)
    drawn = console.export_svg(title="trackside demo", unique_id="demo")
    # A picture fetches no fonts.
    drawn = re.sub(r"@font-face {.*?}", "", drawn, flags=re.DOTALL)
    mono = "ui-monospace, SFMono-Regular, Menlo, Consolas, monospace"
    path.write_text(drawn.replace("Fira Code, monospace", mono), encoding="utf-8")


@contextmanager
def running_line(folder: Path) -> Iterator[str]:
    """The demo's line, free from its end, with its page; what it is answered at."""
    line = yaml.safe_load(DEMO_LINE.read_text(encoding="utf-8"))
    line |= {"name": "rail-1", "web": {"port": PORT}, "store": {"path": "events"}}
    (folder / "line.yaml").write_text(yaml.safe_dump(line), encoding="utf-8")
    running = subprocess.Popen([sys.executable, "-m", "edge.cli", "run", folder / "line.yaml"])
    address = f"http://127.0.0.1:{PORT}/"
    try:
        await_answer(address)
        yield address
    finally:
        running.terminate()
        running.wait()


def await_answer(address: str) -> None:
    for _ in range(120):
        try:
            urlopen(address).close()
        except URLError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{address} does not answer: see what the line said")


def take(page: Page, path: Path) -> None:
    """A picture small enough for a repository: 32 shades of each colour, white among them."""
    page.screenshot(path=path)
    shades = cv2.imread(str(path)) & 0xF8
    cv2.imwrite(str(path), shades | shades >> 5, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
