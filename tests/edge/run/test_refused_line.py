"""A box starts again while its disk refuses: it inspects, rejects, and enters all of it later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stands.places import TESTS_PATH
from stands.refused_line import BEFORE, FRAMES
from stands.small_disk import a_small_disk


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_line_starts_on_a_disk_that_refuses_and_loses_no_order_event_or_message(
    how: str, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    command = [*a_small_disk(disk), sys.executable, "-m", "stands.refused_line", str(disk), how]
    theirs = {**os.environ, "PYTHONPATH": TESTS_PATH}
    ran = subprocess.run(command, env=theirs, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert (said["kinds"][0], said["kinds"][-1]) == ("begun", "ended")
    assert said["orders"] == sorted(set(said["orders"]))  # passes have numbers between
    assert "fired" in said["kinds"] and "lost" not in said["kinds"]
    # Those beyond the last frame are still to come when it ends.
    assert sorted(said["settled"]) == said["orders"][: len(said["settled"])]
    assert said["kept"] == said["not ok"] > 0
    assert said["verdicts"] == BEFORE + FRAMES
