"""A board that runs the firmware, and the cable to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stands.boards import SERIAL_NUMBER, Board, Cable, EmulatedBoard, HostBoard
from stands.firmware import build, need


@pytest.fixture
def host_board(images: Path, tmp_path: Path) -> Iterator[HostBoard]:
    started = HostBoard(tmp_path, build("host", images), serial_number=SERIAL_NUMBER)
    yield started
    started.close()


@pytest.fixture
def host_cable(host_board: HostBoard) -> Iterator[Cable]:
    laid = Cable(host_board.link)
    yield laid
    laid.close()


@pytest.fixture(params=["host", "an385"])
def board(request: pytest.FixtureRequest, images: Path, tmp_path: Path) -> Iterator[Board]:
    """One of this machine, and one of another that is emulated."""
    target: str = request.param
    if target == "an385":
        need("qemu-system-arm")
    kind = {"host": HostBoard, "an385": EmulatedBoard}[target]
    started = kind(tmp_path, build(target, images))
    yield started
    started.close()


@pytest.fixture
def cable(board: Board) -> Iterator[Cable]:
    laid = Cable(board.link)
    yield laid
    laid.close()
