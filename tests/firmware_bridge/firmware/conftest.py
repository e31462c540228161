"""The firmware's core, built for this machine."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from stands.firmware_core import load_core


@pytest.fixture(scope="session")
def library(images: Path) -> ctypes.CDLL:
    return load_core(images)
