"""Where the box that boots lies; without it, or what boots it, its tests are skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stands.box_machine import PROGRAMS, BoxMachine


@pytest.fixture(scope="session")
def image() -> Path:
    """Disk, kernel and initial file system, of tests/box/build.py."""
    folder = os.environ.get("TRACKSIDE_BOX")
    if folder is None:
        pytest.skip("make box-test builds the box first")
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: {package})")
    return Path(folder)


@pytest.fixture(scope="module")
def box(image: Path) -> Iterator[BoxMachine]:
    """It has power: the file's tests are what happens to it, one after another."""
    with BoxMachine(image) as box:
        box.start(at_um=0)
        yield box
