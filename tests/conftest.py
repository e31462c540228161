"""What holds for every test, and the stand-ins that several of them share."""

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from stands.gpio_chip import GpioChip, JetsonHeader
from stands.plc import Plc

# Two threads of torch on a busy machine wait for each other far longer than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# How long an example takes is the machine's affair: on a busy one Hypothesis would call it a fault.
settings.register_profile("search", deadline=None)
# A change is judged by the same examples as the one before it, not by its luck.
settings.register_profile("same", settings.get_profile("search"), derandomize=True)
settings.load_profile("same")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the firmware is built: once for all tests of a run, whichever process they run in."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    (folder / "images").mkdir(exist_ok=True)
    return folder / "images"


@pytest.fixture(scope="module")
def plc() -> Iterator[Plc]:
    with Plc() as running:
        yield running


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> GpioChip:
    chip = GpioChip()
    chip.install(monkeypatch)
    return chip


@pytest.fixture
def header(monkeypatch: pytest.MonkeyPatch) -> JetsonHeader:
    header = JetsonHeader()
    header.install(monkeypatch)
    return header


@pytest.fixture
def trackside_events(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`trackside events`, and what it prints."""
    app = import_module("edge.cli.app").app  # here: most tests want no command

    def call(*arguments: object) -> str:
        app(["events", *map(str, arguments)], standalone_mode=False)
        return capsys.readouterr().out

    return call
