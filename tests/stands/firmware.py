"""The firmware as the tests want it: built where its tools are, and skipped where they are not."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from stands.places import ROOT

SOURCES = ROOT / "firmware_bridge" / "firmware"
MADE = {
    "host": ("host", "gcc"),
    "library": ("libcore.so", "gcc"),
    "fuzz": ("fuzz", "gcc"),
    "an385": ("an385.elf", "arm-none-eabi-gcc"),
    "an385-rig": ("an385-rig.elf", "arm-none-eabi-gcc"),
    "rp2040": ("rp2040.elf", "arm-none-eabi-gcc"),
}
PACKAGES = {
    "make": "make",
    "gcc": "gcc",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "qemu-system-arm": "qemu-system-arm",
    "node": "nodejs",
}


def need(*tools: str) -> None:
    """Skip the test unless all the tools are here."""
    missing = [PACKAGES[tool] for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"apt-get install {' '.join(missing)}")


def build(target: str, into: Path) -> Path:
    """What `make target` makes, unless it lies there. A warning of the compiler is an error."""
    name, compiler = MADE[target]
    need("make", compiler)
    command = ["make", "-s", "-C", str(SOURCES), f"BUILD={into}", target]
    with (into / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # others' tests may run beside this one, and want it too
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return into / name
