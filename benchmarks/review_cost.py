"""What a step of the Review view takes beside many events: `python -m benchmarks.review_cost`.

A store of so many events is made, the page is served as a line serves it, and a reviewer's requests
are sent one after the other: the next events, their pictures, and a word on each.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from edge.line_file import WebSettings
from edge.serving import Message, Served, serving
from edge.store.event import KEPT, Event, Why
from edge.store.event_file import EventFile
from edge.store.pictures import FRAME, OVERLAY, picture_path
from edge.types import Defect, State, Stretch
from edge.web.access import PACKAGES, Access

_AT_ONCE = 10_000  # events that are entered together
_AHEAD = 12  # as the page asks for them
_LABELS = ("crack", "dent", "scale", "scratch", None)


def main(
    events: Annotated[int, typer.Option(min=100, help="How many the store has.")] = 100_000,
    steps: Annotated[int, typer.Option(min=12, help="How many are reviewed.")] = 300,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object only.")] = False,
) -> None:
    """Print p50, p95 and the longest of each kind of request, in milliseconds."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root, events, steps)
        with serving(_served(root)) as port:
            found = {"events": events, **review(port, steps)}
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<12} {value}")


def fill(root: Path, count: int, with_pictures: int) -> None:
    """All that a store of this size holds, but for pictures that nobody will look at."""
    file = EventFile(root)
    for first in range(1, count + 1, _AT_ONCE):
        file.append(
            [_event(number) for number in range(first, min(first + _AT_ONCE, count + 1))], []
        )
    file.close()
    image = np.random.default_rng(0).integers(0, 255, (352, 352), np.uint8)
    data = {name: cv2.imencode(Path(name).suffix, image)[1].tobytes() for name in (FRAME, OVERLAY)}
    for number in range(max(1, count - 2 * with_pictures), count + 1):
        for name, content in data.items():
            path = picture_path(root, number, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _event(number: int) -> Event:
    stretch = Stretch(number * 88_000, number * 88_000 + 20_000)
    name = _LABELS[number % len(_LABELS)]
    defect = Defect(stretch, 0, 9_000, 32.0, 0.9, (4, 8, 32, 16), name, 0.8, None, number)
    return Event(
        utc=f"2030-{1 + number // 10_000 % 12:02}-01T00:00:{number % 60:02}.000+00:00",
        camera="top",
        frame=number,
        state=State.NG,
        why=Why.NG,
        start_um=stretch.start_um,
        end_um=stretch.start_um + 88_000,
        reasons=("32 mm2, 20 mm long, score 0.90",),
        defects=(defect,),
        reported=(),
        let_by=(),
        confidence=0.5 + number % 500 / 1000,
        unfamiliar=number % 300 / 100,
        latency_ns=9_000_000,
        stage_ns={"infer": 4_000_000},
        bundle="ab" * 32,
        evidence=KEPT,
        pictures=(FRAME, OVERLAY),
        size_bytes=1000,
        run=1,
        id=number,
    )


def _served(root: Path) -> Served:
    web = WebSettings(port=0)
    return Served(
        web.address("web"),
        PACKAGES,
        "edge.web.pages:page_app",
        settings={
            "access": asdict(Access.of(web)),
            "cameras": ["top"],
            "store": str(root),
            "classes": [],
        },
        answers={"turn": lambda _: Message({})},
    )


def review(port: int, steps: int) -> dict[str, Any]:
    """As a browser does it, one request after the other."""
    asked = _Asked(port)
    first_ms = asked.get("/review/events?count=1")[1]
    taken: dict[str, list[float]] = {"next events": [], "picture": [], "word": [], "step": []}
    which, after, done = "&reviewed=false", "", 0
    while done < steps:
        content, next_ms = asked.get(f"/review/events?count={_AHEAD}{which}{after}")
        taken["next events"].append(next_ms)
        events = json.loads(content)["events"]
        if not events:  # of each somebody has said a word: from the first on once more
            which, after = "", ""
        for event in events:
            number = event["id"]
            picture_ms = asked.get(f"/review/events/{number}/{OVERLAY}")[1]
            word_ms = asked.say(number, {"call": "defect", "by": "somebody"})
            taken["picture"].append(picture_ms)
            taken["word"].append(word_ms)
            # The events come a dozen at a time: a step waits for them, or does not.
            taken["step"].append(picture_ms + word_ms + next_ms)
            next_ms, done, after = 0.0, done + 1, f"&after={number}"
    return {"first, ms": round(first_ms, 1)} | {
        f"{name}, ms": {
            "p50": round(float(np.percentile(values, 50)), 1),
            "p95": round(float(np.percentile(values, 95)), 1),
            "max": round(max(values), 1),
        }
        for name, values in taken.items()
    }


class _Asked:
    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)
        self._origin = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> tuple[bytes, float]:
        return self._ask("GET", path, "")

    def say(self, number: int, word: dict[str, Any]) -> float:
        return self._ask("POST", f"/review/events/{number}", json.dumps(word))[1]

    def _ask(self, method: str, path: str, body: str) -> tuple[bytes, float]:
        began = time.monotonic()
        self._connection.request(method, path, body, {"Origin": self._origin})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {content!r}")
        return content, (time.monotonic() - began) * 1000


if __name__ == "__main__":
    typer.run(main)
