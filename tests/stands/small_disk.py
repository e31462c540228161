"""A small disk that one process alone sees, to be filled or made read-only."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o size={}m tmpfs "$0" && exec "$@"'


def a_small_disk(path: Path, megabytes: int = 4) -> tuple[str, ...]:
    """What runs a command with a disk of a few megabytes at `path`."""
    path.mkdir()
    wrapper = ("unshare", "--mount", "--map-root-user", "sh", "-c", _MOUNT.format(megabytes))
    wrapper = (*wrapper, str(path))
    if shutil.which("unshare") is None or not _works([*wrapper, "true"]):
        pytest.skip("no disk can be mounted here: needs root, or user namespaces")
    return wrapper


def _works(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
