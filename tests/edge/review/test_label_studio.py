"""Events through a real Label Studio and back: what is found right there is ours to the bit."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from benchmarks.ports import free_port
from edge.review import Call, latest_reviews
from edge.review.marks import drawn
from edge.store import EventStore, picture_path, read_events
from edge.store.pictures import MASK
from edge.types import State
from stands.event_stores import SIZE, inspection, settings, utc_now
from stands.places import ROOT
from stands.waiting import eventually

ENVIRONMENT = ROOT / ".venv-label-studio" / "bin"
TOKEN, STARTS_S = "0123456789abcdef0123456789abcdef01234567", 600

pytestmark = pytest.mark.skipif(
    not (ENVIRONMENT / "label-studio").exists(), reason="make label-studio"
)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Two rejected frames, and one that is unsure."""
    root = tmp_path / "store"
    with EventStore(settings(root), utc_now) as store:
        for each in (inspection(0), inspection(1), inspection(2, State.NG, 0.55)):
            store.record(each)
    return root


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[str]:
    """Its address; it serves pictures from this test's folder."""
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "LOCAL_FILES_SERVING_ENABLED": "true",
        "LOCAL_FILES_DOCUMENT_ROOT": str(tmp_path / "out"),
        "COLLECT_ANALYTICS": "false",
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
    }
    command = [str(ENVIRONMENT / "label-studio"), "start", "--no-browser", "--username", "a@b.c"]
    command += [
        "--password",
        "password",
        "--user-token",
        TOKEN,
        "--data-dir",
        str(tmp_path / "data"),
    ]
    command += ["--host", url, "--internal-host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    log = tmp_path / "studio.log"

    def answers() -> bool:
        assert server.poll() is None, log.read_text()[-2000:]
        try:
            with urlopen(f"{url}/health", timeout=10) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    with log.open("w") as out:
        server = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            eventually(answers, STARTS_S)
            yield url
        finally:
            server.kill()
            server.wait()


def test_masks_that_are_found_right_or_painted_in_label_studio_come_back_to_the_bit(
    kept: Path, studio: str, tmp_path: Path, trackside_events: Callable[..., str]
) -> None:
    out, export = tmp_path / "out", tmp_path / "export.json"
    trackside_events("export", kept, "--format", "label-studio", "-o", out)
    person = ROOT / "tests" / "stands" / "label_studio_person.py"
    subprocess.run([ENVIRONMENT / "python", person, studio, TOKEN, out, export], check=True)
    assert len(json.loads(export.read_text())) == 3
    taken = trackside_events("import", kept, export, "--format", "label-studio", "--by", "Kim")
    assert taken == "3 events are marked\n"
    reviews = latest_reviews(kept)
    wanted = [
        cv2.imread(str(picture_path(kept, event, MASK)), cv2.IMREAD_UNCHANGED) for event in (1, 2)
    ]
    painted = np.zeros((SIZE, SIZE), np.uint8)
    painted[3:40, 17:50:2] = 255  # what the person paints, by Label Studio's own code
    for event, mask in zip(read_events(kept), [*wanted, painted], strict=True):
        review = reviews[event.id, event.utc]
        assert (review.call, review.by) == (Call.MARKED, "Kim")
        assert {mark.label for mark in review.marks} == {"defect"}
        assert np.array_equal(drawn(review.marks, SIZE, SIZE), mask)
